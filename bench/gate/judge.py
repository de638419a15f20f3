"""From a change and its error to a word: one-sided tests against the margin, Holm over all cells, what could have
been seen. `compare.py` and `history.py` bring the changes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import nctdtrinc, stdtr, stdtrit

from bench.analysis.statistics import LEVEL, POWER, Floats, Spread, holm
from bench.gate.verdict import Word

ALPHA = 1 - LEVEL


@dataclass(frozen=True)
class Change:
    """Of one cell, in points: tonight minus before."""

    mean: float
    error: float  # standard error of the mean
    df: float  # behind the error


@dataclass(frozen=True)
class Judged:
    word: Word
    p: float  # of the direction that was taken, corrected
    low: float
    high: float
    smallest: float  # points


def judge(changes: Sequence[Change], margin: float, share: float = 1.0) -> list[Judged]:
    """All cells that could have changed, at once: Holm counts them. Falls and rises are two families. `share`: of the
    night's 5 %; p-values are divided by it, so that all of a night's are held against the same 5 %."""
    if not changes:
        return []
    mean = np.array([one.mean for one in changes])
    error = np.array([one.error for one in changes])
    df = np.array([one.df for one in changes])
    fell = np.minimum(holm(_p_above(-mean - margin, error, df)) / share, 1.0)
    rose = np.minimum(holm(_p_above(mean - margin, error, df)) / share, 1.0)
    # Two one-sided tests at 5 % in each cell: a wrong "equivalent" raises no alarm, so there is nothing to correct.
    within = np.maximum(_p_above(mean + margin, error, df), _p_above(margin - mean, error, df)) <= ALPHA
    half = _t_quantile((1 + LEVEL) / 2, df) * error
    smallest = margin + _reach(df, len(changes) / share) * error
    return [
        Judged(
            word=_word(fell[i], rose[i], bool(within[i])),
            p=float(fell[i] if mean[i] <= 0 else rose[i]),
            low=float(mean[i] - half[i]),
            high=float(mean[i] + half[i]),
            smallest=float(smallest[i]),
        )
        for i in range(len(changes))
    ]


def smallest_drop(spread: Spread, n: int, margin: float, tests: float) -> float:
    """The true drop that n pairs show with a power of 0.8 although Holm takes its strictest step, points. `tests`: of
    cells, divided by their share of the night's 5 %."""
    return float(margin + _reach(np.array([spread.df]), tests)[0] * spread.sd / math.sqrt(n))


def _word(fell: float, rose: float, within: bool) -> Word:
    if fell <= ALPHA:
        return "regressed"
    if rose <= ALPHA:
        return "improved"
    return "equivalent" if within else "inconclusive"


def _p_above(excess: Floats, error: Floats, df: Floats) -> Floats:
    """That the true excess is not above zero."""
    return np.asarray(stdtr(df, -excess / error), dtype=np.float64)


def _t_quantile(share: float, df: Floats) -> Floats:
    return np.asarray(stdtrit(df, share), dtype=np.float64)


def _reach(df: Floats, tests: float) -> Floats:
    """How many standard errors a drop must lie beyond the margin. By the noncentral t: at 4 degrees of freedom and
    24 cells the sum of two quantiles is 8 % short."""
    return np.asarray(nctdtrinc(df, 1 - POWER, _t_quantile(1 - ALPHA / tests, df)), dtype=np.float64)
