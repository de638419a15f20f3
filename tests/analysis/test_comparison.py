"""Which spread judges a difference: the one that a task's strategies share, or a strategy's own."""

import pytest

from bench.analysis.comparison import differences_to

ZERO = dict.fromkeys(range(5), 0.0)
QUIET = [0.00, 0.01, -0.01, 0.01, -0.01]
NOISY = [0.00, 0.10, -0.10, 0.10, -0.10]


def column(values: list[float], sign: float = 1.0) -> dict[int, float]:
    return {repeat: 0.05 + sign * value for repeat, value in enumerate(values)}


def test_columns_alike_share_one_spread() -> None:
    found = differences_to({"a": column(QUIET), "b": column(QUIET, -1.0), "c": column(QUIET[::-1])}, ZERO)
    assert len({difference.spread for difference in found.values()}) == 1
    assert found["a"].spread.sd == pytest.approx(0.01)  # squares add up to .0004, over 4


def test_a_column_far_noisier_than_the_others_is_judged_by_its_own() -> None:
    found = differences_to({"a": column(QUIET), "b": column(QUIET, -1.0), "loud": column(NOISY)}, ZERO)
    assert found["loud"].spread.sd == pytest.approx(0.1)
    assert found["loud"].spread.df == 4
    # The shared one, sqrt((.0001 + .0001 + .01) / 3) = .0583, would have made it look surer than it is.
    assert found["a"].spread.sd == pytest.approx(0.0583, abs=1e-4)
    assert found["loud"].high - found["loud"].low > found["a"].high - found["a"].low
