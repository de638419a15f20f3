"""Train everything, each unit at a rate lower by a factor than the unit above it.

Paper: Howard, Ruder, "Universal Language Model Fine-tuning for Text Classification" (ULMFiT), ACL 2018.
People get wrong: handing the factors to a scheduler that ignores them. Rates per unit are part of the recipe here, so
no scheduler can lose them.
"""

from typing import Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.spec import spans
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry


class DiscriminativeOptions(Options):
    factor: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 2.6
    """By how much the rate falls from one unit to the next one toward the stem."""


def build(options: DiscriminativeOptions, num_units: int) -> Recipe:
    return Recipe(phases=uniform(options.factor ** (unit - (num_units - 1)) for unit in range(num_units)))


STRATEGY = StrategyEntry(
    name="discriminative",
    summary="everything is trained; the rate falls by a factor per unit toward the stem",
    paper="Howard & Ruder 2018, arXiv:1801.06146",
    build=build,
    options=DiscriminativeOptions,
    ranges={"factor": spans.linear(1.3, 4.0)},
)
