"""Random weights, and several times the step budget: whether the head start of pretraining is only that.

Paper: He, Girshick, Dollar, "Rethinking ImageNet Pre-training", ICCV 2019, where scratch caught up after 2 to 6 times
the schedule.
People get wrong: comparing it with fine-tuning as an equal. It costs so many times more, and its records say so.
"""

from typing import Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry


class ScratchLongOptions(Options):
    times: Annotated[float, Field(gt=1, le=10, allow_inf_nan=False)] = 4.0
    """How many times the suite's step budget."""


def build(options: ScratchLongOptions, num_units: int) -> Recipe:
    return Recipe(init="random", phases=uniform([1.0] * num_units), length=options.times)


STRATEGY = StrategyEntry(
    name="scratch_long",
    summary="random weights, trained several times as long",
    paper="He et al. 2019, arXiv:1811.08883",
    build=build,
    options=ScratchLongOptions,
)
