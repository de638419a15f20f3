"""Least squares in which a column's weights to all classes are kept or dropped together, solved to its optimum.

Accelerated proximal gradient (Beck & Teboulle 2009) that starts anew where it overshoots (O'Donoghue & Candes 2015), on
the columns that matter so far; those that break the optimality condition join until none does. What is left to gain is
bounded by the duality gap, so the end is a statement about the solution and not about patience.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

TOLERANCE = 1e-6  # of the objective of all weights at 0
CHECKED = 20  # steps between two looks at the gap
MOST_STEPS = 50_000
SLACK = 1e-4  # by which a column that stays at 0 may break its condition


@dataclass(frozen=True)
class GroupLasso:
    lengths: Tensor  # [D], of each column's weights
    nearness: Tensor  # [D], of its gradient to the penalty: 1 where it has weights, less where it has none
    evaluations: int
    converged: bool

    @property
    def ranking(self) -> Tensor:
        """[D]: the longest weights first; then those at 0, the ones that would enter first ahead."""
        entering = self.nearness.argsort(descending=True, stable=True)
        return entering[self.lengths[entering].argsort(descending=True, stable=True)]


def group_lasso(features: Tensor, labels: Tensor, num_classes: int, share: float) -> GroupLasso:
    """Minimises ||Y - X W||^2 / 2n + s * sum of the lengths of W's rows, columns of X and of the one-hot Y centred,
    where s is a share of the least penalty that keeps all weights at 0."""
    x = features.double() - features.double().mean(0)
    y = F.one_hot(labels, num_classes).double()
    y = y - y.mean(0)
    nearness = (x.T @ y).norm(dim=1) / len(x)
    strength = share * float(nearness.max())
    lengths = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device)
    if strength == 0:
        return GroupLasso(lengths, lengths, 1, True)
    active = nearness.topk(min(x.shape[1], 2 * len(x))).indices
    w = torch.zeros(len(active), num_classes, dtype=torch.float64, device=x.device)
    total = 0
    while True:
        w, steps = _descend(x[:, active], y, w, strength)
        total += steps + 1
        nearness = (x.T @ (y - x[:, active] @ w)).norm(dim=1) / len(x) / strength
        outside = nearness.clone()
        outside[active] = 0.0
        breaking = (outside > 1 + SLACK).nonzero().flatten()
        if len(breaking) == 0 or steps >= MOST_STEPS:
            break
        kept = w.norm(dim=1) > 0
        worst = outside[breaking].argsort(descending=True)[: max(len(x), int(kept.sum()))]
        active = torch.cat([active[kept], breaking[worst]])
        w = torch.cat([w[kept], w.new_zeros(len(worst), num_classes)])
    lengths[active] = w.norm(dim=1)
    return GroupLasso(lengths, nearness, total, steps < MOST_STEPS)


def _descend(x: Tensor, y: Tensor, w: Tensor, strength: float) -> tuple[Tensor, int]:
    """From `w` on to the tolerance; and the steps taken."""
    num = len(x)
    goal = TOLERANCE * float(y.square().sum()) / (2 * num)
    step = num / torch.linalg.matrix_norm(x, 2).square().clamp_min(1e-12)
    ahead, speed = w, 1.0
    for taken in range(MOST_STEPS):
        if taken % CHECKED == 0 and _gap(x, y, w, strength) < goal:
            return w, taken
        moved = ahead - step * (x.T @ (x @ ahead - y)) / num
        shrunk = 1 - step * strength / moved.norm(dim=1, keepdim=True).clamp_min(1e-30)
        new = moved * shrunk.clamp_min(0)
        overshoots = bool(((ahead - new) * (new - w)).sum() > 0)
        after = 1.0 if overshoots else (1 + (1 + 4 * speed**2) ** 0.5) / 2
        ahead = new if overshoots else new + (speed - 1) / after * (new - w)
        w, speed = new, after
    return w, MOST_STEPS


def _gap(x: Tensor, y: Tensor, w: Tensor, strength: float) -> float:
    """Of the objective above its least value, at most."""
    num, rest = len(x), y - x @ w
    largest = float((x.T @ rest).norm(dim=1).max()) / num / strength
    dual = rest / max(1.0, largest)
    primal = rest.square().sum() / (2 * num) + strength * w.norm(dim=1).sum()
    return float(primal - ((y * dual).sum() - dual.square().sum() / 2) / num)
