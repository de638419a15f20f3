"""One strategy over all tasks, repeat by repeat and not as a mean: how often it beats the baseline, what its middle
half scores, how often it scores above any given height. The tasks are held fixed. `ranks.py` and `picks.py` come next.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.analysis.comparison import average
from bench.analysis.statistics import LEVEL, Floats, share_interval, t_quantile
from bench.analysis.variance import Column

DIGITS = 9  # two scores that agree in so many are tied
QUARTER = 0.25  # of all task-repeats, cut off at either end
# Below, the interval of a middle half holds in 90 to 93 % of suites, and of 2 tasks with 2 repeats it has no width.
FEWEST_TASKS = 3
FEWEST_PAIRS = 6  # task-repeats; the interval of a share of 4 holds in 92.7 % of suites where tasks are related


@dataclass(frozen=True)
class Share:
    """Of task-repeats; `low` and `high` are NaN for a single repeat, and for few task-repeats."""

    mean: float
    low: float
    high: float
    n: int  # repeats of every task
    tasks: int


def share(hits: Floats) -> Share:
    """`hits` [tasks, repeats], each 0, 1/2 or 1. Wilson's interval, from as many independent draws as would scatter as
    much as the means of the repeats do, and never from more than there are task-repeats: a repeat's tasks may have
    labels and starts in common, and three repeats that agree by chance show no certainty."""
    tasks, n = hits.shape
    mean = float(hits.mean())
    if n < 2 or hits.size < FEWEST_PAIRS:
        return Share(mean, math.nan, math.nan, n, tasks)
    between = float(hits.mean(axis=0).var(ddof=1)) / n
    variance = max(between, mean * (1 - mean) / hits.size)
    low, high = share_interval(mean, variance, t_quantile((1 + LEVEL) / 2, math.inf), hits.size)
    return Share(mean, low, high, n, tasks)


def improvement(columns: Sequence[Column], baselines: Sequence[Column]) -> Share:
    """How often it scores above the baseline, on a task and repeat drawn at random; a tie counts half. One column for
    each task, paired by the repeats that all tasks have."""
    repeats = shared_repeats([*columns, *baselines])
    return share(0.5 + np.sign(np.round(_table(columns, repeats) - _table(baselines, repeats), DIGITS)) / 2)


def profile(columns: Sequence[Column], heights: Floats) -> list[Share]:
    """How often it scores above each height."""
    table = _table(columns, shared_repeats(columns))
    return [share((table > height).astype(np.float64)) for height in heights]


def middle_half(columns: Sequence[tuple[str, Column]]) -> Column:
    """The interquartile mean over tasks, given with their data sets, and repeats, as a column whose mean it is.

    Each repeat's score is what it contributes: the mean over tasks of its scores, moved to the quartiles of all where
    they lie outside, and stretched so that the mean over repeats is the interquartile mean itself. Images count where
    a score lies inside. So chance is judged as for any mean (the influence function of a trimmed mean).
    """
    repeats = shared_repeats([column for _, column in columns])
    scores = np.sort(_table([column for _, column in columns], repeats), axis=None)
    first, last = scores[int(QUARTER * scores.size)], scores[math.ceil((1 - QUARTER) * scores.size) - 1]
    inside = 1 - 2 * QUARTER
    clipped = average([(dataset, _clipped(column, float(first), float(last))) for dataset, column in columns])
    return replace(
        clipped,
        scores={r: (clipped.scores[r] - QUARTER * float(first + last)) / inside for r in repeats},
        images={r: one / np.float32(inside) for r, one in clipped.images.items()},
        step=clipped.step / inside,
    )


def _clipped(column: Column, first: float, last: float) -> Column:
    inside = {r: first <= score <= last for r, score in column.scores.items()}
    return replace(
        column,
        scores={r: min(max(score, first), last) for r, score in column.scores.items()},
        images={r: one * np.float32(inside[r]) for r, one in column.images.items()},
    )


def shared_repeats(columns: Sequence[Column]) -> list[int]:
    return [r for r in columns[0].scores if all(r in column.scores for column in columns)] if columns else []


def _table(columns: Sequence[Column], repeats: Sequence[int]) -> Floats:
    """[tasks, repeats]"""
    return np.array([[column.scores[r] for r in repeats] for column in columns], dtype=np.float64)
