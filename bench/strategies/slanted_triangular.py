"""Train everything with a short steep rise of the rate and a long fall, instead of the suite's schedule.

Paper: Howard, Ruder, "Universal Language Model Fine-tuning for Text Classification" (ULMFiT), ACL 2018.
People get wrong: letting the rate fall to 0. It ends where it began, at 1/ratio of the highest.
"""

from typing import Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.spec.recipe import Recipe, Schedule, uniform
from bench.strategies.entry import StrategyEntry


class SlantedOptions(Options):
    cut: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the steps in which the rate rises."""
    ratio: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 32.0
    """How many times lower the rate is at both ends."""


def build(options: SlantedOptions, num_units: int) -> Recipe:
    low = 1 / options.ratio
    return Recipe(phases=uniform([1.0] * num_units), schedule=Schedule(options.cut, low, low))


STRATEGY = StrategyEntry(
    name="slanted_triangular",
    summary="everything is trained; the rate rises steeply and falls slowly",
    paper="Howard & Ruder 2018, arXiv:1801.06146",
    build=build,
    options=SlantedOptions,
)
