"""A linear classifier on the best of what every unit of the frozen network puts out, not its last alone.

Paper: Evci et al., "Head2Toe: Utilizing Intermediate Representations for Better Transfer Learning", ICML 2022.
People get wrong: choosing features by the size of an unregularised classifier's weights. They are ranked by a group
lasso; how many are kept is what is searched, from eight for each class to all, in equal ratios: a share alone would
leave a small network a handful and a large one thousands. The final classifier is ridge regression here, the paper
trains one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from bench.catalogue import Options
from bench.spec.parts import Head, Solver
from bench.spec.recipe import Recipe, Solve, head_only
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import closed_forms, group_lasso, heads, torch

STRENGTH = 0.01  # of the least penalty that selects nothing
RIDGE = 0.01  # penalty of the classifier on what was selected
FEWEST = 8  # columns for each class
LEAST = 0.01  # what is searched goes from here, the fewest, to 1, all of them


@dataclass(frozen=True, kw_only=True)
class Selected(Solver):
    name: str = "head2toe"
    reads: ClassVar = "units"

    def heads(
        self, features: torch.Tensor, labels: torch.Tensor, num_classes: int, penalties: list[float]
    ) -> list[Head]:
        lasso = group_lasso.group_lasso(features, labels, num_classes, STRENGTH)
        found: list[Head] = []
        for place in penalties:
            chosen = lasso.ranking[: num_kept(place, features.shape[1], num_classes)].sort().values
            (head,) = closed_forms.ridge_path(features[:, chosen], labels, num_classes, [RIDGE])
            weight = torch.zeros(num_classes, features.shape[1], dtype=torch.float64, device=features.device)
            weight[:, chosen] = head.weight
            found.append(heads.LinearHead(weight, head.bias, lasso.evaluations, 0.0, lasso.converged))
        return found


def num_kept(place: float, num_columns: int, num_classes: int) -> int:
    """`place` .01: the fewest; 1: all; .1: their geometric mean."""
    fewest = min(num_columns, FEWEST * num_classes)
    return round(num_columns * math.pow(fewest / num_columns, math.log(place) / math.log(LEAST)))


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=head_only(num_units), solve=Solve("head2toe", LEAST, 1.0, Selected()))


STRATEGY = StrategyEntry(
    name="head2toe",
    summary="ridge regression on selected features of all units; how many are kept is searched",
    paper="Evci et al. 2022, arXiv:2201.03529",
    build=build,
)
