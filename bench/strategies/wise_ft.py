"""Train the head, then everything, and report the mean of the weights before and after the second part.

Paper: Wortsman et al., "Robust fine-tuning of zero-shot models" (WiSE-FT), CVPR 2022.
People get wrong: averaging with a random head, and keeping BatchNorm's statistics of one end. The first part gives the
head to average with; statistics are taken anew from the training images. What is scored, in the search too, is the
average.
"""

from typing import Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.spec import spans
from bench.spec.recipe import Recipe, head_first
from bench.strategies.entry import StrategyEntry


class WiseFtOptions(Options):
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the weights after. 1 is plain fine-tuning; 0 is the probe before it, with statistics taken anew."""
    probe: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the step budget for the head alone."""
    probe_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3.0
    """The head's rate in that time, as a multiple of the searched one."""


def build(options: WiseFtOptions, num_units: int) -> Recipe:
    phases = head_first(num_units, options.probe, options.probe_rate)
    return Recipe(phases=phases, anneal="each_phase", average=options.alpha)


STRATEGY = StrategyEntry(
    name="wise_ft",
    summary="fine-tuning after a probe; the mean of the weights before and after is what counts",
    paper="Wortsman et al. 2022, arXiv:2109.01903",
    build=build,
    options=WiseFtOptions,
    ranges={"alpha": spans.linear(0.0, 1.0)},
)
