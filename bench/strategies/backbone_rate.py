"""Train everything, the pretrained part at a fixed share of the head's rate.

Paper: Jiang et al., "Transferability in Deep Learning: A Survey", 2022, whose library trains backbones at a tenth.
People get wrong: comparing it with fine-tuning at one rate that was not searched. A tenth of a rate ten times too high
is the same thing.
"""

from typing import Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.spec import spans
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry


class BackboneRateOptions(Options):
    share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The backbone's rate as a share of the head's."""


def build(options: BackboneRateOptions, num_units: int) -> Recipe:
    return Recipe(phases=uniform([options.share] * (num_units - 1) + [1.0]))


STRATEGY = StrategyEntry(
    name="backbone_rate",
    summary="everything is trained, the backbone at a tenth of the head's rate",
    paper="Jiang et al. 2022, arXiv:2201.05867",
    build=build,
    options=BackboneRateOptions,
    ranges={"share": spans.choices(0.1, 1.0)},
)
