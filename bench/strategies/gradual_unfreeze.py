"""Start with the head alone and thaw one unit more at a time, from the head to the stem; then train everything.

Paper: Howard, Ruder, "Universal Language Model Fine-tuning for Text Classification" (ULMFiT), ACL 2018.
People get wrong: spending the budget on thawing. Each thaw is short, and the stage with everything thawed is the long
one, as in the authors' code (fastai's `train_clas`: one epoch for the head, one for the unit below it, then ten for
all), where each stage is also a cycle of the rate of its own. Here it is a cycle of the suite's schedule, or with
`triangular` one of Smith's triangles (`cyclical`). Momentum runs on.
"""

from typing import Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.spec.recipe import Recipe, thawing
from bench.strategies.cyclical import triangles
from bench.strategies.entry import StrategyEntry


class ThawingOptions(Options):
    last: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """Share of the step budget in which everything is trained; the stages before it share the rest equally."""


class GradualUnfreezeOptions(ThawingOptions):
    triangular: bool = False
    """Whether each stage is one triangle of Smith's, from a tenth of the rate up to it and back, instead of the suite's
    schedule."""


def build(options: GradualUnfreezeOptions, num_units: int) -> Recipe:
    schedule = triangles() if options.triangular else None
    return Recipe(phases=thawing([1.0] * num_units, options.last), anneal="each_phase", schedule=schedule)


STRATEGY = StrategyEntry(
    name="gradual_unfreeze",
    summary="thaws one unit more at a time, from the head down, and then trains everything",
    paper="Howard & Ruder 2018, arXiv:1801.06146",
    build=build,
    options=GradualUnfreezeOptions,
)
