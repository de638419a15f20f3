"""The k most similar training images vote, in the space of frozen pretrained features; k is searched.

Paper: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018.
People get wrong: distances of features that were not brought to one length. Likeness is the cosine here.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.catalogue import Options
from bench.strategies.parts import Solver
from bench.strategies.recipe import Recipe, Solve, StrategyEntry, head_only

if TYPE_CHECKING:
    from torch import Tensor

    from bench.engine.heads import Head

MOST = 50  # neighbours
BLOCK = 512  # images at a time


@dataclass(frozen=True)
class Neighbours:
    """A vote of the k nearest, ties broken by likeness."""

    features: "Tensor"  # float64 [n, D], rows of length one
    members: "Tensor"  # float64 [n, C]
    k: int
    evaluations: int = 0
    gradient_norm: float = 0.0
    converged: bool = True

    def logits(self, features: "Tensor") -> "Tensor":
        import torch
        from torch.nn import functional as F

        found = []
        for block in torch.split(F.normalize(features.double()), BLOCK):
            value, index = (block @ self.features.T).topk(min(self.k, len(self.features)), 1)
            votes = self.members[index]  # [b, k, C]
            found.append(votes.sum(1) + 1e-3 * (votes * value[:, :, None]).sum(1) / self.k)
        return torch.cat(found)


@dataclass(frozen=True, kw_only=True)
class NearestNeighbours(Solver):
    name: str = "knn"

    def heads(self, features: "Tensor", labels: "Tensor", num_classes: int, penalties: list[float]) -> "list[Head]":
        from torch.nn import functional as F

        rows, members = F.normalize(features.double()), F.one_hot(labels, num_classes).double()
        return [Neighbours(rows, members, max(1, round(k))) for k in penalties]


def build(options: Options, num_units: int) -> Recipe:
    solve = Solve("knn", 1.0, float(MOST), NearestNeighbours())
    return Recipe(phases=head_only(num_units), solve=solve)


STRATEGY = StrategyEntry(
    name="knn",
    summary="the k nearest training images vote, by cosine of frozen features; k is searched",
    paper="Wu et al. 2018, arXiv:1805.01978",
    build=build,
)
