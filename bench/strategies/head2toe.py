"""A linear classifier on the best of what every unit of the frozen network puts out, not its last alone.

Paper: Evci et al., "Head2Toe: Utilizing Intermediate Representations for Better Transfer Learning", ICML 2022.
People get wrong: choosing features by the size of an unregularised classifier's weights. They are ranked by a group
lasso; the share that is kept is what is searched. The final classifier is ridge regression here, the paper trains one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bench.catalogue import Options
from bench.strategies.parts import Solver
from bench.strategies.recipe import Recipe, Solve, StrategyEntry, head_only

if TYPE_CHECKING:
    from torch import Tensor

    from bench.engine.heads import Head

ITERATIONS = 200  # of the group lasso
STRENGTH = 0.01  # of the least penalty that selects nothing
RIDGE = 0.01  # penalty of the classifier on what was selected


@dataclass(frozen=True, kw_only=True)
class Selected(Solver):
    name: str = "head2toe"
    reads: ClassVar = "units"

    def heads(self, features: "Tensor", labels: "Tensor", num_classes: int, penalties: list[float]) -> "list[Head]":
        import torch

        from bench.engine.closed_forms import ridge_path
        from bench.engine.heads import LinearHead

        ranked = relevance(features, labels, num_classes).argsort(descending=True)
        found: list[Head] = []
        for share in penalties:
            chosen = ranked[: max(1, round(share * len(ranked)))].sort().values
            (head,) = ridge_path(features[:, chosen], labels, num_classes, [RIDGE])
            weight = torch.zeros(num_classes, features.shape[1], dtype=torch.float64, device=features.device)
            weight[:, chosen] = head.weight
            found.append(LinearHead(weight, head.bias))
        return found


def relevance(features: "Tensor", labels: "Tensor", num_classes: int) -> "Tensor":
    """[D]: length of each feature's row of weights in least squares with a group lasso, by accelerated proximal
    gradient."""
    import torch
    from torch.nn import functional as F

    x = features.double() - features.double().mean(0)
    y = F.one_hot(labels, num_classes).double()
    y = y - y.mean(0)
    num = len(x)
    strength = STRENGTH * (x.T @ y).norm(dim=1).max() / num
    step = num / torch.linalg.matrix_norm(x, 2).square().clamp_min(1e-12)
    w = v = torch.zeros(x.shape[1], num_classes, dtype=torch.float64, device=x.device)
    t = 1.0
    for _ in range(ITERATIONS):
        moved = v - step * (x.T @ (x @ v - y)) / num
        length = moved.norm(dim=1, keepdim=True)
        new = moved * (1 - step * strength / length.clamp_min(1e-12)).clamp_min(0)
        after = (1 + (1 + 4 * t * t) ** 0.5) / 2
        w, v, t = new, new + (t - 1) / after * (new - w), after
    lengths: Tensor = w.norm(dim=1)
    return lengths


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=head_only(num_units), solve=Solve("head2toe", 1e-3, 0.5, Selected()))


STRATEGY = StrategyEntry(
    name="head2toe",
    summary="ridge regression on selected features of all units; the share that is kept is searched",
    paper="Evci et al. 2022, arXiv:2201.03529",
    build=build,
)
