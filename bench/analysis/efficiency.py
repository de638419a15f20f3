"""How many times as many labels would scratch need to score as high? Its learning curve, read the other way round.

Scratch's mean scores at its label budgets are made to rise (isotonic regression on their logits) and joined by a curve
that never falls between them (PCHIP in the logarithm of the labels). Where that curve reaches a strategy's score lies
the number of labels that the strategy saves. `report/sections/learning.py` has the table.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bench.analysis.cells import Row, lowest_score
from bench.analysis.statistics import Floats

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator

NEVER = math.inf  # scratch scores lower, even with the most labels that were tried
AT_ONCE = 0.0  # scratch scores as high with the fewest labels that were tried
NEAREST = 1e-3  # a score is held this far from both ends of its scale, where a logit is infinite


@dataclass(frozen=True)
class Multiple:
    """What the labels of one cell are worth, in scratch's labels; AT_ONCE and NEVER are what the suite cannot tell."""

    row: Row  # of the strategy's cell, as `cells.py` has it
    times: float
    low: float  # NaN where a repeat stands alone: no interval
    high: float
    least: float  # scratch's fewest labels and its most, as multiples of the cell's
    most: float
    n: int  # the fewest repeats that any mean comes from


def labels_to_reach(curve: Sequence[tuple[float, float]], score: float) -> float:
    """The fewest labels at which the curve reaches the score. `curve`: labels and scores strictly inside (0, 1), by
    growing labels, two at least."""
    labels, heights, through = _fitted(tuple(curve))
    wanted = _logit(score)
    if wanted <= heights[0]:
        return AT_ONCE
    if wanted > heights[-1]:
        return NEVER
    crossings = through.solve(wanted, extrapolate=False)
    return float(np.exp(np.nanmin([*crossings, labels[-1]])))  # at the very top, rounding may leave no crossing


@lru_cache(maxsize=8)
def _fitted(curve: tuple[tuple[float, float], ...]) -> "tuple[Floats, Floats, PchipInterpolator]":
    """Scratch's, against which every strategy is held in turn."""
    from scipy.interpolate import PchipInterpolator  # 0.5 s to import, which most pages need not wait for

    labels, heights = np.log([n for n, _ in curve]), rising([_logit(one) for _, one in curve])
    return labels, heights, PchipInterpolator(labels, heights)


def rising(values: Sequence[float]) -> Floats:
    """The nearest values, in squares, that never fall."""
    from scipy.optimize import isotonic_regression

    found: Floats = isotonic_regression(values).x
    return found


def multiples(rows: list[Row]) -> list[Multiple]:
    """Of the cells of one data set and backbone; none without scratch at two budgets."""
    baselines = [row for row in rows if row["baseline"]]
    first = next((row["strategy"] for row in baselines), None)
    scratch = sorted((row for row in baselines if row["strategy"] == first and _is_known(row)), key=_labels)
    if len({_labels(row) for row in scratch}) < 2 or len(scratch) != len({_labels(row) for row in scratch}):
        return []
    return [_multiple(row, scratch) for row in rows if not row["baseline"] and _is_known(row)]


def _multiple(row: Row, scratch: list[Row]) -> Multiple:
    """The interval takes each end of the strategy's own interval to the curve through scratch's other ends: its low end
    against scratch at its highest gives the least multiple. Both would have to err at once, and in opposite directions,
    for the truth to lie outside, so that it errs on the wide side."""

    def times(own: str, others: str) -> float:
        ends = [(_labels(one), _share(one, others)) for one in scratch]
        if not math.isfinite(row[own]) or not all(math.isfinite(end) for _, end in ends):
            return math.nan
        return labels_to_reach(ends, _share(row, own)) / _labels(row)

    return Multiple(
        row,
        times("mean", "mean"),
        times("low", "high"),
        times("high", "low"),
        _labels(scratch[0]) / _labels(row),
        _labels(scratch[-1]) / _labels(row),
        min(int(one["n"]) for one in (row, *scratch)),
    )


def _is_known(row: Row) -> bool:
    return bool(row["n"] > 0 and math.isfinite(row["mean"]) and row["labels_per_class"] > 0)


def _labels(row: Row) -> float:
    return float(row["labels_per_class"])


def _share(row: Row, column: str) -> float:
    """The score as a share of its scale."""
    lowest = lowest_score(row["metric"])
    share = (float(row[column]) - lowest) / (1 - lowest)
    return min(max(share, NEAREST), 1 - NEAREST) if math.isfinite(share) else math.nan


def _logit(share: float) -> float:
    return math.log(share / (1 - share))
