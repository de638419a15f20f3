"""Each formula against a number worked by hand; the working stands beside it."""

import math

import numpy as np
import pytest

from bench.analysis.statistics import (
    Interval,
    Spread,
    difference,
    holm,
    mean_interval,
    paired_differences,
    resolution,
    separated,
    shared_spread,
    smallest_detectable,
)


def test_interval_by_hand() -> None:
    # mean 2, deviations -1 0 1, sd 1; t(.975, 2) = 4.30265; half = 4.30265 / sqrt(3) = 2.48414
    found = mean_interval([1, 2, 3])
    assert found.mean == 2
    assert found.sd == pytest.approx(1)
    assert found.low == pytest.approx(-0.48414, abs=1e-5)
    assert found.high == pytest.approx(4.48414, abs=1e-5)
    assert found.n == 3
    assert found.remark == ""


def test_nan_is_absent() -> None:
    assert mean_interval([1, math.nan, 2, 3]) == mean_interval([1, 2, 3])


def test_one_value_has_no_interval_and_says_so() -> None:
    found = mean_interval([0.7])
    assert found.mean == 0.7
    assert math.isnan(found.low)
    assert found.remark == "one value: no interval"
    assert mean_interval([]).remark == "no value"


def test_interval_covers_what_it_promises() -> None:
    rng = np.random.default_rng(0)
    for n in (3, 5):
        hits = [(i := mean_interval(rng.normal(size=n))).low < 0 < i.high for _ in range(2000)]
        assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_separated() -> None:
    low, high = Interval(1, 0.5, 1.5, 3, 1), Interval(3, 1.6, 4.4, 3, 1)
    assert separated(low, high)
    assert separated(high, low)
    assert not separated(low, Interval(3, 1.5, 4.5, 3, 1))  # they touch
    assert not separated(low, mean_interval([9.0]))


def test_shared_sd_by_hand() -> None:
    # Columns 0 2 4 and 1 1 4: variances 4 and 3, covariance (-2 * -1 + 0 * -1 + 2 * 2) / 2 = 3.
    # sd = sqrt(7 / 2); trace of the square = 16 + 9 + 2 * 9 = 43; df = 2 * 49 / 43
    found = shared_spread(np.array([[0.0, 1], [2, 1], [4, 4]]))
    assert found.sd == pytest.approx(math.sqrt(3.5))
    assert found.df == pytest.approx(98 / 43)


def test_shared_degrees_of_freedom_do_not_multiply_with_copies() -> None:
    column = np.array([0.1, 0.3, 0.2, 0.5])
    assert shared_spread(np.stack([column] * 6, axis=1)).df == pytest.approx(3)


def test_shared_sd_leaves_out_rows_with_gaps_and_has_a_floor() -> None:
    gaps = np.array([[0.0, 1], [2, math.nan], [4, 4]])
    assert shared_spread(gaps).sd == pytest.approx(shared_spread(gaps[[0, 2]]).sd)
    assert shared_spread(np.zeros((3, 2)), floor=0.01).sd == 0.01
    assert shared_spread(np.zeros((1, 2))).df == 0


def test_difference_by_hand() -> None:
    # mean 2, error 1 / sqrt(3); t = 3.4641 with 2 df: p = 1 - t / sqrt(2 + t^2) = 1 - 3.4641 / 3.74166 = 0.07418
    found = difference([1, 2, 3])
    assert found.p == pytest.approx(0.07418, abs=1e-5)
    assert found.low == pytest.approx(-0.48414, abs=1e-5)


def test_difference_with_a_pooled_spread() -> None:
    # error 0.5 / sqrt(3) = 0.288675, t(.975, 8) = 2.30600: half = 0.66569
    found = difference([1, 2, 3], Spread(0.5, 8))
    assert found.low == pytest.approx(2 - 0.66569, abs=1e-5)
    assert found.spread == Spread(0.5, 8)


def test_one_pair_shows_nothing_however_well_the_others_are_known() -> None:
    found = difference([5.0], Spread(0.001, 50))
    assert found.n == 1
    assert math.isnan(found.p)


def test_without_any_spread_only_equality_is_undecided() -> None:
    assert difference([0, 0, 0]).p == 1
    assert difference([1, 1, 1]).p == 0


def test_pairs_are_made_by_repeat() -> None:
    assert paired_differences({0: 5, 1: 7, 3: 1}, {1: 4, 0: 1, 2: 9}).tolist() == [4, 3]


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04 -> x4 x3 x2 x1 = .04 .06 .06 .04, made monotone: .04 .06 .06 .06
    assert holm([0.04, 0.01, 0.03, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_holm_does_not_count_what_was_not_tested() -> None:
    found = holm([0.01, math.nan, 0.04])
    assert found[0] == pytest.approx(0.02)
    assert math.isnan(found[1])
    assert holm([]).tolist() == []
    assert holm([0.9, 0.9]).tolist() == [1, 1]


def test_smallest_detectable_by_hand() -> None:
    # t(.975, 4) = 2.77645, t(.8, 4) = 0.94096; (sum 3.71741) * 2 / sqrt(5) = 3.32495
    assert smallest_detectable(Spread(2, 4), 5) == pytest.approx(3.32495, abs=1e-4)
    assert math.isnan(smallest_detectable(Spread(2, 4), 1))


def test_resolution_is_one_image() -> None:
    assert resolution([0.5, 0.5125, 0.55, math.nan, 0.5]) == pytest.approx(0.0125)
    assert resolution([0.5]) == 0


def test_holm_with_the_shared_spread_keeps_false_alarms_rare() -> None:
    """8 strategies against one noisy baseline in 12 tasks, no effect anywhere: naive pooling alarms in over 20 %."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        p = []
        for _ in range(12):
            columns = rng.normal(size=(5, 8)) - 3 * rng.normal(size=(5, 1))
            spread = shared_spread(columns)
            p += [difference(column, spread).p for column in columns.T]
        alarms += bool((holm(p) < 0.05).any())
    assert alarms / 200 < 0.09
