"""The most similar training images vote, in the space of frozen pretrained features; how many is searched.

Paper: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018.
People get wrong: one image, one vote. A vote weighs exp(cosine / .07), so that the far ones hardly count. What is
searched is the share of the training images that vote: as a plain number, what suits the images of a fold would be
another rule for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.catalogue import Options
from bench.spec.parts import Head, Solver
from bench.spec.recipe import Recipe, Solve, head_only
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import F, torch

LEAST_SHARE = 0.002  # one image, where there are fewer than 750
TEMPERATURE = 0.07
BLOCK = 512  # images at a time


@dataclass(frozen=True)
class Neighbours:
    """Logits are the sums of votes. A class that none of the nearest belongs to has 0."""

    features: torch.Tensor  # float64 [n, D], rows of length one
    labels: torch.Tensor  # int64 [n]
    num_classes: int
    k: int
    evaluations: int = 0
    gradient_norm: float = 0.0
    converged: bool = True

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        found = []
        for block in torch.split(F.normalize(features.double()), BLOCK):
            likeness, index = (block @ self.features.T).topk(self.k, 1)
            votes = block.new_zeros(len(block), self.num_classes)
            found.append(votes.scatter_add(1, self.labels[index], (likeness / TEMPERATURE).exp()))
        return torch.cat(found)


@dataclass(frozen=True, kw_only=True)
class NearestNeighbours(Solver):
    name: str = "knn"

    def heads(
        self, features: torch.Tensor, labels: torch.Tensor, num_classes: int, penalties: list[float]
    ) -> list[Head]:
        rows = F.normalize(features.double())
        counts = [min(len(rows), max(1, round(share * len(rows)))) for share in penalties]
        return [Neighbours(rows, labels, num_classes, k) for k in counts]


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=head_only(num_units), solve=Solve("knn", LEAST_SHARE, 1.0, NearestNeighbours()))


STRATEGY = StrategyEntry(
    name="knn",
    summary="the nearest training images vote, by cosine of frozen features; the share that votes is searched",
    paper="Wu et al. 2018, arXiv:1805.01978",
    build=build,
)
