"""ULMFiT as a whole: gradual unfreezing, rates that fall by 2.6 per unit, and a slanted triangle in each stage.

Paper: Howard, Ruder, "Universal Language Model Fine-tuning for Text Classification" (ULMFiT), ACL 2018.
People get wrong: testing one of the three and naming it ULMFiT; and one triangle over all stages, at whose end the
lower units hardly move. The parts are `gradual_unfreeze`, `discriminative` and `slanted_triangular`.
"""

from typing import Annotated

from pydantic import Field

from bench.spec import spans
from bench.spec.recipe import Recipe, Schedule, thawing
from bench.strategies.entry import StrategyEntry
from bench.strategies.gradual_unfreeze import ThawingOptions


class UlmfitOptions(ThawingOptions):
    factor: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 2.6
    """By how much the rate falls from one unit to the next one toward the stem."""


def build(options: UlmfitOptions, num_units: int) -> Recipe:
    rates = [options.factor ** (unit - (num_units - 1)) for unit in range(num_units)]
    phases = thawing(rates, options.last)
    return Recipe(phases=phases, anneal="each_phase", schedule=Schedule(0.1, 1 / 32, 1 / 32))


STRATEGY = StrategyEntry(
    name="ulmfit",
    summary="gradual unfreezing, rates that fall toward the stem, and slanted triangles, all three",
    paper="Howard & Ruder 2018, arXiv:1801.06146",
    build=build,
    options=UlmfitOptions,
    ranges={"factor": spans.linear(1.3, 4.0)},
)
