"""A linear classifier on a weighted sum of what every unit of the frozen network puts out; the weights are learned too.

Paper: Yang et al., "SUPERB: Speech processing Universal PERformance Benchmark", Interspeech 2021.
People get wrong: taking the last layer because it is the last. And adding layers as they come, so that the largest
numbers weigh most: here each is centred and scaled first. SUPERB adds layers of one width and trains weights and
classifier in steps; here each unit has a matrix of its own to the classes, since in most convolutional networks units
differ in width, and both are solved for (`solve/mixture.py`). What reaches the classifier stands for the last unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.catalogue import Options
from bench.spec.parts import MixedHead, Mixer
from bench.spec.recipe import Recipe, Solve, head_only
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import mixture, torch


@dataclass(frozen=True, kw_only=True)
class WeightedSum(Mixer):
    name: str = "layer_mix"

    def heads(
        self, layers: Sequence[torch.Tensor], labels: torch.Tensor, num_classes: int, penalties: list[float]
    ) -> list[MixedHead]:
        return [mixture.mixture(layers, labels, num_classes, penalty) for penalty in penalties]


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=head_only(num_units), solve=Solve("layer_mix", 1e-6, 1e1, WeightedSum()))


STRATEGY = StrategyEntry(
    name="layer_mix",
    summary="ridge regression on a sum of all units' features, whose weights are learned; its penalty is searched",
    paper="Yang et al. 2021, arXiv:2105.01051",
    build=build,
)
