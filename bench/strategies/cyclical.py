"""Train everything while the rate goes up and down several times, instead of the suite's schedule.

Paper: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017 (triangular).
People get wrong: stopping in the middle of a cycle. The cycles fill the step budget here, so the last weights are those
of a low rate.
"""

from typing import Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.spec.recipe import Recipe, Schedule, uniform
from bench.strategies.entry import StrategyEntry

LOW = 0.1  # of the highest rate


class CyclicalOptions(Options):
    cycles: Annotated[int, Field(ge=1, le=20)] = 3
    """How often the rate goes up and down."""
    low: Annotated[float, Field(gt=0, lt=1)] = LOW
    """The lowest rate as a share of the highest."""


def triangles(cycles: int = 1, low: float = LOW) -> Schedule:
    """Straight up to the highest rate and straight back, so many times."""
    return Schedule(0.5, low, low, cycles=cycles)


def build(options: CyclicalOptions, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units), schedule=triangles(options.cycles, options.low))


STRATEGY = StrategyEntry(
    name="cyclical",
    summary="everything is trained; the rate goes up and down several times",
    paper="Smith 2017, arXiv:1506.01186",
    build=build,
    options=CyclicalOptions,
)
