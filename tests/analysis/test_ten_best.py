"""The paper's reading of a study, which chooses by the test set: its values, and that nothing else reads it."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from bench.analysis.ten_best import mean_of_best, num_readings, ten_best
from bench.analysis.transferability import studies
from tests.analysis.studied import Planned, finals

ASKED = {"transferability": {"reading": "yosinski"}, "training": {"evaluations": 30}}


@pytest.fixture
def frame():
    """Finals with ten best that lie above the last score, by less where more is kept."""
    made = finals(Planned(n=4), np.random.default_rng(2))
    above = np.random.default_rng(4).uniform(0.01, 0.03, len(made)) / (1 + made["keep"])
    best = made["score"] + above
    return made.assign(ten_best=best, curve=[curve(one, score) for one, score in zip(best, made["score"], strict=True)])


def curve(best, last):
    """30 scores, ten of which average so; the others are worse."""
    spread = np.linspace(-0.004, 0.004, 10)
    return tuple(enumerate([*np.full(19, best - 0.1), *(best + spread), min(last, best - 0.02)], start=1))


def results(frame, suite=ASKED):
    return SimpleNamespace(finals=frame, suite=suite)


def test_the_inflation_is_a_mean_of_paired_differences(frame):
    [found] = ten_best(results(frame))
    assert [one.treatment for one in found.inflations] == ["base", "BnB", "BnB+", "AnB", "AnB+", "random"]
    for one in found.inflations:
        mine = frame[frame["treatment"] == one.treatment]
        by_repeat = mine.groupby("repeat")[["score", "ten_best"]].mean()
        gains = by_repeat["ten_best"] - by_repeat["score"]
        assert one.last == pytest.approx(mine["score"].mean())
        assert one.ten_best == pytest.approx(mine["ten_best"].mean())
        low, high = stats.t.interval(0.95, 3, gains.mean(), stats.sem(gains))
        assert (one.gain.mean, one.gain.low, one.gain.high) == pytest.approx((gains.mean(), low, high))
    assert found.base == pytest.approx(frame[frame["treatment"] == "base"]["ten_best"].mean())
    deepest = frame[(frame["treatment"] == "AnB") & (frame["keep"] == 5)]
    [curve] = [curve for curve in found.curves if curve.treatment == "AnB"]
    assert curve.means[5] == pytest.approx(deepest["ten_best"].mean())


def test_it_is_shown_only_where_it_is_asked_for(frame):
    assert ten_best(results(frame, {"transferability": {"reading": "last"}, "training": {"evaluations": 30}})) == []
    assert ten_best(results(frame, {"transferability": None})) == []


def test_no_other_reading_reads_it(frame):
    without = studies(results(frame.assign(curve=[()] * len(frame))))
    for one, other in zip(studies(results(frame)), without, strict=True):
        assert one.readings == other.readings
        assert (one.base, one.curves) == (other.base, other.curves)


def test_a_cell_without_scores_is_left_out(frame):
    gone = (frame["treatment"] == "AnB") & (frame["keep"] == 5)
    frame.loc[gone, ["status", "score"]] = ["failed", np.nan]
    [found] = ten_best(results(frame))
    [one] = [one for one in found.inflations if one.treatment == "AnB"]
    assert one.last == pytest.approx(frame[frame["treatment"] == "AnB"]["score"].mean())


def test_how_many_scores_there_are_to_choose_among(frame):
    assert num_readings(results(frame)) == 30
    assert num_readings(results(frame.assign(curve=[()] * len(frame)))) == 0


@pytest.mark.parametrize(("scores", "mean"), [
    ([*range(12), 5], (sum(range(3, 12)) + 5) / 10),
    (range(10), 4.5),
    (range(9), np.nan),
])  # fmt: skip
def test_the_ten_best_of_a_training(scores, mean):
    assert mean_of_best(tuple(enumerate(scores))) == pytest.approx(mean, nan_ok=True)
