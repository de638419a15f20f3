"""The training loop, straight down. It obeys a recipe and never asks which strategy it came from."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch

from bench.engine.train.evaluate import Scored
from bench.engine.train.examples import Examples, Order
from bench.engine.train.inputs import Inputs, Share, Through
from bench.engine.train.optimize import Hyper, schedule
from bench.engine.train.setting import TrainingSetting
from bench.engine.train.solo import Solo, Team
from bench.engine.train.stage import Stages, plain_stages
from bench.keys import seed_for
from bench.modalities.sending import sent
from bench.network.units import Network
from bench.spec.job import Procedure
from bench.spec.recipe import Recipe
from bench.spec.refs import Pipeline, Training
from bench.store.results import EngineUse, Point

T = TypeVar("T")

# Steps between looks at the loss: each look waits for the device.
CHECK_EVERY = 25
OWN_IMAGES = 2000  # training images that a final is scored on, at the most


@dataclass(frozen=True)
class Stream:
    """What one network, or several that share their batches, learn from."""

    images: Examples
    order_seed: int
    scored: Examples | None = None
    shift: Examples | None = None  # a further split, scored at the end alone


@dataclass(frozen=True)
class Assignment:
    """All that one training needs beside the network."""

    recipe: Recipe
    training: Training
    hyper: Hyper
    pipeline: Pipeline
    images: Examples
    order_seed: int
    scored: Examples | None = None  # scored along the way, the last one after the last step
    evaluations: int = 1
    setting: TrainingSetting | None = None  # for the coded parts of a recipe

    @property
    def procedure(self) -> Procedure:
        return Procedure(self.recipe, self.training, self.pipeline)


@dataclass(frozen=True)
class GlobalState:
    cpu: torch.Tensor
    devices: list[torch.Tensor]


@dataclass
class Outcome:
    """What became of one replica."""

    steps: int = 0
    samples: int = 0
    curve: list[Point] = field(default_factory=list)
    last: Scored | None = None
    seen: dict[int, Scored] = field(default_factory=dict)  # by the step after which it was scored
    diverged_at: int | None = None  # step whose loss was not finite
    own: Scored | None = None  # on the training images, in evaluation, where `look_at_own` was asked for
    shift: Scored | None = None  # on a further split, where `look_at_shift` was asked for


def train(network: Network, task: Assignment) -> Outcome:
    """Trains one network in place, the plain way. Stops early only where the loss is no longer finite."""
    team = Solo(network, task.procedure, task.hyper, setting=task.setting)
    stream = Stream(task.images, task.order_seed, task.scored)
    session = Session(team, plain_stages(network, task.procedure), [stream])
    session.advance(task.training.steps, evaluation_steps(task.training.steps, task.evaluations))
    return session.outcomes[0][0]


class Session:
    """A team on its way through a recipe. It can stop at any step and go on from there."""

    def __init__(self, team: Team, stages: Stages, streams: Sequence[Stream]) -> None:
        self.team, self.stages, self.streams = team, stages, list(streams)
        self.recipe, self.training = team.procedure.recipe, team.procedure.training
        num_streams, num_members = team.shape
        assert num_streams == len(streams)
        self.outcomes = [[Outcome() for _ in range(num_members)] for _ in range(num_streams)]
        self.step = 0
        self.batch_size = min(self.training.batch_size, *(len(s.images) for s in streams))
        self._orders = [Order(len(s.images), self.batch_size, s.order_seed) for s in streams]
        self._generators = [torch.Generator().manual_seed(s.order_seed) for s in streams]
        self._phases = self.recipe.numbered_phases(self.training.steps)
        self._entered = -1
        self._told: list[tuple[str, str, str]] = []  # for each phase
        self._losses: list[torch.Tensor] = []  # [S, M] each, since the last point of the curve
        self._read = 0  # so many of them were looked at
        self._rng = _global_state(seed_for("dropout", streams[0].order_seed))

    def advance(self, until: int, looks: set[int]) -> None:
        """Train until so many steps are done, scoring after each of `looks`. Stops early where no replica's loss is
        finite any more."""
        before = _swap_global_state(self._rng)  # dropout draws from the global generators only
        self.team.resume()
        for number, start, end in self._phases:
            if not start <= self.step < min(end, until):
                continue
            if self._entered != number:
                self.stage = self.stages(number)
                self.team.enter(self.stage, self.recipe.active(number), number)
                self._told.append((self.stage.frozen, self.stage.whole, self.team.form))
                self._entered = number
            rates = self.recipe.phases[number].rates
            first, length = (start, end - start) if self.recipe.anneal == "each_phase" else (0, self.training.steps)
            for inputs, labels in self._batches(min(end, until) - self.step):
                factor = schedule(self.training, self.step - first, length, self.recipe.schedule)
                self._losses.append(self.team.step(inputs, labels, tuple(rate * factor for rate in rates)))
                self.step += 1
                look = self.step in looks and all(stream.scored is not None for stream in self.streams)
                if look or self.step in (until, self.training.steps) or self.step % CHECK_EVERY == 0:
                    self._note_divergence()
                    if self.is_over():
                        break
                    if look:
                        # Losses lag one step behind the weights. Asked of the batch: what is scored decides nothing.
                        self._note_lost(self.team.is_finite_on(inputs, labels))
                        if self.is_over():
                            break
                        self._look()
        if self.step < self.training.steps and not self.is_over():
            self.team.pause()
        self._rng = _swap_global_state(before)
        self._count()

    def _batches(self, num: int) -> Iterator[tuple[Inputs, torch.Tensor]]:
        """Inputs and labels of so many steps. Where images are read from a file, the next batch is fetched while the
        one before it is learned from, unless fetching runs the network too."""
        is_streamed = any(stream.images.is_streamed for stream in self.streams)
        if not is_streamed or isinstance(self.stage.feed, Through):
            for _ in range(num):
                yield self._batch()
            return
        with ThreadPoolExecutor(1) as fetcher:
            ahead = fetcher.submit(self._batch)
            for left in reversed(range(num)):
                batch = ahead.result()
                if left:
                    ahead = fetcher.submit(self._batch)
                yield batch

    def _batch(self) -> tuple[Inputs, torch.Tensor]:
        parts = [
            Share(stream.images, torch.from_numpy(order.next()), generator)
            for stream, order, generator in zip(self.streams, self._orders, self._generators, strict=True)
        ]
        labels = torch.stack([part.images.labels[sent(part.index, part.images.device)] for part in parts])
        return self.stage.feed.batches(parts), labels

    def is_over(self) -> bool:
        """Nothing is left that could be trained further."""
        return all(outcome.diverged_at is not None for stream in self.outcomes for outcome in stream)

    def engine_use(self) -> EngineUse:
        """How the work was done; numbers do not depend on it, but for rounding."""
        frozen, whole, forms = zip(*self._told, strict=True) if self._told else ((), (), ())
        reason = {"whole": why} if (why := next(filter(None, whole), "")) else {}
        replicas = self.team.shape[0] * self.team.shape[1]
        return EngineUse(frozen=list(frozen), forms=list(forms), replicas=replicas, **reason)

    def scores(self) -> list[list[Scored | None]]:
        """[S][M] on each stream's own images, with the weights as they are; None where a replica has diverged."""
        return self._scores([stream.scored for stream in self.streams if stream.scored is not None])

    def look_at_own(self, most: int | None = None) -> None:
        """How the weights that count stand on the images that they learned from, or on so many of them."""
        if self.is_over():
            return
        own = self._scores([first_drawn(stream, most or OWN_IMAGES) for stream in self.streams])
        for (s, m), scored in _cells(own):
            self.outcomes[s][m].own = scored

    def look_at_shift(self) -> None:
        """How the weights that count do on the further split, where there is one."""
        images = [stream.shift for stream in self.streams if stream.shift is not None]
        if self.is_over() or not images:
            return
        for (s, m), scored in _cells(self._scores(images)):
            self.outcomes[s][m].shift = scored

    def _scores(self, images: Sequence[Examples]) -> list[list[Scored | None]]:
        return [
            [None if outcome.diverged_at is not None else one for outcome, one in zip(*pair, strict=True)]
            for pair in zip(self.outcomes, self.team.score(images), strict=True)
        ]

    def keep(self, members: list[list[int]]) -> None:
        """The other members of each stream leave, the same number everywhere."""
        self.team.keep(members)
        self.outcomes = [[row[m] for m in kept] for row, kept in zip(self.outcomes, members, strict=True)]
        index = torch.tensor(members)
        self._losses = [losses.gather(1, index.to(losses.device)) for losses in self._losses]

    def _note_divergence(self) -> None:
        """Reads the losses that came since the last look at them."""
        fresh = torch.stack(self._losses[self._read :])
        self._read = len(self._losses)
        bad = (~fresh.isfinite()).cpu()
        if not bad.any():
            return
        first = bad.int().argmax(0)
        for (s, m), step in _cells(first.tolist()):
            if bad[step, s, m]:
                self._end(self.outcomes[s][m], self.step - len(fresh) + step)

    def _note_lost(self, finite: list[list[bool]]) -> None:
        for (s, m), fine in _cells(finite):
            if not fine:
                self._end(self.outcomes[s][m], self.step - 1)

    def _end(self, outcome: Outcome, step: int) -> None:
        if outcome.diverged_at is None:
            outcome.diverged_at = step
            outcome.steps, outcome.samples = self.step, self.step * self.batch_size

    def _look(self) -> None:
        mean = torch.stack(self._losses).double().mean(0).tolist()
        for (s, m), scored in _cells(self.scores()):
            if scored is not None:
                outcome = self.outcomes[s][m]
                outcome.last, outcome.seen[self.step] = scored, scored.bare()
                outcome.curve.append(Point(self.step, mean[s][m], scored.score, scored.loss))
        self._losses.clear()
        self._read = 0

    def _count(self) -> None:
        for outcome in (outcome for row in self.outcomes for outcome in row if outcome.diverged_at is None):
            outcome.steps, outcome.samples = self.step, self.step * self.batch_size


def _cells(rows: list[list[T]]) -> Iterator[tuple[tuple[int, int], T]]:
    for s, row in enumerate(rows):
        for m, value in enumerate(row):
            yield (s, m), value


def _swap_global_state(state: GlobalState) -> GlobalState:
    on_device = bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
    before = GlobalState(torch.get_rng_state(), torch.cuda.get_rng_state_all() if on_device else [])
    torch.set_rng_state(state.cpu)
    if on_device and state.devices:
        torch.cuda.set_rng_state_all(state.devices)
    return before


def _global_state(seed: int) -> GlobalState:
    """The state of the global generators after they are seeded; they stay as they were."""
    before = _swap_global_state(GlobalState(torch.get_rng_state(), []))
    torch.manual_seed(seed)
    return _swap_global_state(before)


def first_drawn(stream: Stream, most: int) -> Examples:
    """The training images; of very many, those that the training meets first. Data sets often lie class by class."""
    num = len(stream.images)
    return stream.images if num <= most else stream.images.take(np.sort(Order(num, most, stream.order_seed).next()))


def evaluation_steps(steps: int, evaluations: int) -> set[int]:
    """Evenly spaced, the last step always among them."""
    looks = min(evaluations, steps)
    return {math.ceil(steps * (i + 1) / looks) for i in range(looks)}
