"""Pure functions over a handful of numbers: quantiles, plain intervals, Holm, binomial rates.

`variance.py` comes next: what a mean over repeats and test images owes to chance.
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
    """A mean with its interval; `low` and `high` are NaN where one value, or none, allows no interval."""

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


def t_quantile(share: float, df: float) -> float:
    from scipy.special import stdtrit  # a tenth of the import time of scipy.stats

    return float(stdtrit(df, share)) if df > 0 else math.nan


def t_share_below(t: float, df: float) -> float:
    from scipy.special import stdtr

    return float(stdtr(df, t)) if df > 0 else math.nan


def finite(values: Iterable[float]) -> Floats:
    array = np.asarray(list(values), dtype=np.float64)
    return array[np.isfinite(array)]


def mean_interval(values: Iterable[float], level: float = LEVEL) -> Interval:
    """Mean and Student t interval of the values that are there; NaN counts as absent."""
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


def share_interval(mean: float, variance: float, quantile: float, num: int) -> tuple[float, float]:
    """Ends of Wilson's interval for a share, which stays between 0 and 1, from a mean whose variance is known
    otherwise: as many independent draws as would have that variance stand behind it (Korn and Graubard). `num`: draws,
    where no variance is left to tell."""
    draws = mean * (1 - mean) / variance if variance > 0 and 0 < mean < 1 else float(num)
    if draws <= 0 or not math.isfinite(quantile):
        return math.nan, math.nan
    weight = quantile**2 / draws
    middle = (mean + weight / 2) / (1 + weight)
    half = math.sqrt(max(mean * (1 - mean), 0.0) * weight + weight**2 / 4) / (1 + weight)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def binomial_interval(hits: int, num: int) -> tuple[float, float]:
    """Wilson's, for a count."""
    share = hits / num
    return share_interval(share, share * (1 - share) / num, t_quantile((1 + LEVEL) / 2, math.inf), num)


@dataclass(frozen=True)
class Corrected:
    """One of several tests, after Holm's step-down correction."""

    p: float  # adjusted
    level: float  # two-sided level of its step: an interval of 1 - level excludes 0 just where the test rejects


def holm(p_values: Iterable[float]) -> Floats:
    """Adjusted p-values. NaN (not tested) stays NaN and is not counted."""
    return np.array([one.p for one in holm_steps(p_values)], dtype=np.float64)


def holm_steps(p_values: Iterable[float]) -> list[Corrected]:
    alpha = 1 - LEVEL
    p = np.asarray(list(p_values), dtype=np.float64)
    found = [Corrected(math.nan, math.nan)] * len(p)
    tested = np.flatnonzero(np.isfinite(p))
    running, level = 0.0, math.nan
    for rank, index in enumerate(tested[np.argsort(p[tested], kind="stable")]):
        remaining = len(tested) - rank
        if rank == 0 or running < alpha:  # from the first test that is not rejected on, its level holds for all
            level = alpha / remaining
        running = max(running, remaining * float(p[index]))
        found[index] = Corrected(min(1.0, running), level)
    return found


def resolution(scores: Iterable[float]) -> float:
    """The smallest step between two different scores of one test set: about one image. A floor for a pooled sd."""
    distinct = np.unique(np.round(finite(scores), 9))
    return float(np.diff(distinct).min()) if len(distinct) > 1 else 0.0
