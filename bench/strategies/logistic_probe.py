"""Multinomial logistic regression on frozen pretrained features, brought to its optimum.

Paper: Kornblith, Shlens, Le, "Do Better ImageNet Models Transfer Better?", CVPR 2019.
People get wrong: stopping the solver early, which is another penalty that nobody chose.
Records say whether it converged.
"""

from bench.catalogue import Options
from bench.spec.recipe import Recipe, Solve, head_only
from bench.strategies.entry import StrategyEntry


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=head_only(num_units), solve=Solve("logistic", 1e-6, 1e1))


STRATEGY = StrategyEntry(
    name="logistic_probe",
    summary="logistic regression on frozen features, solved; its penalty is searched",
    paper="Kornblith et al. 2019, arXiv:1805.08974",
    build=build,
)
