"""Let BatchNorm's statistics follow the new images; beside them only the head is trained.

Paper: Li et al., "Revisiting Batch Normalization For Practical Domain Adaptation", 2016 (AdaBN).
People get wrong: calling it a linear probe. The features move with every batch, which is all that this strategy is.
"""

from bench.catalogue import Options
from bench.spec.recipe import Recipe, head_only
from bench.strategies.entry import StrategyEntry
from bench.strategies.required import RequiresBatchNorm


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=head_only(num_units), statistics="live", adapt=RequiresBatchNorm())


STRATEGY = StrategyEntry(
    name="bn_adapt",
    summary="BatchNorm's statistics follow the new images, and the head is trained",
    paper="Li et al. 2016, arXiv:1603.04779",
    build=build,
    needs=RequiresBatchNorm.needs,
)
