"""Many replicas of one network in one loop: the trials of a search, the repeats of a final.

Each has its own weights, rate and decay; those of one stream share their batches. What is frozen belongs to all.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.engine.fleet.forms import Form, losses
from bench.engine.fleet.stacked import Hypers, StackedOptimizer, keep_members, repeat, slots_of
from bench.engine.train.evaluate import Scored, score
from bench.engine.train.examples import Examples
from bench.engine.train.inputs import Inputs
from bench.engine.train.optimize import Hyper
from bench.engine.train.precision import arithmetic, full
from bench.engine.train.stage import Stage
from bench.network.capture import in_eval_mode, put
from bench.network.units import Network
from bench.spec.job import Procedure
from bench.spec.recipe import Learning

State = dict[str, Tensor]
MakeForm = Callable[[Stage], tuple[str, Form]]  # a form and its name


class Fleet:
    is_fleet = True
    source_head = None

    def __init__(
        self,
        network: Network,
        procedure: Procedure,
        hypers: Sequence[Sequence[Hyper]],
        begins: Sequence[State],
        make_form: MakeForm,
    ) -> None:
        """`hypers`: [S][M]. `begins`: for each stream the state that its members begin with; what no phase trains is
        the same in all. `make_form` is asked for every stage, as it trains and as it is scored."""
        recipe, self.training = procedure.recipe, procedure.training
        self.network, self.procedure, self.shape = network, procedure, (len(hypers), len(hypers[0]))
        self._begin, self._make_form, self.form = begins[0], make_form, ""
        touched = recipe.touched(len(recipe.phases) - 1)
        everywhere = (True,) * network.num_units
        names = network.names_of(everywhere if touched.statistics == "live" else touched.units)
        stacked = {name: _stack([begin[name] for begin in begins], self.shape[1]) for name in names}
        learned = {name for parameters in network.parameters for name in parameters}
        self.buffers = {name: tensor for name, tensor in stacked.items() if name not in learned}
        device = stacked[names[0]].device
        self.optimizer = StackedOptimizer(
            {name: tensor for name, tensor in stacked.items() if name in learned},
            slots_of(network),
            self.training,
            Hypers(
                torch.tensor([[one.lr for one in row] for row in hypers], dtype=torch.float64, device=device),
                torch.tensor([[one.weight_decay for one in row] for row in hypers], dtype=torch.float64, device=device),
            ),
        )
        self._active: Learning | None = None

    def enter(self, stage: Stage, active: Learning, phase: int) -> None:
        self.stage, self._active = stage, active
        self.network.set_active(active)
        learns = self.network.learned(active)
        for name, parameter in self.optimizer.parameters.items():
            parameter.requires_grad_(name in learns)
        # In the arithmetic of the training: a form that does not work in it then says so here.
        with arithmetic(self._begin[next(iter(self._begin))].device, self.training.precision):
            self.form, self._train = self._make_form(stage)
            with in_eval_mode(self.network.module):
                _, self._evaluate = self._make_form(stage)

    def step(self, inputs: Inputs, labels: Tensor, rates: tuple[float, ...]) -> Tensor:
        with arithmetic(labels.device, self.training.precision):
            logits = self._train.logits(self.optimizer.parameters, self.buffers, inputs)
        each = losses(full(logits), labels, self.training.label_smoothing)
        # Replicas do not meet, so the gradient of the sum is each one's own.
        each.sum().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step(rates)
        return each.detach()

    def score(self, images: Sequence[Examples]) -> list[list[Scored]]:
        with in_eval_mode(self.network.module):
            return [
                score(lambda inputs, s=number: self._logits(inputs, s)[0], of_stream, self.stage.plain)  # type: ignore[misc]
                for number, of_stream in enumerate(images)
            ]

    def is_finite_on(self, inputs: Inputs, labels: Tensor) -> list[list[bool]]:
        found = []
        with torch.no_grad(), in_eval_mode(self.network.module):
            for s in range(self.shape[0]):
                logits = self._logits(tuple(value[s : s + 1] for value in inputs), s)[0]
                each = [F.cross_entropy(one, labels[s]) for one in logits]
                found.append(torch.stack(each).isfinite())
        return [row.tolist() for row in torch.stack(found).cpu()]

    def _logits(self, inputs: Inputs, stream: int) -> Tensor:
        """Inputs [1, B, ...] -> [1, M, B, C]"""
        one = slice(stream, stream + 1)
        parameters = {name: tensor.detach()[one] for name, tensor in self.optimizer.parameters.items()}
        buffers = {name: tensor[one] for name, tensor in self.buffers.items()}
        with arithmetic(inputs[0].device, self.training.precision):
            return full(self._evaluate.logits(parameters, buffers, inputs))

    @contextmanager
    def hold(self, stream: int) -> Iterator[None]:
        state = self.network.module.state_dict()
        moved = {**self.optimizer.parameters, **self.buffers}
        before = {name: state[name].clone() for name in moved}
        with torch.no_grad():
            for name, tensor in moved.items():
                state[name].copy_(tensor[stream, 0])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, tensor in before.items():
                    state[name].copy_(tensor)

    def keep(self, members: list[list[int]]) -> None:
        index = torch.tensor(members)
        self.optimizer.keep(index)
        self.buffers = {name: keep_members(tensor, index) for name, tensor in self.buffers.items()}
        self.shape = (self.shape[0], len(members[0]))

    def pause(self) -> None:
        """A fleet's weights are its own."""

    def resume(self) -> None:
        """Only what is frozen is read from the network, and only the modes of its modules."""
        put(self._begin, self.network.module)
        if self._active is not None:
            self.network.set_active(self._active)


def _stack(begins: Sequence[Tensor], num_members: int) -> Tensor:
    """[S, M, ...]"""
    stacked = repeat(begins[0], len(begins), num_members)
    for number, begin in enumerate(begins[1:], 1):
        stacked[number] = begin
    return stacked
