"""Train the whole network from random weights: the baseline that every claim of transfer is measured against.

Paper: He, Girshick, Dollar, "Rethinking ImageNet Pre-training", ICCV 2019.
People get wrong: giving it the fine-tuning rate. It is searched here like everyone else; where it takes the highest
rate of the range, the report says so, and the suite should reach further.
"""

from bench.catalogue import Options
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(init="random", phases=uniform([1.0] * num_units))


STRATEGY = StrategyEntry(
    name="scratch",
    summary="random weights, everything trained: the baseline",
    paper="He et al. 2019, arXiv:1811.08883",
    build=build,
    baseline=True,
)
