"""A strategy is data, and this is it. Strategies build it, `plan/` hashes it, `engine/` obeys it and knows no names."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from bench.catalogue import Options

SHARE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Phase:
    share: float  # of the step budget
    rates: tuple[float, ...]  # one per unit, stem first: multiples of the searched rate, 0 = frozen


@dataclass(frozen=True)
class Solve:
    """A classifier that is computed from the features instead of trained. What is searched is its penalty."""

    form: Literal["ridge", "logistic", "prototypes"]
    low: float  # penalties; their meaning does not depend on the features' scale (engine/closed_forms.py)
    high: float


@dataclass(frozen=True)
class Recipe:
    """What a strategy does, said for one backbone with a known number of units."""

    phases: tuple[Phase, ...]
    init: Literal["pretrained", "random"] = "pretrained"
    reinit: int | None = None  # units from this one on start fresh; the head always does
    anneal: Literal["once", "each_phase"] = "once"  # does the schedule run over the whole budget, or anew each phase
    rate_scale: float = 1.0  # shifts the searched range; its width in decades stays the suite's
    solve: Solve | None = None  # instead of training the head

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
        if self.reinit is not None and not 0 <= self.reinit < self.num_units:
            raise ValueError(f"reinit: {self.reinit} is not a unit; units are 0 .. {self.num_units - 1}")

    @property
    def num_units(self) -> int:
        return len(self.phases[0].rates)

    def active(self, phase: int) -> tuple[bool, ...]:
        """Units that learn in the phase of that number."""
        return tuple(rate > 0 for rate in self.phases[phase].rates)

    def touched(self, phase: int) -> tuple[bool, ...]:
        """Units that learned in it or before it: what they compute is no longer what the start computes."""
        return tuple(any(rates) for rates in zip(*(p.rates for p in self.phases[: phase + 1]), strict=True))

    @property
    def freeze_depth(self) -> int | None:
        """Units frozen from the stem on, where freezing a prefix is all that the recipe does; else None."""
        if self.init != "pretrained" or self.reinit is not None or len(self.phases) > 1 or self.solve is not None:
            return None
        rates = self.phases[0].rates
        depth = next(i for i, rate in enumerate(rates) if rate)
        return depth if all(rate == 1.0 for rate in rates[depth:]) else None


def uniform(rates: Iterable[float]) -> tuple[Phase, ...]:
    """One phase over the whole budget."""
    return (Phase(share=1.0, rates=tuple(rates)),)


def head_only(num_units: int) -> tuple[Phase, ...]:
    """One phase in which nothing but the head learns."""
    return uniform([0.0] * (num_units - 1) + [1.0])


def only_this(options: Any, num_units: int) -> tuple[Any, ...]:
    return (options,)


@dataclass(frozen=True)
class StrategyEntry:
    """One line of the catalogue. `build` gets the options and the backbone's number of units, head included."""

    name: str
    summary: str
    paper: str
    build: Callable[[Any, int], Recipe]
    options: type[Options] = Options
    # One suite line may stand for several strategies, as `upto: all` does.
    expand: Callable[[Any, int], tuple[Any, ...]] = only_this
    baseline: bool = False  # what transfer is measured against
