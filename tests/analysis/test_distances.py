"""What records' distances come to, against scipy, pencil and paper, and planted pairs."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.analysis import distances as distances_file
from bench.analysis.distances import Pair, distances, spearman, trends
from bench.store.results import Distance

FULL = {"num": 225, "folds": 5, "features": 0.1, "pixels": 0.4, "mmd": 0.05, "mmd_error": 0.01, "source_error": 0.2,
        "joint_source": 0.2, "joint_target": 0.3}  # fmt: skip


def frame(*rows):
    """`rows`: (dataset, strategy, repeat, distance)"""
    return pd.DataFrame([
        {"dataset": dataset, "budget": "20", "backbone": "small", "strategy": strategy,
         "lesson": "" if found is None else "source", "weights": "" if found is None else "ab",
         "status": "ok", "repeat": repeat, "distance": found}
        for dataset, strategy, repeat, found in rows
    ])  # fmt: skip


def only(*found) -> Pair:
    (pair,) = distances(frame(*(("near", "probe", n, Distance(**one)) for n, one in enumerate(found)))).pairs
    return pair


def test_one_measurement_has_the_intervals_of_its_images():
    """Of 450 that five folds share, by Nadeau and Bengio's factor of 2.25 as of 200."""
    pair = only(FULL)
    assert pair.features.mean == pytest.approx(2 * (1 - 2 * 0.1))
    ends = stats.binomtest(20, 200).proportion_ci(method="wilson")
    assert (pair.features.low, pair.features.high) == pytest.approx((2 - 4 * ends.high, 2 - 4 * ends.low))
    joint = stats.binomtest(50, 200).proportion_ci(method="wilson")
    assert (pair.joint.low, pair.joint.high) == pytest.approx((2 * joint.low, 2 * joint.high))
    quantile = stats.norm.ppf(0.975)
    middle, half = 0.2 + quantile**2 / 450, quantile * math.sqrt(0.16 / 225 + quantile**2 / 450**2)
    ends = ((middle + sign * half) / (1 + quantile**2 / 225) for sign in (-1, 1))
    assert (pair.source_error.low, pair.source_error.high) == pytest.approx(tuple(ends))
    assert (pair.mmd.low, pair.mmd.high) == pytest.approx((0.05 - 1.959964 * 0.01, 0.05 + 1.959964 * 0.01))
    assert pair.joint.mean == pytest.approx(0.5)
    assert math.isnan(pair.bound)
    assert math.isnan(pair.target_error.mean)


def test_equal_repeats_are_one_measurement_and_others_widen_the_interval():
    one, same = only(FULL), only(FULL, FULL, FULL)
    assert (same.features.low, same.features.high) == pytest.approx((one.features.low, one.features.high))
    spread = only(*({**FULL, "features": error} for error in (0.05, 0.1, 0.15)))
    assert spread.features.mean == pytest.approx(one.features.mean)
    assert spread.features.low < one.features.low
    assert spread.features.high > one.features.high


def test_the_sum_is_source_error_half_the_distance_and_lambda():
    same = {**FULL, "same_classes": True, "target_error": 0.7}
    assert only(same).bound == pytest.approx(0.2 + 1.6 / 2 + 0.5)
    assert only({**same, "features": 0.6}).bound == pytest.approx(0.2 + 0.5)  # no distance is below 0
    assert only(same).target_error.mean == pytest.approx(0.7)
    better = only({**same, "target_error": 0.25})
    assert better.least.mean == pytest.approx(0.2 + 0.25), "of two heads, the one with the lower sum"
    assert better.bound == pytest.approx(0.2 + 1.6 / 2 + 0.45)
    alone = only({**same, "joint_source": None, "joint_target": None})
    assert alone.least.mean == pytest.approx(0.9)
    assert math.isnan(only(FULL).least.mean)


def test_the_joint_errors_hang_together_by_their_own_folds():
    """Two of them widen the variance three times, by Nadeau and Bengio: 450 images count as 150."""
    joint = stats.binomtest(15, 60).proportion_ci(method="wilson")
    found = only({**FULL, "num": 90, "joint_folds": 2}).joint
    assert (found.low, found.high) == pytest.approx((2 * joint.low, 2 * joint.high))


def test_a_null_contains_zero_and_an_error_is_told():
    assert only({**FULL, "features": 0.53}).features.low < 0 < only({**FULL, "features": 0.53}).features.high
    found = distances(frame(("near", "probe", 0, Distance(error="OSError: gone")), ("far", "scratch", 0, None)))
    assert (found.pairs, found.errors, found.num_without) == ([], ["near, small: OSError: gone"], 0)


def test_a_failure_is_not_counted_among_records_from_before():
    rows = [("near", "probe", repeat, Distance(error=f"OSError: {repeat}")) for repeat in range(3)]
    old = frame(("far", "probe", 0, Distance()))
    old["distance"] = None
    found = distances(pd.concat([frame(*rows), old]))
    assert (len(found.errors), found.num_without) == (3, 1)


@pytest.mark.parametrize("num", [5, 6, 7])
@pytest.mark.parametrize("seed", range(4))
def test_spearman_is_scipys_and_its_p_exact(num, seed):
    draw = np.random.default_rng([num, seed])
    x, y = draw.integers(0, 6, num).astype(float), draw.normal(size=num)
    rho, p = spearman(x, y)
    theirs = stats.permutation_test((y,), lambda one: stats.spearmanr(x, one).statistic, permutation_type="pairings",
                                    n_resamples=np.inf)  # fmt: skip
    assert rho == pytest.approx(stats.spearmanr(x, y).statistic)
    strong = np.abs(theirs.null_distribution) >= abs(rho) - 1e-9
    assert p == pytest.approx(strong.mean())


def test_spearman_of_strict_orders_by_hand():
    assert spearman(np.arange(5.0), -np.arange(5.0)) == pytest.approx((-1.0, 2 / 120))
    assert all(map(math.isnan, spearman(np.ones(5), np.arange(5.0))))
    # Critical values of a published table (Zar): 0.587 at n = 12 is p = 0.05, two-sided.
    x = np.arange(12.0)
    places = np.array([4, 0, 2, 6, 1, 8, 3, 10, 11, 5, 7, 9], dtype=float)
    rho, p = spearman(x, places)
    assert p == pytest.approx(stats.spearmanr(x, places).pvalue, abs=0.01)
    assert (p < 0.05) == (abs(rho) > 0.587)


def planted(gains, strategy="tune"):
    """A pair for each gain, farther and farther."""
    names = [f"set{n}" for n in range(len(gains))]
    rows = [(name, strategy, 0, Distance(**{**FULL, "features": 0.4 - 0.04 * n})) for n, name in enumerate(names)]
    verdicts = [{"dataset": name, "backbone": "small", "strategy": strategy, "budget": "20", "difference": gain}
                for name, gain in zip(names, gains, strict=True)]  # fmt: skip
    return frame(*rows), verdicts


def test_gains_that_fall_are_found_and_nothing_is_claimed_below_five():
    finals, verdicts = planted([0.5, 0.4, 0.3, 0.2, 0.1])
    (trend,) = trends(finals, verdicts, distances(finals))
    assert (trend.rho, trend.p) == pytest.approx((-1.0, 2 / 120))
    assert trend.points[0] == pytest.approx((2 - 4 * 0.4, 0.5))
    finals, verdicts = planted([0.5, 0.4, 0.3, 0.2])
    assert trends(finals, verdicts, distances(finals)) == []
    finals, verdicts = planted([0.5, 0.4, math.nan, 0.2, 0.1])
    assert trends(finals, verdicts, distances(finals)) == []


def test_a_strategy_with_weights_of_its_own_is_held_against_its_own_distance():
    """After a stage on the way the network is another one, whatever the names say."""
    finals, verdicts = planted([0.5, 0.4, 0.3, 0.2, 0.1])
    staged, more = planted([0.1, 0.2, 0.3, 0.4, 0.5], "staged")
    staged["weights"] = "cd"
    staged["distance"] = [Distance(**{**FULL, "features": 0.3 + 0.01 * n}) for n in range(5)]
    both = pd.concat([finals, staged])
    known = distances(both)
    assert len(known.pairs) == 10
    found = {one.strategy: one for one in trends(both, [*verdicts, *more], known)}
    assert [x for x, _ in found["staged"].points] == pytest.approx([2 - 4 * (0.3 + 0.01 * n) for n in range(5)])
    assert [x for x, _ in found["tune"].points] == pytest.approx([2 - 4 * (0.4 - 0.04 * n) for n in range(5)])


def test_several_trends_are_corrected_together():
    first, second = planted([0.5, 0.4, 0.3, 0.2, 0.1]), planted([0.1, 0.4, 0.2, 0.3, 0.5], "probe")
    finals = pd.concat([first[0], second[0]])
    found = trends(finals, [*first[1], *second[1]], distances(finals))
    assert [one.strategy for one in found] == ["tune", "probe"]
    assert found[0].p == pytest.approx(2 * 2 / 120)


def test_many_pairs_are_judged_by_orders_drawn_the_same_every_time(monkeypatch):
    draw = np.random.default_rng(3)
    x, y = draw.normal(size=8), draw.normal(size=8)
    exact = spearman(x, y)
    monkeypatch.setattr(distances_file, "MOST_LISTED", 7)
    assert spearman(x, y)[1] == pytest.approx(exact[1], abs=0.01)
    assert spearman(x, y) == spearman(x, y)
    assert spearman(np.arange(12.0), np.arange(12.0))[1] == pytest.approx(1 / 100_000)
