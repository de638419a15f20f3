"""Ranks and their tests, against a published table and scipy."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import PermutationMethod, f, friedmanchisquare
from scipy.stats import wilcoxon as scipy_wilcoxon

from bench.analysis.leaderboard import fewest_tasks
from bench.analysis.ranks import Ranking, _cliques, dataset_means, ranking, wilcoxon
from bench.analysis.variance import Column

# Demsar (2006), table 6: AUC of four decision trees on 14 data sets. Two scores of "voting" that he prints alike have
# different ranks there.
DEMSAR = np.array([
    [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
    [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
    [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
    [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
    [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
])  # fmt: skip
TREES = ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"]


def test_mean_ranks_of_a_published_table() -> None:
    found = ranking(DEMSAR, TREES)
    expected = {"C4.5+m+cf": 1.964, "C4.5+m": 2.000, "C4.5+cf": 2.893, "C4.5": 3.143}
    assert list(found.ranks) == list(expected)
    assert list(found.ranks.values()) == pytest.approx(list(expected.values()), abs=5e-4)
    # His chi square, which is not corrected for ties.
    assert 12 * 14 / (4 * 5) * (sum(r**2 for r in found.ranks.values()) - 25) == pytest.approx(9.28, abs=5e-3)


def test_friedman_is_that_of_scipy() -> None:
    chi2 = friedmanchisquare(*DEMSAR.T).statistic
    num, k = DEMSAR.shape
    iman = (num - 1) * chi2 / (num * (k - 1) - chi2)
    assert ranking(DEMSAR, TREES).p == pytest.approx(f.sf(iman, k - 1, (k - 1) * (num - 1)))


def test_wilcoxon_is_that_of_scipy() -> None:
    for seed, num in enumerate((5, 9, 14, 30, 60)):
        differences = np.random.default_rng(seed).normal(0.3, 1, num)
        expected = scipy_wilcoxon(differences, method="exact").pvalue
        assert wilcoxon(differences) == pytest.approx(expected)


def test_wilcoxon_with_ties_is_that_of_all_signs() -> None:
    differences = np.array([1, 1, 2, -1, 3, 3, -2, 4, 4, 4, 5], dtype=np.float64)
    every = scipy_wilcoxon(differences, method=PermutationMethod(n_resamples=np.inf)).pvalue
    assert wilcoxon(differences) == pytest.approx(every)


def test_differences_of_nothing() -> None:
    """Ranks are 1.5, 1.5, 3, 4; the two zeros give 1.5 to either side. Both signs of 3 and 4: four sums."""
    assert wilcoxon(np.zeros(9)) == 1
    assert wilcoxon(np.array([0.0, 0.0, 0.1, 0.2])) == pytest.approx(2 / 4)


def test_the_fewest_data_sets_are_just_enough() -> None:
    """As different as can be: one data set fewer shows nothing."""
    for k in (2, 3, 5):
        names = [f"s{s}" for s in range(k)]
        table = np.arange(k)[None] + 0.01 * np.arange(20)[:, None] * np.arange(k)
        num = fewest_tasks(k)
        enough, few = ranking(table[:num], names), ranking(table[: num - 1], names)
        assert all(enough.differs(pair) for pair in enough.pairs)
        assert not any(few.differs(pair) for pair in few.pairs)
        assert enough.cliques == []
        assert few.cliques == [names[::-1]]


def test_equal_strategies_are_one_clique() -> None:
    found = ranking(np.full((12, 3), 0.5), ["a", "b", "c"])
    assert found.ranks == {"a": 2, "b": 2, "c": 2}
    assert found.p == 1
    assert found.cliques == [["a", "b", "c"]]


def made(different: set[tuple[str, str]]) -> Ranking:
    names = ["a", "b", "c", "d"]
    pairs = {pair: 0.01 if pair in different else 0.5 for pair in combinations(names, 2)}
    bare = Ranking(20, dict.fromkeys(names, 1.0), 0.01, pairs, [])
    return Ranking(20, bare.ranks, 0.01, pairs, _cliques(names, bare))


def test_cliques_by_hand() -> None:
    overlapping = made({("a", "c"), ("a", "d")})
    assert overlapping.cliques == [["a", "b"], ["b", "c", "d"]]
    assert overlapping.unjoined == []
    # a and d are not shown to differ, though b between them differs from both.
    broken = made({("a", "b"), ("b", "d"), ("b", "c")})
    assert broken.cliques == [["c", "d"]]
    assert broken.unjoined == [("a", "c"), ("a", "d")]


def test_a_data_set_counts_once() -> None:
    def at(score: float) -> dict[str, Column]:
        return {"x": Column({0: score, 1: score}, {}), "y": Column({0: 0.5, 1: 0.7}, {})}

    tasks = {
        ("a", "5", "net"): at(0.2), ("a", "20", "net"): at(0.4), ("a", "5", "other"): at(0.9), ("b", "5", "net"): at(1)
    }  # fmt: skip
    assert dataset_means(tasks, ["x", "y"]) == pytest.approx(np.array([[0.5, 0.6], [1.0, 0.6]]))
