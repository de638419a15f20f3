"""Train everything from the pretrained weights, at one rate.

Paper: Girshick et al., "Rich feature hierarchies for accurate object detection and semantic segmentation", CVPR 2014.
People get wrong: a single rate that was not searched. Ten times too high destroys the features, and the result looks
like "transfer does not help".
"""

from bench.catalogue import Options
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import Axis, StrategyEntry


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units))


def axis(options: Options, num_units: int) -> Axis:
    return Axis("depth", 0)


STRATEGY = StrategyEntry(
    name="full_finetune",
    summary="everything is trained from the pretrained weights, at one rate",
    paper="Girshick et al. 2014, arXiv:1311.2524",
    build=build,
    axis=axis,
)
