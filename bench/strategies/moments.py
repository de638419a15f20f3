"""Noise with each pretrained tensor's mean and spread: what of transfer is only good scaling.

Paper: Raghu et al., "Transfusion: Understanding Transfer Learning for Medical Imaging", NeurIPS 2019 (Mean Var).
People get wrong: keeping BatchNorm's running statistics, which belong to features that are gone. They start anew here.
"""

from bench.catalogue import Options
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(init="moments", phases=uniform([1.0] * num_units))


STRATEGY = StrategyEntry(
    name="moments",
    summary="random weights with the mean and spread of each pretrained tensor; the features are destroyed",
    paper="Raghu et al. 2019, arXiv:1902.07208",
    build=build,
)
