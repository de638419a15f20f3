"""The nearest class mean in the space of frozen pretrained features. Nothing is trained and nothing is searched.

Paper: Mensink et al., "Distance-based image classification: generalizing to new classes at near-zero cost", TPAMI 2013.
People get wrong: leaving it out. At one or two labels per class few strategies beat it.
"""

from bench.catalogue import Options
from bench.spec.recipe import Recipe, Solve, head_only
from bench.strategies.entry import StrategyEntry


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=head_only(num_units), solve=Solve("prototypes", 1.0, 1.0))


STRATEGY = StrategyEntry(
    name="prototypes",
    summary="the nearest class mean of frozen features; nothing to search, so one trial",
    paper="Mensink et al. 2013, doi:10.1109/TPAMI.2013.83",
    build=build,
)
