"""Each formula against a number worked by hand; the working stands beside it."""

import math

import numpy as np
import pytest

from bench.analysis.statistics import (
    Interval,
    binomial_interval,
    holm,
    holm_steps,
    mean_interval,
    resolution,
    separated,
    share_interval,
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


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04 -> x4 x3 x2 x1 = .04 .06 .06 .04, made monotone: .04 .06 .06 .06
    assert holm([0.04, 0.01, 0.03, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_holm_does_not_count_what_was_not_tested() -> None:
    found = holm([0.01, math.nan, 0.04])
    assert found[0] == pytest.approx(0.02)
    assert math.isnan(found[1])
    assert holm([]).tolist() == []
    assert holm([0.9, 0.9]).tolist() == [1, 1]


def test_resolution_is_one_image() -> None:
    assert resolution([0.5, 0.5125, 0.55, math.nan, 0.5]) == pytest.approx(0.0125)
    assert resolution([0.5]) == 0


def test_the_interval_of_a_step_agrees_with_its_test() -> None:
    """Whatever the p-values: below its level just where Holm rejects."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        p = rng.random(rng.integers(1, 12)) ** 4
        for one, step in zip(p, holm_steps(p), strict=True):
            assert (step.p < 0.05) == (one < step.level)
    # .001 < .05 / 3 and .01 < .05 / 2 are rejected; .2 is not, and has the level of its own step, .05
    assert [step.level for step in holm_steps([0.2, 0.001, 0.01])] == pytest.approx([0.05, 0.05 / 3, 0.025])
    # Nothing is rejected: all have the strictest.
    found = [step.level for step in holm_steps([0.2, math.nan, 0.04])]
    assert found == pytest.approx([0.025, math.nan, 0.025], nan_ok=True)


def test_interval_of_a_share_by_hand() -> None:
    # Wilson, 8 of 10, z = 1.96: (.8 + .192 +- 1.96 sqrt(.016 + .0096)) / 1.384 = .490, .943 (textbooks' numbers)
    low, high = binomial_interval(8, 10)
    assert (low, high) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert binomial_interval(0, 5) == pytest.approx((0, 0.434), abs=1e-3)
    # A mean of .8 with the variance of 40 draws counts as 40 draws, whatever made it.
    assert share_interval(0.8, 0.16 / 40, 1.96, 7) == share_interval(0.8, 0.16 / 40, 1.96, 9)
    assert share_interval(1.0, 0.0, 1.96, 100)[1] == pytest.approx(1)
    assert share_interval(1.0, 0.0, 1.96, 100)[0] == pytest.approx(1 / (1 + 1.96**2 / 100))
    assert math.isnan(share_interval(1.0, 0.0, 1.96, 0)[0])
