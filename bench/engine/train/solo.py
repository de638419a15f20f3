"""Who trains: one network (`Solo`), or many replicas of it in one go (`fleet.py`). The loop does not know which.

A team has S streams of batches and M members for each stream; `Solo` has one of each.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.engine.train.evaluate import Scored, estimate_statistics, score
from bench.engine.train.examples import Examples
from bench.engine.train.faults import is_out_of_memory
from bench.engine.train.inputs import Inputs
from bench.engine.train.optimize import Hyper, make_optimizer, set_rates, step_toward
from bench.engine.train.precision import arithmetic, full
from bench.engine.train.setting import TrainingSetting, TrainingStep
from bench.engine.train.stage import Stage
from bench.network.capture import in_eval_mode, watched
from bench.network.units import Network
from bench.spec.job import Procedure
from bench.spec.parts import Pull, Term
from bench.spec.recipe import Learning


class Team(Protocol):
    network: Network
    procedure: Procedure
    shape: tuple[int, int]  # S, M
    is_fleet: bool
    form: str  # how it computes, for the records

    def enter(self, stage: Stage, active: Learning, phase: int) -> None:
        """The phase of that number begins: from now on this is what trains."""
        ...

    def step(self, inputs: Inputs, labels: Tensor, rates: tuple[float, ...]) -> Tensor:
        """Forward, backward, step. Inputs [S, B, ...], labels [S, B], a factor on the searched rate for each unit;
        returns the losses [S, M], detached."""
        ...

    def score(self, images: Sequence[Examples]) -> list[list[Scored]]:
        """[S][M], each stream on images of its own."""
        ...

    def is_finite_on(self, inputs: Inputs, labels: Tensor) -> list[list[bool]]:
        """[S][M]: whether the loss of the weights as they are now is finite on this batch."""
        ...

    def hold(self, stream: int) -> AbstractContextManager[None]:
        """Meanwhile the network holds the weights that count of the stream's first member."""
        ...

    @property
    def source_head(self) -> nn.Module | None:
        """The pretraining's head, where it learned along."""
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


@dataclass(frozen=True)
class Trained:
    """What a team has made of one of its streams."""

    team: Team
    stream: int = 0


def batch_matters(module: nn.Module) -> bool:
    """A batch normalised in pieces is another batch: another experiment, so it is not cut."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training for m in module.modules())


class Solo:
    """One network, in torch's own way."""

    shape = (1, 1)
    is_fleet = False
    form = "alone"

    def __init__(
        self,
        network: Network,
        procedure: Procedure,
        hyper: Hyper,
        renew: Callable[[], object] | None = None,
        setting: TrainingSetting | None = None,
    ) -> None:
        """`renew` puts the network into the state that trainings begin with; without it, it is as it is. `setting`:
        for the coded parts of a recipe."""
        self.network, self.procedure, self.hyper = network, procedure, hyper
        self.recipe, self.training = procedure.recipe, procedure.training
        self._setting = setting
        self._term: Term | None = None
        self._pulls: dict[nn.Parameter, Pull] = {}
        self._optimizer: torch.optim.Optimizer | None = None
        self._rates_of_tensors: Mapping[str, float] | None = None
        self._anchor: dict[str, Tensor] | None = None  # what is averaged with the end
        self._steps, self._phase = 0, 0
        self._renew = renew
        self.pieces = 1  # that a batch is cut into, where memory does not suffice for it
        self._stage: Stage | None = None
        self._active: Learning | None = None
        self._moving = network.moving(self.recipe.touched(len(self.recipe.phases) - 1))
        self._kept: dict[str, Tensor] = {}
        self._is_paused = False

    @property
    def stage(self) -> Stage:
        assert self._stage is not None, "enter() comes first"
        return self._stage

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        assert self._optimizer is not None, "enter() comes first"
        return self._optimizer

    def _begin(self) -> None:
        """Not before a training is under way: what a penalty lacks is that training's failure."""
        if self.recipe.penalty is not None:
            assert self._setting is not None, "a penalty asks for its setting"
            self._term = self.recipe.penalty.begin(self._setting)
            named = {name: p for unit in self.network.parameters for name, p in unit.items()}
            pulls = self.recipe.penalty.pulls(self._term, self.network)
            self._pulls = {named[name]: pull for name, pull in pulls.items()}
        modules = self._term.modules if self._term is not None else None
        self._optimizer = make_optimizer(
            self.network, self.training, self.hyper, modules.parameters() if modules is not None else (),
            by_tensor=self.recipe.tensor_rates is not None,
        )  # fmt: skip

    def enter(self, stage: Stage, active: Learning, phase: int) -> None:
        self._stage, self._active, self._phase = stage, active, phase
        if self._optimizer is None:
            self._begin()
        self.network.set_active(active)
        if self.recipe.tensor_rates is not None:
            assert self._setting is not None
            self._rates_of_tensors = self.recipe.tensor_rates.measure(self._setting)
            self.optimizer.zero_grad(set_to_none=True)
        if phase == len(self.recipe.phases) - 1 and self.recipe.average < 1:
            state = self.network.module.state_dict()
            self._anchor = {name: state[name].clone() for name in self._moving}

    def step(self, inputs: Inputs, labels: Tensor, rates: tuple[float, ...]) -> Tensor:
        set_rates(self.optimizer, rates, self.hyper.lr, self._rates_of_tensors)
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            try:
                given = tuple(value[0] for value in inputs)
                loss = self._backward(given, labels[0]) if self._term is None else self._with_term(given, labels[0])
                break
            except (RuntimeError, MemoryError) as error:
                of_batch = self._term is not None or batch_matters(self.network.module)
                if 2 * self.pieces > labels.shape[1] or of_batch or not is_out_of_memory(error):
                    raise
                self.pieces *= 2
        self.optimizer.step()
        step_toward(self.optimizer, self._pulls)
        self._steps += 1
        return loss.view(1, 1)

    def _backward(self, inputs: Inputs, labels: Tensor) -> Tensor:
        """Gradients of the mean loss of the batch, in so many pieces as memory asks for."""
        total = torch.zeros((), device=labels.device)
        size = -(-len(labels) // self.pieces)
        for start in range(0, len(labels), size):
            part = slice(start, start + size)
            with arithmetic(labels.device, self.training.precision):
                logits = full(self.stage.live(*(value[part] for value in inputs)))
            loss = F.cross_entropy(logits, labels[part], label_smoothing=self.training.label_smoothing)
            if self.pieces > 1:
                loss = loss * (len(logits) / len(labels))
            loss.backward()  # type: ignore[no-untyped-call]
            total = total + loss.detach()
        return total

    def _with_term(self, inputs: Inputs, labels: Tensor) -> Tensor:
        """Gradients of what the recipe makes of the loss; and all of it, the pulls too, which need no gradient."""
        penalty, term = self.recipe.penalty, self._term
        assert penalty is not None
        assert term is not None
        with arithmetic(labels.device, self.training.precision):
            apart = penalty.apart(term, self.network, self._phase)
        if apart is not None:
            apart.backward()  # type: ignore[no-untyped-call]
            return apart.detach()
        with arithmetic(labels.device, self.training.precision):
            with watched(self.network, penalty.reads != "parameters", penalty.reads == "images") as seen:
                logits = full(self.stage.live(*inputs))
            features = full(seen.features[0]) if seen.features else logits
            loss = F.cross_entropy(logits, labels, label_smoothing=self.training.label_smoothing)
            step = TrainingStep(
                self._steps, self._phase, self.network, inputs[0], labels, logits, loss, features,
                [full(seen.units[unit]) for unit in sorted(seen.units)],
            )  # fmt: skip
            total = penalty.loss(term, step)
        total.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            return total + sum(pull.value(parameter) for parameter, pull in self._pulls.items())

    def score(self, images: Sequence[Examples]) -> list[list[Scored]]:
        with self._reported(), in_eval_mode(self.network.module):
            return [score(self._logits, images[0], self.stage.plain)]

    def hold(self, stream: int) -> AbstractContextManager[None]:
        return self._reported()

    @property
    def beside(self) -> nn.Module | None:
        """What learned beside the network, for its loss."""
        return self._term.modules if self._term is not None else None

    @property
    def source_head(self) -> nn.Module | None:
        return self.beside if self._term is not None and self._term.is_source_head else None

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """The weights that count: where a recipe says so, the average of the last phase's start and of its end, with
        BatchNorm's statistics as the training images give them."""
        if self._anchor is None:
            yield
            return
        assert self._setting is not None
        state, share = self.network.module.state_dict(), self.recipe.average
        kept = {name: state[name].clone() for name in self._moving}
        try:
            with torch.no_grad():
                for name, anchor in self._anchor.items():
                    if anchor.is_floating_point():
                        state[name].lerp_(anchor, 1 - share)
                estimate_statistics(self.network.module, (images for images, _ in self._setting.batches()))
            yield
        finally:
            with torch.no_grad():
                for name, tensor in kept.items():
                    state[name].copy_(tensor)

    def is_finite_on(self, inputs: Inputs, labels: Tensor) -> list[list[bool]]:
        with torch.no_grad(), in_eval_mode(self.network.module):
            loss = F.cross_entropy(self._logits(inputs)[0], labels[0])
        return [[bool(loss.isfinite())]]

    def _logits(self, inputs: Inputs) -> Tensor:
        with arithmetic(inputs[0].device, self.training.precision):
            return full(self.stage.live(*(value[0] for value in inputs))[None])

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
        if self._active is not None:
            self.network.set_active(self._active)
