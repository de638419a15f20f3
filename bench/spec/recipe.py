"""A strategy is data, and this is it. Strategies build it, `planning/` hashes it, `engine/` obeys it without names."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.keys import LATER
from bench.spec.parts import Adaptation, Mixer, Penalty, Solver, TensorRates

SHARE_TOLERANCE = 1e-6

# Which tensors of a unit learn where it does; the head's always do. `added`: those that an adaptation brought.
Tensors = Literal["all", "biases", "norms", "but_norms", "added", "added_and_norms"]
WITH_ADDED = ("added", "added_and_norms")
# What trains, as far as it says where good rates lie.
Family = Literal["head", "body", "added", "scratch"]
# BatchNorm's running statistics: moved where the unit learns, nowhere, or everywhere.
Statistics = Literal["with_units", "kept", "live"]


@dataclass(frozen=True)
class Phase:
    share: float  # of the step budget
    rates: tuple[float, ...]  # one per unit, stem first: multiples of the searched rate, 0 = frozen


@dataclass(frozen=True)
class Learning:
    """What learns at some time."""

    units: tuple[bool, ...]
    tensors: Tensors = "all"
    statistics: Statistics = "with_units"


@dataclass(frozen=True)
class Schedule:
    """How the rate moves, where a recipe has its own way: up over a share of each cycle, then down."""

    rise: float  # share of a cycle
    start: float  # of the highest rate
    end: float
    shape: Literal["linear", "cosine"] = "linear"
    cycles: int = 1

    def factor(self, step: int, steps: int) -> float:
        length = steps / self.cycles
        place, cut = step % length, max(1.0, length * self.rise)
        is_rising = place < cut
        progress = place / cut if is_rising else (place - cut) / max(1.0, length - cut)
        if self.shape == "cosine":
            progress = 0.5 * (1 - math.cos(math.pi * progress))
        low = self.start if is_rising else self.end
        return low + (1 - low) * (progress if is_rising else 1 - progress)


@dataclass(frozen=True)
class Solve:
    """A classifier that is computed from the features instead of trained. What is searched is its penalty."""

    form: str  # one of solve/closed_forms.py, or what `solver` is called
    low: float  # penalties; their meaning does not depend on the features' scale (solve/closed_forms.py)
    high: float
    solver: Solver | Mixer | None = None


@dataclass(frozen=True)
class OwnHead:
    """The classifier that the weights came with. Nothing is trained, searched or drawn."""

    classes: Literal["same"] | tuple[str | int, ...] | None  # what its rows stand for; None: as is known
    among: Literal["target", "all"]  # which classes may be answered


@dataclass(frozen=True)
class Via:
    """Another data set that the whole network learns first, from the backbone's weights on. Planning makes a
    pretraining of it, whose key names the weights, and the engine never sees it."""

    dataset: str  # as a suite names it
    options: dict[str, Any]
    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "adamw"]
    lr: float
    weight_decay: float
    shift: int
    allow_overlap: bool = False  # images of a target may be among it


@dataclass(frozen=True)
class StopEarly:
    """A search also chooses when to stop: of so many moments, evenly spaced, the one at which a trial's validation
    images were classified best. Trials are always compared by accuracy."""

    moments: int
    by: Literal["loss", "accuracy"]


@dataclass(frozen=True)
class Recipe:
    """What a strategy does, said for one backbone with a known number of units."""

    phases: tuple[Phase, ...]
    init: Literal["pretrained", "random", "moments"] = "pretrained"  # moments: noise of each tensor's mean and spread
    reinit: int | None = None  # units from this one on start fresh; the head always does
    anneal: Literal["once", "each_phase"] = "once"  # does the schedule run over the whole budget, or anew each phase
    rate_scale: float = 1.0  # shifts where rates are searched
    rate_scale_adamw: float | None = None  # the same with AdamW, where it is another
    solve: Solve | None = None  # instead of training the head
    tensors: Tensors = "all"
    statistics: Statistics = "with_units"
    schedule: Schedule | None = None  # instead of the suite's
    length: float = 1.0  # multiples of the suite's step budget
    decays: bool = True  # whether weight decay acts
    adapt: Adaptation | None = None  # what is built into the network before training
    penalty: Penalty | None = None  # what the loss becomes
    tensor_rates: TensorRates | None = None  # a factor on each tensor's rate, measured when a phase begins
    average: float = 1.0  # share of the end in what is scored; the rest is the start of the last phase
    via: tuple[Via, ...] | None = None  # one after another
    stop_early: StopEarly | None = None  # None: at the end
    soup: Literal["uniform", "greedy"] | None = None  # what is scored is a mean of the trials' weights; no final trains
    own_head: OwnHead | None = None  # the checkpoint as it came is scored, and nothing else that stands here happens
    # Whose labels are learned and validated on; None: the target's. The source's: those of its images that are of the
    # target's classes, all of them; its training split is learned, its test split compares trials. No label of the
    # target is read before the score.
    labels: Literal["source"] | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if not self.phases:
            raise ValueError("a recipe needs at least one phase")
        if len({len(p.rates) for p in self.phases}) != 1:
            raise ValueError("the phases of a recipe name different numbers of units")
        if any(rate < 0 for p in self.phases for rate in p.rates):
            raise ValueError("a unit's rate cannot be negative")
        if any(not any(p.rates) for p in self.phases):
            raise ValueError("a phase freezes every unit, so it trains nothing")
        if abs(sum(p.share for p in self.phases) - 1) > SHARE_TOLERANCE:
            raise ValueError(f"the shares of the phases add up to {sum(p.share for p in self.phases):g}, not 1")
        if self.solve is not None and (len(self.phases) > 1 or any(self.phases[0].rates[:-1])):
            raise ValueError("a closed form has one phase, and only the head in it")
        if self.stop_early and (self.solve is not None or self.average < 1 or self.soup is not None):
            raise ValueError("stop_early: what is computed or averaged has no moment at which to stop")
        if self.soup is not None and (self.solve is not None or self.average < 1 or self.penalty is not None):
            raise ValueError("a soup is a mean of plain trainings: no closed form, no average, no penalty")
        if self.labels is not None and (self.solve is not None or self.soup is not None or self.own_head is not None):
            raise ValueError("labels: a closed form, a soup and a checkpoint's own head know the target's labels only")
        if self.own_head is not None and (self.stop_early or self.solve is not None):
            raise ValueError("own_head: a checkpoint that is scored as it came is neither stopped nor solved")
        if self.length <= 0 or not 0 <= self.average <= 1:
            raise ValueError("a recipe's length is positive, and its average lies between 0 and 1")
        if self.tensors in WITH_ADDED and self.adapt is None:
            raise ValueError("nothing is added to the network, so nothing of it can be all that learns")
        if self.reinit is not None and not 0 <= self.reinit < self.num_units:
            raise ValueError(f"reinit: {self.reinit} is not a unit; units are 0 .. {self.num_units - 1}")

    @property
    def num_units(self) -> int:
        return len(self.phases[0].rates)

    def numbered_phases(self, steps: int) -> list[tuple[int, int, int]]:
        """(number of the phase, first step, end). Ends are rounded so that the steps add up to the budget; a phase that
        is too short for a single step is left out."""
        ends, total = [], 0.0
        for phase in self.phases:
            total += phase.share
            ends.append(round(total * steps))
        ends[-1] = steps
        starts = [0, *ends[:-1]]
        return [(i, start, end) for i, (start, end) in enumerate(zip(starts, ends, strict=True)) if end > start]

    def active(self, phase: int) -> Learning:
        """What learns in the phase of that number."""
        return self._learning(tuple(rate > 0 for rate in self.phases[phase].rates))

    def touched(self, phase: int) -> Learning:
        """What learned in it or before it: what that computes is no longer what the start computes."""
        return self._learning(
            tuple(any(rates) for rates in zip(*(p.rates for p in self.phases[: phase + 1]), strict=True))
        )

    def _learning(self, units: tuple[bool, ...]) -> Learning:
        return Learning(units, self.tensors, self.statistics)

    @property
    def family(self) -> Family:
        if not any(any(phase.rates[:-1]) for phase in self.phases):
            return "head"
        if self.init != "pretrained":
            return "scratch"
        return "added" if self.tensors in WITH_ADDED else "body"

    def scale_for(self, optimizer: str) -> float:
        """How many times the rates of others its own are."""
        if optimizer == "adamw" and self.rate_scale_adamw is not None:
            return self.rate_scale_adamw
        return self.rate_scale

    @property
    def trains(self) -> bool:
        """In steps, at a rate."""
        return self.solve is None and self.own_head is None

    @property
    def trains_alone(self) -> bool:
        """Its loss, its rates or what is scored go beyond what many replicas can share a loop for."""
        parts = (self.penalty, self.tensor_rates, self.soup)
        return any(parts) or self.average < 1 or (self.adapt is not None and self.adapt.draws)

    @property
    def needs(self) -> tuple[str, ...]:
        """In words, beside pretrained weights."""
        parts = (self.adapt, self.penalty, self.tensor_rates, self.solve.solver if self.solve else None)
        return tuple(need for part in parts if part is not None for need in part.needs)


def uniform(rates: Iterable[float]) -> tuple[Phase, ...]:
    """One phase over the whole budget."""
    return (Phase(share=1.0, rates=tuple(rates)),)


def head_only(num_units: int) -> tuple[Phase, ...]:
    """One phase in which nothing but the head learns."""
    return uniform([0.0] * (num_units - 1) + [1.0])


def head_first(num_units: int, share: float, rate: float = 1.0) -> tuple[Phase, ...]:
    """The head alone for a share of the budget, at a multiple of the searched rate; then everything."""
    return (Phase(share, (0.0,) * (num_units - 1) + (rate,)), Phase(1 - share, (1.0,) * num_units))


def thawing(rates: Sequence[float], last: float) -> tuple[Phase, ...]:
    """One unit more in each phase, from the head down, at these rates. In the last one, which has that share of the
    budget, everything is trained; the others have equal shares of what is left."""
    top = len(rates) - 1
    early = [
        Phase((1 - last) / top, tuple(rate if unit > top - thawed else 0.0 for unit, rate in enumerate(rates)))
        for thawed in range(1, top + 1)
    ]
    return (*early, Phase(last if early else 1.0, tuple(rates)))
