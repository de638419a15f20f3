"""Pure functions over a handful of repeats: intervals, paired differences, Holm, what could have been seen.

Student's t throughout. A percentile bootstrap over 3-5 values covers 73-84 % where it says 95 %, so there is none.
`comparison.py` applies these to the frame.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
POWER = 0.8

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean with its interval; `low` and `high` are NaN where one value, or none, or one that is the same by
    construction, allows no interval."""

    mean: float
    low: float
    high: float
    n: int
    sd: float

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2

    def without_ends(self) -> "Interval":
        return replace(self, low=math.nan, high=math.nan)

    @property
    def remark(self) -> str:
        """Why there is no interval; empty where there is one."""
        return {0: "no value", 1: "one value: no interval"}.get(self.n, "")


@dataclass(frozen=True)
class Spread:
    """A standard deviation and the degrees of freedom that stand behind it."""

    sd: float
    df: float


@dataclass(frozen=True)
class Difference:
    """A mean paired difference, its interval and the p-value of "no difference" (not corrected for company)."""

    mean: float
    low: float
    high: float
    n: int
    p: float
    spread: Spread


def t_quantile(share: float, df: float) -> float:
    from scipy.special import stdtrit  # a tenth of the import time of scipy.stats

    return float(stdtrit(df, share)) if df > 0 else math.nan


def two_sided_p(t: float, df: float) -> float:
    from scipy.special import stdtr

    return float(2 * stdtr(df, -abs(t)))


def finite(values: Iterable[float]) -> Floats:
    array = np.asarray(list(values), dtype=np.float64)
    return array[np.isfinite(array)]


def mean_interval(values: Iterable[float], level: float = LEVEL) -> Interval:
    """Mean and t interval of the values that are there; NaN counts as absent."""
    kept = finite(values)
    n = len(kept)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0, math.nan)
    mean = float(kept.mean())
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1, math.nan)
    sd = float(kept.std(ddof=1))
    half = t_quantile((1 + level) / 2, n - 1) * sd / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n, sd)


def separated(first: Interval, second: Interval) -> bool:
    """Whether two intervals do not touch. False where either is missing: nothing can be said then."""
    return bool(first.low > second.high or second.low > first.high)


def shared_spread(differences: Floats, floor: float = 0.0) -> Spread:
    """One sd for columns of differences [repeats, comparisons] that share a reference, hence its noise.

    Such columns are correlated, so their degrees of freedom do not add up. Counting them as if they did lets 10-40 %
    of suites without any effect show one (simulated: 12 tasks, 8 strategies, 3 or 5 repeats, Holm). Greenhouse and
    Geisser's estimate from the covariance, (n - 1) tr(S)^2 / tr(S^2), keeps that under 5 % where the columns are about
    equally noisy, and at 5 repeats it still finds more than separate tests do. Where one column is noisier than the
    others by far it does not; `comparison.py` judges such a column by its own spread.
    """
    complete = differences[np.isfinite(differences).all(axis=1)]
    rows, columns = complete.shape
    if rows < 2 or columns == 0:
        return Spread(math.nan, 0)
    centred = complete - complete.mean(axis=0)
    covariance = centred.T @ centred / (rows - 1)
    trace = float(np.trace(covariance))
    sd = max(math.sqrt(trace / columns), floor)
    squared = float((covariance**2).sum())  # the trace of its square, as it is symmetric
    return Spread(sd, (rows - 1) * trace**2 / squared if squared > 0 else rows - 1)


def difference(values: Iterable[float], spread: Spread | None = None, level: float = LEVEL) -> Difference:
    """Mean of paired differences, judged by a pooled spread or, without one, by their own."""
    own = mean_interval(values, level)
    used = spread if spread is not None and spread.df > 0 else Spread(own.sd, own.n - 1)
    if own.n < 2:  # one pair says nothing about chance, however well the others are known
        return Difference(own.mean, math.nan, math.nan, own.n, math.nan, Spread(math.nan, 0))
    error = used.sd / math.sqrt(own.n)
    half = t_quantile((1 + level) / 2, used.df) * error
    certain = 1.0 if own.mean == 0 else 0.0  # without any spread
    p = two_sided_p(own.mean / error, used.df) if error > 0 else certain
    return Difference(own.mean, own.mean - half, own.mean + half, own.n, p, used)


def paired_differences(first: dict[int, float], second: dict[int, float]) -> Floats:
    """`first - second` for every repeat that both have."""
    shared = [repeat for repeat in first if repeat in second]
    return finite(first[repeat] - second[repeat] for repeat in shared)


def holm(p_values: Iterable[float]) -> Floats:
    """Holm's step-down correction. NaN (not tested) stays NaN and is not counted."""
    p = np.asarray(list(p_values), dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    running = 0.0
    for rank, index in enumerate(tested[np.argsort(p[tested], kind="stable")]):
        running = max(running, (len(tested) - rank) * float(p[index]))
        adjusted[index] = min(1.0, running)
    return adjusted


def smallest_detectable(spread: Spread, n: int, alpha: float = 1 - LEVEL, power: float = POWER) -> float:
    """The true difference that n pairs would have shown with this power; NaN where nothing could be tested."""
    if n < 2 or spread.df <= 0:
        return math.nan
    reach = t_quantile(1 - alpha / 2, spread.df) + t_quantile(power, spread.df)
    return reach * spread.sd / math.sqrt(n)


def resolution(scores: Iterable[float]) -> float:
    """The smallest step between two different scores of one test set: about one image. A floor for a pooled sd."""
    distinct = np.unique(np.round(finite(scores), 9))
    return float(np.diff(distinct).min()) if len(distinct) > 1 else 0.0
