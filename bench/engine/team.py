"""Who trains: one network (`Solo`), or many replicas of it in one go (`fleet.py`). The loop does not know which.

A team has S streams of batches and M members for each stream; `Solo` has one of each.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.backbones.units import Network
from bench.engine.evaluate import Scored, in_eval_mode, score
from bench.engine.images import Images
from bench.engine.optimize import Hyper, make_optimizer, set_rates
from bench.engine.precision import arithmetic, full
from bench.engine.stage import Stage
from bench.engine.supply import Inputs
from bench.plan.spec import Training
from bench.strategies.recipe import Recipe


class Team(Protocol):
    shape: tuple[int, int]  # S, M
    is_fleet: bool
    form: str  # how it computes, for the records

    def enter(self, stage: Stage, active: tuple[bool, ...]) -> None:
        """A phase begins: from now on this is what trains."""
        ...

    def step(self, inputs: Inputs, labels: Tensor, rates: tuple[float, ...]) -> Tensor:
        """Forward, backward, step. Inputs [S, B, ...], labels [S, B], a factor on the searched rate for each unit;
        returns the losses [S, M], detached."""
        ...

    def score(self, images: Sequence[Images]) -> list[list[Scored]]:
        """[S][M], each stream on images of its own."""
        ...

    def is_finite_on(self, inputs: Inputs, labels: Tensor) -> list[list[bool]]:
        """[S][M]: whether the loss of the weights as they are now is finite on this batch."""
        ...

    def keep(self, members: list[list[int]]) -> None:
        """[S][M'] of each stream's members; the others leave."""
        ...

    def pause(self) -> None:
        """Others will use the network before this team goes on."""
        ...

    def resume(self) -> None:
        """It may begin, or go on."""
        ...


def batch_matters(module: nn.Module) -> bool:
    """A batch normalised in pieces is another batch: another experiment, so it is not cut."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training for m in module.modules())


class Solo:
    """One network, in torch's own way."""

    shape = (1, 1)
    is_fleet = False
    form = "alone"

    def __init__(
        self, network: Network, what: tuple[Recipe, Training], hyper: Hyper, renew: Callable[[], object] | None = None
    ) -> None:
        """`renew` puts the network into the state that trainings begin with; without it, it is as it is."""
        recipe, self.training = what
        self.network, self.hyper = network, hyper
        self.optimizer = make_optimizer(network, self.training, hyper)
        self._renew = renew
        self.pieces = 1  # that a batch is cut into, where memory does not suffice for it
        self._stage: Stage | None = None
        self._active: tuple[bool, ...] = ()
        self._moving = network.names_of(recipe.touched(len(recipe.phases) - 1))
        self._kept: dict[str, Tensor] = {}
        self._is_paused = False

    @property
    def stage(self) -> Stage:
        assert self._stage is not None, "enter() comes first"
        return self._stage

    def enter(self, stage: Stage, active: tuple[bool, ...]) -> None:
        self._stage, self._active = stage, active
        self.network.set_active(active)

    def step(self, inputs: Inputs, labels: Tensor, rates: tuple[float, ...]) -> Tensor:
        set_rates(self.optimizer, rates, self.hyper.lr)
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            try:
                loss = self._backward(tuple(value[0] for value in inputs), labels[0])
                break
            except torch.OutOfMemoryError:
                if 2 * self.pieces > labels.shape[1] or batch_matters(self.network.module):
                    raise
                self.pieces *= 2
        self.optimizer.step()
        return loss.view(1, 1)

    def _backward(self, inputs: Inputs, labels: Tensor) -> Tensor:
        """Gradients of the mean loss of the batch, in so many pieces as memory asks for."""
        total = torch.zeros((), device=labels.device)
        size = -(-len(labels) // self.pieces)
        for start in range(0, len(labels), size):
            part = slice(start, start + size)
            with arithmetic(labels.device, self.training.precision):
                logits = full(self.stage.train(*(value[part] for value in inputs)))
            loss = F.cross_entropy(logits, labels[part], label_smoothing=self.training.label_smoothing)
            if self.pieces > 1:
                loss = loss * (len(logits) / len(labels))
            loss.backward()  # type: ignore[no-untyped-call]
            total = total + loss.detach()
        return total

    def score(self, images: Sequence[Images]) -> list[list[Scored]]:
        with in_eval_mode(self.network.module):
            return [score(self._logits, images[0], self.stage.plain)]

    def is_finite_on(self, inputs: Inputs, labels: Tensor) -> list[list[bool]]:
        with torch.no_grad(), in_eval_mode(self.network.module):
            loss = F.cross_entropy(self._logits(inputs)[0], labels[0])
        return [[bool(loss.isfinite())]]

    def _logits(self, inputs: Inputs) -> Tensor:
        with arithmetic(inputs[0].device, self.training.precision):
            return full(self.stage.evaluate(*(value[0] for value in inputs))[None])

    def keep(self, members: list[list[int]]) -> None:
        assert members == [[0]]

    def pause(self) -> None:
        """What training moves is kept aside; the optimizer keeps its own state."""
        state = self.network.module.state_dict()
        if not self._kept:
            self._kept = {name: torch.empty_like(state[name]) for name in self._moving}
        for name, kept in self._kept.items():
            kept.copy_(state[name])
        self._is_paused = True

    def resume(self) -> None:
        """The network may have been anything in the meantime; its parameters are still the same objects."""
        if self._renew is not None:
            self._renew()
        if self._is_paused:
            state = self.network.module.state_dict()
            with torch.no_grad():
                for name, tensor in self._kept.items():
                    state[name].copy_(tensor)
        if self._active:
            self.network.set_active(self._active)
