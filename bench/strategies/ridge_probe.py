"""Ridge regression to the classes on frozen pretrained features: one decomposition for all penalties.

Paper: Kolesnikov et al., "Big Transfer (BiT)", ECCV 2020, whose few-shot evaluation is this.
People get wrong: a penalty found for features of one scale, used on features of another. Features are brought to one
scale here, so a penalty means the same for every network.
"""

from bench.catalogue import Options
from bench.spec.recipe import Recipe, Solve, head_only
from bench.strategies.entry import StrategyEntry


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=head_only(num_units), solve=Solve("ridge", 1e-5, 1e2))


STRATEGY = StrategyEntry(
    name="ridge_probe",
    summary="ridge regression on frozen features, solved; its penalty is searched",
    paper="Kolesnikov et al. 2020, arXiv:1912.11370",
    build=build,
)
