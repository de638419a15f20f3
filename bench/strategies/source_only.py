"""Fine-tuning on the source's labels, scored on the target: what knowing nothing of the target comes to.

Paper: Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016, where it is the lower bound.
People get wrong: choosing its rate by the target's labels. The search compares trials on the source's test
split, which neither they nor the pretraining learned from. It is a control of `dann` with `labels: source`, and a lower
bound for strategies that learn the target's labels.
"""

from bench.catalogue import Options
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units), labels="source")


STRATEGY = StrategyEntry(
    name="source_only",
    summary="fine-tuning on the source's labels alone, without any of the target's",
    paper="Ganin et al. 2016, arXiv:1505.07818",
    build=build,
    needs=("source data", "the data set's classes in it"),
)
