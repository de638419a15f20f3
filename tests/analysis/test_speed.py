"""Steps to reach a share of full fine-tuning's score, by hand and against numpy and scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.analysis.speed import AT_ONCE, NEVER, Speed, chance, speed, steps_to, targets

CURVE = ((10, 0.2), (20, 0.5), (30, 0.4), (40, 0.9))


def row(repeat=0, score=0.9, curve=CURVE, **fields):
    return {"repeat": repeat, "status": "ok", "score": score, "curve": curve, "collapsed": 0.0, "metric": "accuracy",
            "num_classes": 10, **fields}  # fmt: skip


@pytest.mark.parametrize("target", [0.21, 0.3, 0.5])
def test_between_two_evaluations_it_is_read_off_a_straight_line(target):
    assert steps_to(CURVE, target) == pytest.approx(np.interp(target, [0.2, 0.5], [10, 20]))


def test_the_first_time_counts_even_where_the_score_falls_again():
    assert steps_to(CURVE, 0.45) < 20
    assert steps_to(CURVE, 0.7) == pytest.approx(30 + 10 * (0.7 - 0.4) / 0.5)


def test_what_the_evaluations_do_not_tell():
    assert steps_to(CURVE, 0.2) == steps_to(CURVE, 0.1) == AT_ONCE
    assert steps_to(CURVE, 0.91) == NEVER


def test_the_target_lies_between_chance_and_where_full_fine_tuning_ends():
    assert chance(row()) == 0.1
    assert chance(row(metric="mcc")) == 0
    assert targets([row(0, 0.9), row(1, 0.5)], 0.9) == pytest.approx({0: 0.82, 1: 0.46})
    assert targets([row(0, 0.9)], 0.5) == pytest.approx({0: 0.5})


def test_a_repeat_in_which_full_fine_tuning_learned_nothing_has_no_target():
    rows = [row(0, 0.9, collapsed=1.0), row(1, 0.1), row(2, status="diverged", score=math.nan), row(3, 0.6)]
    assert list(targets(rows, 0.9)) == [3]


def test_a_repeat_without_a_target_or_a_curve_is_left_out():
    found = speed([row(0), row(1), row(2, curve=()), row(3, status="failed")], {0: 0.5, 2: 0.5, 3: 0.5})
    assert found == Speed({0: 20}, 10, 40)
    assert speed([row(0, curve=((0, 0.7),))], {0: 0.5}) is None, "a closed form"


def test_a_training_that_diverged_never_comes_there():
    """Without it a strategy that breaks in half of its repeats would be as fast as one that never does."""
    lost = {"status": "diverged", "score": math.nan, "curve": ()}
    wanted = dict.fromkeys(range(3), 0.5)
    found = speed([row(0, **lost), row(1), row(2, **lost), row(3, **lost)], wanted)
    assert found.steps == {0: NEVER, 1: 20, 2: NEVER}, "repeat 3 has no target"
    assert found.median == NEVER
    assert found.times(speed([row(repeat) for repeat in range(3)], wanted)) is None


@pytest.mark.parametrize(("steps", "median"), [
    ([10, 30, 20], 20), ([10, 20], 15), ([10, NEVER, 30], 30), ([10, NEVER], NEVER), ([NEVER, NEVER, 5], NEVER),
    ([AT_ONCE, 8], 8), ([AT_ONCE, AT_ONCE, 8], AT_ONCE),
])
def test_a_median_stands_whatever_a_repeat_does_not_tell(steps, median):
    assert Speed(dict(enumerate(steps)), 5, 40).median == median


def test_a_multiple_is_a_geometric_mean_with_students_interval():
    own, others = np.array([12.0, 15.0, 11.0, 20.0]), np.array([30.0, 31.0, 25.0, 38.0])
    found = Speed(dict(enumerate(own)), 5, 40).times(Speed(dict(enumerate(others)), 5, 40))
    logs = np.log(own / others)
    low, high = stats.t.interval(0.95, 3, logs.mean(), stats.sem(logs))
    assert found.mean == pytest.approx(stats.gmean(own / others))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert found.n == 4


@pytest.mark.parametrize("odd", [AT_ONCE, NEVER])
def test_a_repeat_that_was_not_read_leaves_no_multiple(odd):
    """The repeats that are left would be the slow ones, or the fast."""
    one, other = Speed({0: 10, 1: odd}, 5, 40), Speed({0: 20, 1: 30}, 5, 40)
    assert one.times(other) is None
    assert other.times(one) is None
    assert other.times(Speed({0: 10}, 5, 40)).mean == pytest.approx(2), "in the repeats that both have"
