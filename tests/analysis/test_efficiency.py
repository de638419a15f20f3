"""What a label is worth: against scipy and scikit-learn, and where the truth is planted."""

import math

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from bench.analysis.efficiency import AT_ONCE, NEVER, labels_to_reach, multiples, rising
from bench.analysis.statistics import mean_interval


def row(strategy, labels, scores, baseline=False, metric="accuracy"):
    found = mean_interval(scores)
    return {"strategy": strategy, "labels_per_class": labels, "baseline": baseline, "metric": metric,
            "mean": found.mean, "low": found.low, "high": found.high, "n": found.n}  # fmt: skip


def constant(strategy, labels, score, baseline=False, metric="accuracy"):
    return row(strategy, labels, [score] * 3, baseline, metric)


def curve(heights, metric="accuracy"):
    """Scratch at 5, 20 and 80 labels per class, without any noise."""
    return [constant("scratch", n, one, True, metric) for n, one in zip((5, 20, 80), heights, strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_rising_is_isotonic_regression(seed):
    values = np.random.default_rng(seed).normal(size=6)
    theirs = IsotonicRegression().fit_transform(np.arange(6), values)
    assert rising(values) == pytest.approx(theirs)


@pytest.mark.parametrize("wanted", [0.25, 0.4, 0.55, 0.74])
def test_the_curve_is_read_where_a_root_finder_reads_it(wanted):
    points = [(5, 0.2), (20, 0.5), (40, 0.48), (80, 0.75)]  # two of them fall, and become one height
    heights = IsotonicRegression().fit_transform(np.arange(4), logit([one for _, one in points]))
    line = PchipInterpolator(np.log([n for n, _ in points]), heights)
    theirs = math.exp(brentq(lambda x: line(x) - logit(wanted), math.log(5), math.log(80)))
    assert labels_to_reach(points, wanted) == pytest.approx(theirs)


def test_a_level_stretch_counts_from_its_start():
    points = [(5, 0.2), (20, 0.5), (40, 0.5), (80, 0.75)]
    assert labels_to_reach(points, 0.5) == pytest.approx(20)


def test_two_budgets_are_joined_by_a_straight_line_of_logits():
    share = (logit(0.6) - logit(0.2)) / (logit(0.8) - logit(0.2))
    assert labels_to_reach([(2, 0.2), (200, 0.8)], 0.6) == pytest.approx(2 * 100**share)


def test_beyond_what_was_tried_nothing_is_assumed():
    points = [(5, 0.2), (80, 0.7)]
    assert labels_to_reach(points, 0.71) == NEVER
    assert labels_to_reach(points, 0.7) == pytest.approx(80)
    assert labels_to_reach(points, 0.2) == labels_to_reach(points, 0.1) == AT_ONCE


def test_a_multiple_counts_in_the_cell_s_own_labels():
    found = multiples([*curve([0.2, 0.5, 0.8]), constant("lora", 5, 0.5), constant("lora", 20, 0.2)])
    assert [one.times for one in found] == [pytest.approx(4), AT_ONCE]
    assert [(one.least, one.most) for one in found] == [(1, 16), (0.25, 4)]
    assert [one.row["strategy"] for one in found] == ["lora", "lora"]


def test_scores_that_may_be_negative_have_their_own_scale():
    plain = multiples([*curve([0.2, 0.5, 0.8]), constant("lora", 5, 0.6)])
    other = multiples([*curve([-0.6, 0.0, 0.6], "mcc"), constant("lora", 5, 0.2, metric="mcc")])
    assert other[0].times == pytest.approx(plain[0].times)


@pytest.mark.parametrize("scratch", [[], curve([0.2, 0.5, 0.8])[:1]])
def test_scratch_at_one_budget_says_nothing(scratch):
    assert multiples([*scratch, constant("lora", 5, 0.5)]) == []


def test_one_repeat_has_no_interval():
    found = multiples([*curve([0.2, 0.5, 0.8]), row("lora", 5, [0.5])])[0]
    assert found.times == pytest.approx(4)
    assert (math.isnan(found.low), math.isnan(found.high), found.n) == (True, True, 1)


def test_a_score_of_all_is_no_error():
    found = multiples([*curve([0.2, 1.0, 1.0]), constant("lora", 5, 1.0)])[0]
    assert found.times == pytest.approx(4)


def world(rng, num, worth):
    """Scratch rises by 1.2 logits with each factor 4 of labels; the strategy has 5 labels that are `worth` so many."""
    def scores(labels):
        return expit(-1 + 1.2 * math.log(labels / 5, 4) + 0.15 * rng.normal(size=num))  # fmt: skip

    scratch = [row("scratch", n, scores(n), True) for n in (5, 20, 80)]
    return [*scratch, row("lora", 5, scores(5 * worth))]


@pytest.mark.parametrize("num", [3, 5])
def test_the_interval_holds_the_planted_truth(num):
    rng = np.random.default_rng(num)
    found = [multiples(world(rng, num, 6.0))[0] for _ in range(400)]
    assert np.mean([one.low <= 6.0 <= one.high for one in found]) > 0.93
    assert np.median([one.times for one in found]) == pytest.approx(6.0, rel=0.1)
    assert np.mean([one.low > 1 for one in found]) > (0.4 if num == 3 else 0.9), "and it is of use"
