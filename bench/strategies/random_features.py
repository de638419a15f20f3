"""A linear head on a frozen network of random weights: what of a linear probe is the architecture's doing.

Paper: Yosinski et al., "How transferable are features in deep neural networks?", NeurIPS 2014, their last control.
People get wrong: leaving it out. Where it comes near the linear probe, the probe says nothing about pretraining.
"""

from bench.catalogue import Options
from bench.spec.recipe import Recipe, head_only
from bench.strategies.entry import StrategyEntry


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(init="random", phases=head_only(num_units))


STRATEGY = StrategyEntry(
    name="random_features",
    summary="only a head is trained, on a frozen network of random weights",
    paper="Yosinski et al. 2014, arXiv:1411.1792",
    build=build,
)
