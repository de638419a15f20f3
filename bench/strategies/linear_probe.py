"""Train a fresh linear head on frozen pretrained features.

Paper: Alain, Bengio, "Understanding intermediate layers using linear classifier probes", 2016.
People get wrong: leaving the frozen network's BatchNorm in training mode, so that "frozen" features drift from batch
to batch.
"""

from bench.catalogue import Options
from bench.spec.recipe import Recipe, head_only
from bench.strategies.entry import Axis, StrategyEntry


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=head_only(num_units))


def axis(options: Options, num_units: int) -> Axis:
    return Axis("depth", num_units - 1)


STRATEGY = StrategyEntry(
    name="linear_probe",
    summary="only a fresh linear head is trained, on frozen features",
    paper="Alain & Bengio 2016, arXiv:1610.01644",
    build=build,
    axis=axis,
)
