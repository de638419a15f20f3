"""torch's SGD and AdamW for many replicas of one network in one go, each replica with a rate and a decay of its own.

Every tensor is stacked on two leading axes [S, M, ...]: S streams of batches times M members of each stream.
`optimize.make_optimizer` is what this must equal, replica by replica; `forms.py` computes the gradients.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from bench.backbones.units import Network
from bench.plan.spec import Training

# Bytes of one tensor that an update handles at a time on a CPU: parameter, gradient and state then stay in its cache
# from one operation to the next (measured: a quarter of the time for 30 heads of 768 x 100).
CACHED = 1 << 18


@dataclass(frozen=True)
class Slot:
    """What an update must know of one parameter."""

    unit: int
    decays: bool


@dataclass(frozen=True)
class Hypers:
    """What a search chose, for each replica: [S, M] each."""

    lr: Tensor
    weight_decay: Tensor


@dataclass(frozen=True)
class Piece:
    """Some replicas' share of one parameter, [rows, ...]; views, so that writing moves the parameter."""

    name: str
    unit: int
    decays: bool
    rows: slice
    parameter: Tensor
    lr: Tensor  # [rows, 1, ...]
    weight_decay: Tensor  # the same
    state: tuple[Tensor, ...]


class Rule(Protocol):
    @property
    def state(self) -> tuple[str, ...]:
        """torch's names of what is kept for each parameter."""
        ...

    def update(self, pieces: Sequence[Piece], gradients: list[Tensor], now: "Now") -> None:
        """Moves the pieces. May use the gradients up."""
        ...


@dataclass(frozen=True)
class Now:
    rates: tuple[float, ...]  # a factor on the searched rate for each unit
    steps: dict[str, int]  # of each parameter, this one included


class StackedOptimizer:
    """Owns the stacked parameters: `keep` replaces them. Those without a gradient are left alone, state and all."""

    def __init__(
        self, parameters: dict[str, Tensor], slots: dict[str, Slot], training: Training, hypers: Hypers
    ) -> None:
        assert all(p.shape[:2] == hypers.lr.shape == hypers.weight_decay.shape for p in parameters.values())
        self.parameters = parameters
        self.slots = {name: slots[name] for name in parameters}
        self.hypers = hypers
        self.rule: Rule = AdamW() if training.optimizer == "adamw" else SGD(training.momentum)
        self._state: dict[str, tuple[Tensor, ...]] = {}
        self._steps = dict.fromkeys(parameters, 0)
        self._chunks: list[list[Piece]] = []
        self._chunked: list[str] = []  # the parameters that `_chunks` were made for

    @torch.no_grad()
    def step(self, rates: tuple[float, ...]) -> None:
        """One step along the gradients, which are cleared. `rates`: a factor on the searched rate for each unit."""
        gradients = {name: p.grad for name, p in self.parameters.items() if p.grad is not None}
        if list(gradients) != self._chunked:
            self._prepare(list(gradients))
        for name in gradients:
            self._steps[name] += 1
        now = Now(rates, self._steps)
        flat = {name: gradient.flatten(0, 1) for name, gradient in gradients.items()}
        for chunk in self._chunks:
            self.rule.update(chunk, [flat[piece.name][piece.rows] for piece in chunk], now)
        self.zero_grad()

    def zero_grad(self) -> None:
        for parameter in self.parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def keep(self, members: Tensor) -> None:
        """int64 [S, M']: those of each stream's members that stay. `parameters` holds new tensors afterwards."""
        for name, parameter in self.parameters.items():
            self.parameters[name] = keep_members(parameter, members).requires_grad_(parameter.requires_grad)
        self._state = {
            name: tuple(keep_members(tensor, members) for tensor in state) for name, state in self._state.items()
        }
        self.hypers = Hypers(
            keep_members(self.hypers.lr, members), keep_members(self.hypers.weight_decay, members)
        )
        self._chunks, self._chunked = [], []

    def state_of(self, stream: int, member: int) -> dict[str, dict[str, Tensor]]:
        """One replica's state, as its own optimizer in torch would hold it, by the parameters' names."""
        found: dict[str, dict[str, Tensor]] = {}
        for name, state in self._state.items():
            found[name] = {
                key: tensor[stream, member].clone() for key, tensor in zip(self.rule.state, state, strict=True)
            }
            if isinstance(self.rule, AdamW):
                found[name]["step"] = torch.tensor(float(self._steps[name]))
        return found

    def _prepare(self, names: list[str]) -> None:
        """Cut what moves in this phase into chunks that fit a cache; a GPU takes all at once."""
        chunks: list[list[Piece]] = [[]]
        room = CACHED
        for piece in (piece for name in names for piece in self._pieces(name)):
            size = piece.parameter.numel() * piece.parameter.element_size()
            if chunks[-1] and size > room and piece.parameter.device.type == "cpu":
                chunks.append([])
                room = CACHED
            chunks[-1].append(piece)
            room -= size
        self._chunks, self._chunked = chunks, names

    def _pieces(self, name: str) -> Iterator[Piece]:
        parameter, slot = self.parameters[name], self.slots[name]
        if name not in self._state:
            # Zeros are what torch begins with too: momentum's first value is the gradient.
            self._state[name] = tuple(torch.zeros_like(parameter) for _ in self.rule.state)
        num = parameter.shape[0] * parameter.shape[1]
        tensors = [tensor.view(num, *tensor.shape[2:]) for tensor in (parameter, *self._state[name])]
        like = (num,) + (1,) * (parameter.ndim - 2)
        lr, decay = (
            values.to(parameter.device, parameter.dtype).reshape(like)
            for values in (self.hypers.lr, self.hypers.weight_decay)
        )
        decays = slot.decays and bool((self.hypers.weight_decay != 0).any())
        on_cpu = parameter.device.type == "cpu"
        each = max(1, CACHED * num // (parameter.numel() * parameter.element_size())) if on_cpu else num
        for start in range(0, num, each):
            rows = slice(start, min(start + each, num))
            moved, *state = (tensor[rows] for tensor in tensors)
            yield Piece(name, slot.unit, decays, rows, moved, lr[rows], decay[rows], tuple(state))


def slots_of(network: Network) -> dict[str, Slot]:
    """As `make_optimizer` groups them: decay acts on matrices and kernels, and not on what the network exempts."""
    listed = getattr(network.module, "no_weight_decay", None)
    exempt = set(listed()) if callable(listed) else set()
    return {
        name: Slot(unit, parameter.ndim > 1 and name not in exempt)
        for unit, parameters in enumerate(network.parameters)
        for name, parameter in parameters.items()
    }


@torch.no_grad()
def repeat(tensor: Tensor, num_streams: int, num_members: int) -> Tensor:
    """[S, M, ...]: the same start for every replica, in the tensor's own memory format (kernels stay channels_last)."""
    out = _empty_like(tensor, num_streams, num_members)
    return out.copy_(tensor.expand(out.shape))


@torch.no_grad()
def keep_members(stacked: Tensor, members: Tensor) -> Tensor:
    """[S, M, ...] and int64 [S, M'] -> [S, M', ...], in the same memory format."""
    members = members.to(stacked.device)
    streams = torch.arange(len(members), device=stacked.device).unsqueeze(1)
    return _empty_like(stacked[0, 0], *members.shape).copy_(stacked[streams, members])


def _empty_like(one: Tensor, num_streams: int, num_members: int) -> Tensor:
    """[S, M, ...]"""
    assert one.numel() == 0 or one.numel() == 1 + sum((n - 1) * s for n, s in zip(one.shape, one.stride(), strict=True))
    strides = (num_members * one.numel(), one.numel(), *one.stride())
    return torch.empty_strided((num_streams, num_members, *one.shape), strides, dtype=one.dtype, device=one.device)


@dataclass(frozen=True)
class SGD:
    """torch.optim.SGD with Nesterov's momentum, or none."""

    momentum: float

    @property
    def state(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()

    def update(self, pieces: Sequence[Piece], gradients: list[Tensor], now: Now) -> None:
        decaying = [i for i, piece in enumerate(pieces) if piece.decays]
        if decaying:
            torch._foreach_addcmul_(
                [gradients[i] for i in decaying],
                [pieces[i].parameter for i in decaying],
                [pieces[i].weight_decay for i in decaying],
            )
        if self.momentum:
            buffers = [piece.state[0] for piece in pieces]
            torch._foreach_mul_(buffers, self.momentum)
            torch._foreach_add_(buffers, gradients)
            torch._foreach_add_(gradients, buffers, alpha=self.momentum)
        _descend(pieces, gradients, [now.rates[piece.unit] for piece in pieces])


@dataclass(frozen=True)
class AdamW:
    """torch.optim.AdamW as it is by default."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    state: tuple[str, ...] = ("exp_avg", "exp_avg_sq")

    def update(self, pieces: Sequence[Piece], gradients: list[Tensor], now: Now) -> None:
        rates = [now.rates[piece.unit] for piece in pieces]
        decaying = [i for i, piece in enumerate(pieces) if piece.decays]
        if decaying:
            _descend(
                [pieces[i] for i in decaying],
                [pieces[i].parameter * pieces[i].weight_decay for i in decaying],
                [rates[i] for i in decaying],
            )
        means, squares = [piece.state[0] for piece in pieces], [piece.state[1] for piece in pieces]
        torch._foreach_lerp_(means, gradients, 1 - self.betas[0])
        torch._foreach_mul_(squares, self.betas[1])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - self.betas[1])
        steps = [now.steps[piece.name] for piece in pieces]
        scales = torch._foreach_sqrt(squares)
        torch._foreach_div_(scales, [(1 - self.betas[1] ** step) ** 0.5 for step in steps])
        torch._foreach_add_(scales, self.eps)
        corrected = [rate / (1 - self.betas[0] ** step) for rate, step in zip(rates, steps, strict=True)]
        _descend(pieces, torch._foreach_div(means, scales), corrected)


def _descend(pieces: Sequence[Piece], along: Sequence[Tensor], rates: Sequence[float]) -> None:
    parameters, lrs = [piece.parameter for piece in pieces], [piece.lr for piece in pieces]
    torch._foreach_addcmul_(parameters, list(along), lrs, scalars=[-rate for rate in rates])
