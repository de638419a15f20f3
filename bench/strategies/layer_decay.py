"""Train everything, each unit at a fixed share of the rate of the unit above it.

Paper: Clark et al., "ELECTRA", ICLR 2020; for images Bao et al. (BEiT) 2021 and He et al. (MAE) 2021: .65 to .75 over
the blocks of a ViT.
People get wrong: writing the factors where the scheduler does not look. timm's groups carry `lr_scale`, which a
scheduler of torch ignores. And stages are fewer than blocks: the same decay over `units: coarse` decays less.
"""

from typing import Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.spec import spans
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry


class LayerDecayOptions(Options):
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.75
    """The rate of a unit as a share of the rate of the unit above it; the literature's lie between .5 and .95."""


def build(options: LayerDecayOptions, num_units: int) -> Recipe:
    return Recipe(phases=uniform(options.decay ** (num_units - 1 - unit) for unit in range(num_units)))


STRATEGY = StrategyEntry(
    name="layer_decay",
    summary="everything is trained; each unit at a share of the rate above it",
    paper="Bao et al. 2021, arXiv:2106.08254",
    build=build,
    options=LayerDecayOptions,
    ranges={"decay": spans.linear(0.5, 0.95)},
)
