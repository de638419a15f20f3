"""Train the biases and the head.

Paper: Ben Zaken et al., "BitFit", ACL 2022; for convolutions Cai et al., "TinyTL", NeurIPS 2020.
People get wrong: reporting it for networks whose convolutions have no bias, and training BatchNorm's shifts without
saying so. Those are the biases there; its statistics stay as they are.
"""

from bench.catalogue import Options
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units), tensors="biases", statistics="kept")


STRATEGY = StrategyEntry(
    name="bitfit",
    summary="biases and the head are trained",
    paper="Ben Zaken et al. 2022, arXiv:2106.10199",
    build=build,
)
