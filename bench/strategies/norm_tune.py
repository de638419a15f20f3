"""Train the factors and shifts of the normalisation layers, and the head.

Paper: Frankle, Schwab, Morcos, "Training BatchNorm and Only BatchNorm", ICLR 2021.
People get wrong: forgetting that BatchNorm's statistics are a second thing. They follow the images here, as in the
paper; `bitfit` keeps them.
"""

from bench.catalogue import Options
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units), tensors="norms")


STRATEGY = StrategyEntry(
    name="norm_tune",
    summary="normalisation layers and the head are trained",
    paper="Frankle et al. 2021, arXiv:2003.00152",
    build=build,
)
