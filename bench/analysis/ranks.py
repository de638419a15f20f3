"""Ranks over data sets and whether they say anything: Friedman's test, then Wilcoxon's signed ranks over all pairs.

Tasks of one data set are not independent, so each data set counts once, with its mean over budgets and backbones.
The procedure is that of Demsar (2006), but pairs are compared by Wilcoxon and not by Nemenyi, whose answer for two
strategies depends on which others took part (Benavoli, Corani and Mangili 2016).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bench.analysis.across import DIGITS
from bench.analysis.cells import Task
from bench.analysis.statistics import LEVEL, Floats, holm
from bench.analysis.variance import Column


@dataclass(frozen=True)
class Ranking:
    datasets: int
    ranks: dict[str, float]  # mean rank, 1 for the highest score; the best first
    p: float  # of Friedman's test: all strategies are alike
    pairs: dict[tuple[str, str], float]  # p after Holm, the better one first
    cliques: list[list[str]]  # neighbours in rank of which no two are shown to differ, as many as go together

    @property
    def unjoined(self) -> list[tuple[str, str]]:
        """Pairs not shown to differ that no clique holds: somebody between them differs from one of them."""
        joined = {pair for names in self.cliques for pair in combinations(names, 2)}
        return [pair for pair in self.pairs if pair not in joined and not self.differs(pair)]

    def differs(self, pair: tuple[str, str]) -> bool:
        return self.p < 1 - LEVEL and self.pairs[pair] < 1 - LEVEL


def dataset_means(columns: Mapping[Task, Mapping[str, Column]], strategies: list[str]) -> Floats:
    """[data sets, strategies]: mean over the tasks of each."""
    tasks: dict[str, list[list[float]]] = {}
    for task, found in columns.items():
        tasks.setdefault(task[0], []).append([found[name].alone().mean for name in strategies])
    return np.array([np.mean(rows, axis=0) for rows in tasks.values()], dtype=np.float64)


def ranking(scores: Floats, strategies: list[str]) -> Ranking:
    """`scores` [data sets, strategies]"""
    places = np.array([midranks(-row) for row in np.round(scores, DIGITS)])
    means = places.mean(axis=0)
    order = [int(i) for i in np.argsort(means, kind="stable")]
    names = [strategies[i] for i in order]
    p = [wilcoxon(scores[:, i] - scores[:, j]) for i, j in combinations(order, 2)]
    pairs = dict(zip(combinations(names, 2), (float(one) for one in holm(p)), strict=True))
    found = Ranking(len(scores), {strategies[i]: float(means[i]) for i in order}, friedman(places), pairs, [])
    return Ranking(found.datasets, found.ranks, found.p, found.pairs, _cliques(names, found))


def friedman(places: Floats) -> float:
    """p of "all are alike" from ranks [data sets, strategies], by the F of Iman and Davenport, corrected for ties."""
    from scipy.special import fdtrc

    num, k = places.shape
    spread = float(((places - (k + 1) / 2) ** 2).sum())
    if k < 2 or num < 2 or spread == 0:
        return 1.0
    between = num * float(((places.mean(axis=0) - (k + 1) / 2) ** 2).sum())
    within = spread - between
    return 0.0 if within <= 1e-12 * spread else float(fdtrc(k - 1, (num - 1) * (k - 1), (num - 1) * between / within))


def wilcoxon(differences: Floats) -> float:
    """Two-sided p of the signed-rank test, exact with ties too. A difference of 0 gives half its rank to each side."""
    rounded = np.round(differences, DIGITS)
    doubled = np.round(2 * midranks(np.abs(rounded))).astype(np.int64)  # whole numbers, even where ranks are shared
    signed = doubled[rounded != 0]
    if not len(signed):
        return 1.0
    chances = np.ones(1)  # of every sum of ranks that may be positive, all signs alike likely
    for rank in signed:
        chances = (np.pad(chances, (0, rank)) + np.pad(chances, (rank, 0))) / 2
    above = int(doubled[rounded > 0].sum())
    fewer = min(above, int(signed.sum()) - above)
    return min(1.0, 2 * float(chances[: fewer + 1].sum()))


def midranks(values: Floats) -> Floats:
    """1 for the smallest; who is tied shares the mean of their places."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place], dtype=np.float64)


def _cliques(names: list[str], found: Ranking) -> list[list[str]]:
    """Runs of neighbours, none inside another, of two at the least."""
    runs: list[list[str]] = []
    for start in range(len(names)):
        end = start + 1
        while end < len(names) and not any(found.differs((one, names[end])) for one in names[start:end]):
            end += 1
        if end - start > 1 and not (runs and set(names[start:end]) <= set(runs[-1])):
            runs.append(names[start:end])
    return runs
