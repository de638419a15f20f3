"""First the head alone, then everything: the new head no longer pulls the features about while it is random.

Paper: Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", ICLR 2022.
People get wrong: giving it a linear probe for free. Both halves come out of the one step budget here. And keeping
BatchNorm's statistics at any rate, as some of the authors' configurations do: a network whose layers no batch
normalises bears low rates only. A MobileNetV2 at 64 pixels falls to chance at .0014 in one training of three where they
are kept, and never where they move with the units, the default.
"""

from typing import Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.spec.recipe import Recipe, Statistics, head_first
from bench.strategies.entry import StrategyEntry


class LpFtOptions(Options):
    probe: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the step budget for the head alone."""
    probe_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3.0
    """The head's rate in that time, as a multiple of the searched one: heads alone bear more than networks."""
    statistics: Statistics = "with_units"
    """BatchNorm's statistics: `with_units` moves them in the second part, `kept` in neither, `live` in both."""


def build(options: LpFtOptions, num_units: int) -> Recipe:
    phases = head_first(num_units, options.probe, options.probe_rate)
    return Recipe(phases=phases, anneal="each_phase", statistics=options.statistics)


STRATEGY = StrategyEntry(
    name="lp_ft",
    summary="first the head alone, then everything",
    paper="Kumar et al. 2022, arXiv:2202.10054",
    build=build,
    options=LpFtOptions,
)
