"""How noisy a cell is, learnt from its own handful of pairs and from those of its group. `judge.py` comes next.

A group is the cells of one dataset and label budget: the same test images and, by repeat, the same labels. Digits
scatter by 4.5 points at 2 labels per class and by 1.2 at 10, so nothing is ever pooled over groups.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import digamma, polygamma

from bench.analysis.statistics import Floats, Spread

TINY = 1e-7  # points; scores are kept to 1e-9, so what is smaller than this is no difference
NEWTON_STEPS = 20

ByRepeat = Mapping[int, float]


def spreads(cells: Sequence[ByRepeat], floor: float) -> list[Spread]:
    """One for each cell of a group, all of two differences or more, in points and none below `floor`.

    Smyth 2004: each cell's variance is drawn towards the group's by as much as the cells' variances are alike. Where
    they scatter no more than chance lets them, this is the pooled spread; a cell far noisier than its group keeps
    nearly its own. One spread for all let more false alarms through (`README.md` has the numbers).
    """
    df = np.array([len(cell) - 1 for cell in cells], dtype=np.float64)
    variance = np.array([max(_variance(cell), max(floor, TINY) ** 2) for cell in cells])
    if len(cells) == 1:
        return [Spread(math.sqrt(variance[0]), float(df[0]))]
    pooled = float((df * variance).sum() / df.sum())
    shared_df = float(df.sum()) * _share_of_freedom(cells)
    prior = _prior(variance, df)
    if prior is None:
        return [Spread(math.sqrt(pooled), shared_df) for _ in cells]
    weighted = (prior.df * prior.sd**2 + df * variance) / (prior.df + df)
    return [
        Spread(max(math.sqrt(one), floor), min(prior.df + own, max(shared_df, own)))
        for one, own in zip(weighted.tolist(), df.tolist(), strict=True)
    ]


def _variance(cell: ByRepeat) -> float:
    return float(np.var(list(cell.values()), ddof=1))


def _prior(variance: Floats, df: Floats) -> Spread | None:
    """What the group says of any of its cells, as a spread with degrees of freedom; None where all are as noisy as
    each other, as far as the data can show."""
    logs = np.log(variance) - digamma(df / 2) + np.log(df / 2)
    excess = float(logs.var(ddof=1) - polygamma(1, df / 2).mean())
    if excess <= 0:
        return None
    half = _trigamma_inverse(excess)
    return Spread(math.exp((logs.mean() + digamma(half) - math.log(half)) / 2), 2 * half)


def _trigamma_inverse(value: float) -> float:
    x = 0.5 + 1 / value
    for _ in range(NEWTON_STEPS):  # Smyth's iteration: monotone, so it needs no step control
        trigamma = float(polygamma(1, x))
        x += trigamma * (1 - trigamma / value) / float(polygamma(2, x))
    return x


def _share_of_freedom(cells: Sequence[ByRepeat]) -> float:
    """Of the degrees of freedom that independent cells would have; cells on the same labels move together.

    tr(V)^2 / tr(V^2) of the covariance V, both estimated without bias; from 5 repeats the plain ratio
    (`statistics.shared_spread`) finds 10 of the 24 that 6 independent cells have, and the gate grows blind.
    """
    repeats = sorted(set.intersection(*(set(cell) for cell in cells)))
    table = np.array([[cell[repeat] for cell in cells] for repeat in repeats])
    n, least = len(repeats) - 1, 1 / len(cells)
    if n < 2:
        return least
    table = table - table.mean(axis=0)
    covariance = table.T @ table / n
    trace, squared = float(np.trace(covariance)), float((covariance**2).sum())
    below = (squared - trace**2 / n) * n  # times n / ((n - 1) (n + 2)), as the next line
    above = (trace**2 - 2 * squared / (n + 1)) * (n + 1)
    if below <= 0:
        return 1.0
    return float(np.clip(above / below / len(cells), least, 1.0))
