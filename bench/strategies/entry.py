"""What the catalogue of strategies holds of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.catalogue import Options
from bench.spec.recipe import Recipe
from bench.spec.spans import Span


@dataclass(frozen=True)
class Axis:
    """Where a strategy stands among others that differ from it in one number. It is in no key: a figure draws scores
    against it, and two names for the same trainings may say different things of it."""

    name: str  # "depth": units frozen from the stem on, throughout training, in an otherwise plain fine-tuning
    value: float
    kind: str = ""  # the name of its line in the figure, where an axis has several


def only_this(options: Any, num_units: int) -> tuple[Any, ...]:
    return (options,)


def on_no_axis(options: Any, num_units: int) -> None:
    return None


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
    axis: Callable[[Any, int], Axis | None] = on_no_axis
    baseline: bool = False  # what transfer is measured against
    needs: tuple[str, ...] = ()  # beside pretrained weights, in words; a cell without it is recorded as not applicable
    ranges: Mapping[str, Span] = field(default_factory=dict)  # of options, where a suite says `search: default`
