"""torch's SGD and AdamW for many replicas of one network in one go, each replica with its own rate and decay.

Every tensor is stacked on two leading axes [S, M, ...]: S streams of batches times M members of each stream.
`optimize.make_optimizer` is what this must equal, replica by replica; `forms.py` computes the gradients.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from bench.network.units import Network
from bench.spec.refs import Training


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
class Moving:
    """A parameter that moves in this phase."""

    name: str
    unit: int
    decays: bool
    parameter: Tensor  # [S, M, ...], as everything here
    lr: Tensor  # [S, M, 1, ...]
    weight_decay: Tensor  # the same
    state: tuple[Tensor, ...]


class UpdateRule(Protocol):
    @property
    def state(self) -> tuple[str, ...]:
        """torch's names of what is kept for each parameter."""
        ...

    def update(self, moving: Sequence[Moving], gradients: list[Tensor], now: "Now") -> None:
        """Moves them. May use the gradients up."""
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
        self.rule: UpdateRule = AdamW() if training.optimizer == "adamw" else SGD(training.momentum)
        self._state: dict[str, tuple[Tensor, ...]] = {}
        self._steps = dict.fromkeys(parameters, 0)
        self._moving: list[Moving] = []

    @torch.no_grad()
    def step(self, rates: tuple[float, ...]) -> None:
        """One step along the gradients, which are cleared. `rates`: a factor on the searched rate for each unit."""
        gradients = {name: p.grad for name, p in self.parameters.items() if p.grad is not None}
        if list(gradients) != [one.name for one in self._moving]:
            some_decay = bool((self.hypers.weight_decay != 0).any())
            self._moving = [self._prepared(name, some_decay) for name in gradients]
        for name in gradients:
            self._steps[name] += 1
        self.rule.update(self._moving, list(gradients.values()), Now(rates, self._steps))
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
        self._moving = []

    def _prepared(self, name: str, some_decay: bool) -> Moving:
        parameter, slot = self.parameters[name], self.slots[name]
        if name not in self._state:
            # Zeros are what torch begins with too: momentum's first value is the gradient.
            self._state[name] = tuple(torch.zeros_like(parameter) for _ in self.rule.state)
        lr, weight_decay = (
            values.to(parameter.device, parameter.dtype).view(*values.shape, *[1] * (parameter.ndim - 2))
            for values in (self.hypers.lr, self.hypers.weight_decay)
        )
        return Moving(name, slot.unit, slot.decays and some_decay, parameter, lr, weight_decay, self._state[name])


def slots_of(network: Network) -> dict[str, Slot]:
    """As `make_optimizer` groups them."""
    decaying = network.decaying
    return {
        name: Slot(unit, name in decaying)
        for unit, parameters in enumerate(network.parameters)
        for name in parameters
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

    def update(self, moving: Sequence[Moving], gradients: list[Tensor], now: Now) -> None:
        decaying = [i for i, one in enumerate(moving) if one.decays]
        if decaying:
            torch._foreach_addcmul_(
                [gradients[i] for i in decaying],
                [moving[i].parameter for i in decaying],
                [moving[i].weight_decay for i in decaying],
            )
        if self.momentum:
            buffers = [one.state[0] for one in moving]
            torch._foreach_mul_(buffers, self.momentum)
            torch._foreach_add_(buffers, gradients)
            torch._foreach_add_(gradients, buffers, alpha=self.momentum)
        _descend(moving, gradients, [now.rates[one.unit] for one in moving])


@dataclass(frozen=True)
class AdamW:
    """torch.optim.AdamW as it is by default."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    state: tuple[str, ...] = ("exp_avg", "exp_avg_sq")

    def update(self, moving: Sequence[Moving], gradients: list[Tensor], now: Now) -> None:
        decaying = [one for one in moving if one.decays]
        if decaying:
            along = torch._foreach_mul([one.parameter for one in decaying], [one.weight_decay for one in decaying])
            _descend(decaying, along, [now.rates[one.unit] for one in decaying])
        means, squares = [one.state[0] for one in moving], [one.state[1] for one in moving]
        torch._foreach_lerp_(means, gradients, 1 - self.betas[0])
        torch._foreach_mul_(squares, self.betas[1])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - self.betas[1])
        steps = [now.steps[one.name] for one in moving]
        scales = torch._foreach_sqrt(squares)
        torch._foreach_div_(scales, [(1 - self.betas[1] ** step) ** 0.5 for step in steps])
        torch._foreach_add_(scales, self.eps)
        rates = [now.rates[one.unit] / (1 - self.betas[0] ** step) for one, step in zip(moving, steps, strict=True)]
        _descend(moving, torch._foreach_div(means, scales), rates)


def _descend(moving: Sequence[Moving], along: Sequence[Tensor], rates: Sequence[float]) -> None:
    parameters, lrs = [one.parameter for one in moving], [one.lr for one in moving]
    torch._foreach_addcmul_(parameters, list(along), lrs, scalars=[-rate for rate in rates])
