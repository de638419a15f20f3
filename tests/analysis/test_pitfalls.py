"""What a mistake costs: paired differences, the words for them, and that planted truths are found."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.analysis.pitfalls import BREAKS, COSTS, GAINS, NOT_SHOWN, UNDECIDED, pitfall_costs
from tests.analysis.mistaken import rates, table
from tests.analysis.planted import Planted

WORLD = Planted(tasks=2, num_images=1000)
SMALL, LARGE = "swapped_channels_at_test", "rate_30_times"


def drawn(costs, seed=0, world=WORLD):
    return table(world, costs, np.random.default_rng(seed))


def told(costs, seed=0, world=WORLD):
    return {(one.task[0], one.pitfall): one for one in pitfall_costs(drawn(costs, seed, world))}


def test_the_difference_is_right_minus_wrong_by_repeat():
    results = drawn({LARGE: 0.2, SMALL: 0.0})
    for one in pitfall_costs(results):
        rows = results.every_final.query("dataset == @one.task[0]")
        scores = {name: group.sort_values("repeat")["score"].to_numpy() for name, group in rows.groupby("pitfall")}
        assert one.found.mean == pytest.approx(np.mean(scores[""] - scores[one.pitfall]))
        assert (one.right, one.wrong) == (pytest.approx(scores[""].mean()), pytest.approx(scores[one.pitfall].mean()))
        assert one.found.n == WORLD.n


def test_a_single_comparison_without_predictions_is_the_paired_t_test():
    """Scipy's; one comparison has no correction, and no other strategy to learn the spread from."""
    results = drawn({LARGE: 0.03}, world=Planted(tasks=1, num_images=1000))
    results.every_final["predictions"] = None
    results.finals, results.pitfalls = results.every_final.iloc[:5], results.every_final.iloc[5:]
    [one] = pitfall_costs(results)
    right, wrong = (frame.sort_values("repeat")["score"] for frame in (results.finals, results.pitfalls))
    expected = stats.ttest_rel(right, wrong)
    assert one.found.p == pytest.approx(expected.pvalue)
    assert one.ends == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_words():
    found = told({LARGE: 0.2, SMALL: 0.0, "pixels_to_255_at_test": -0.1})
    assert found["d0", LARGE].verdict == COSTS
    assert found["d0", "pixels_to_255_at_test"].verdict == GAINS
    assert found["d0", SMALL].verdict == UNDECIDED
    assert found["d0", LARGE].ends[0] > 0 > found["d0", "pixels_to_255_at_test"].ends[1]


def test_what_surely_lies_within_the_margin_does_not_show():
    """As where nothing at all changes: every image is answered as before."""
    results = drawn({LARGE: 0.2, SMALL: 0.0})
    kept = results.pitfalls["pitfall"] != SMALL
    same = results.finals.assign(pitfall=SMALL, right="probe", strategy="probe [mistaken]")
    results.pitfalls = pd.concat([results.pitfalls[kept], same])
    results.every_final = pd.concat([results.finals, results.pitfalls])
    found = {one.pitfall: one for one in pitfall_costs(results)}
    assert found[SMALL].verdict == NOT_SHOWN
    assert found[SMALL].found.mean == 0
    assert found[LARGE].verdict == COSTS


def test_every_repeat_that_diverges_is_no_gap():
    results = drawn({LARGE: 0.2})
    lost = results.pitfalls.assign(status="diverged", score=np.nan, predictions=None)
    results.pitfalls, results.every_final = lost, pd.concat([results.finals, lost])
    assert {one.verdict for one in pitfall_costs(results)} == {BREAKS}
    results.pitfalls = lost.assign(status="missing")
    assert {one.verdict for one in pitfall_costs(results)} == {UNDECIDED}


def test_a_reason_tells_of_repeats_without_a_score():
    results = drawn({LARGE: 0.2})
    some = results.pitfalls.copy()
    some.loc[some["repeat"] == 0, ["status", "score", "predictions"]] = ["diverged", np.nan, None]
    results.pitfalls, results.every_final = some, pd.concat([results.finals, some])
    for one in pitfall_costs(results):
        assert one.found.n == WORLD.n - 1
        assert one.reason == "1 of 5 repeats with the mistake diverged"
        assert one.verdict == COSTS, "the repeats that are left out would only add to it"


def changed(frame, repeats, **values):
    frame = frame.copy()
    mine = frame["repeat"].isin(repeats)
    for name, value in {"predictions": None, **values}.items():
        frame.loc[mine, name] = value
    return frame


def shifted(cost):
    """One comparison without any chance: the same trainings, and so many points less."""
    results = drawn({LARGE: 0.0}, world=Planted(tasks=1, num_images=1000))
    mistaken = {"pitfall": LARGE, "right": "probe", "strategy": "probe [mistaken]"}
    results.pitfalls = results.finals.assign(**mistaken, score=results.finals["score"] - cost)
    results.every_final = pd.concat([results.finals, results.pitfalls])
    return results


LOST = {
    "diverged": {"status": "diverged", "score": np.nan},
    "collapsed": {"collapsed": 1.0, "score": 0.1},
}


@pytest.mark.parametrize("how", LOST)
def test_no_absence_and_no_gain_where_repeats_with_the_mistake_broke(how):
    """Three of five are left out; the others answer as the right way does, or better."""
    for cost, bare in ((0.0, NOT_SHOWN), (-0.1, GAINS)):
        results = shifted(cost)
        assert [one.verdict for one in pitfall_costs(results)] == [bare]
        results.pitfalls = changed(results.pitfalls, [0, 1, 2], **LOST[how])
        [one] = pitfall_costs(results)
        assert (one.verdict, one.found.n) == (UNDECIDED, 2)
        assert one.reason == f"3 of 5 repeats with the mistake {how}; a verdict would rest on leaving these out"
        kept = results.pitfalls["repeat"] > 2
        assert one.wrong == pytest.approx(results.pitfalls["score"][kept].mean())


@pytest.mark.parametrize("how", LOST)
def test_no_cost_and_no_absence_where_repeats_of_the_right_way_broke(how):
    for cost, bare in ((0.0, NOT_SHOWN), (0.1, COSTS), (-0.1, GAINS)):
        results = shifted(cost)
        assert [one.verdict for one in pitfall_costs(results)] == [bare]
        results.finals = changed(results.finals, [0, 1], **LOST[how])
        [one] = pitfall_costs(results)
        told = f"2 of 5 repeats of the right way {how}"
        rests = "; a verdict would rest on leaving these out"
        assert (one.verdict, one.reason) == ((GAINS, told) if bare == GAINS else (UNDECIDED, told + rests))
        assert one.found.n == 3


def test_a_collapsed_right_way_is_no_gain_of_the_mistake():
    """With its four broken repeats at 10 % the mistake would seem to gain; the one pair that is left says nothing."""
    results = drawn({SMALL: 0.0}, seed=3, world=Planted(tasks=1, num_images=1000))
    results.finals = changed(results.finals, range(4), **LOST["collapsed"])
    [one] = pitfall_costs(results)
    assert (one.verdict, one.found.n) == (UNDECIDED, 1)
    assert one.reason == "one pair of repeats: nothing to judge chance by; 4 of 5 repeats of the right way collapsed"


def test_a_mistake_that_collapses_in_every_repeat_costs_what_it_scores():
    results = drawn({LARGE: 0.1}, world=Planted(tasks=1, num_images=1000))
    results.pitfalls = changed(results.pitfalls, range(5), **LOST["collapsed"])
    [one] = pitfall_costs(results)
    assert (one.verdict, one.reason, one.found.n) == (COSTS, "", 5)
    assert one.wrong == pytest.approx(0.1)


def test_only_what_is_tested_has_a_p():
    results = drawn({LARGE: 0.2, SMALL: 0.0}, world=Planted(tasks=1, num_images=1000))
    one = results.pitfalls["pitfall"] == SMALL
    results.pitfalls = results.pitfalls[~one | (results.pitfalls["repeat"] == 0)]
    assert {one.pitfall: np.isfinite(one.p) for one in pitfall_costs(results)} == {LARGE: True, SMALL: False}


def test_nothing_where_a_suite_makes_no_mistakes():
    results = drawn({LARGE: 0.2})
    results.pitfalls = results.pitfalls.iloc[:0]
    assert pitfall_costs(results) == []


def test_planted_truths():
    """100 tables of 8 mistakes on 3 tasks (mistaken.py): 2 % of them show one that costs nothing, none calls one absent
    that costs the margin; of costs of 2, 5 and 10 points 2, 48 and 98 % are found."""
    costs = {"no_normalisation": 0.0, "pixels_to_255": 0.1, SMALL: 0.0, LARGE: 0.1}
    found = rates(40, WORLD, costs)
    assert found["wrong"] <= 0.1
    assert found["found"] >= 0.8
    assert found["absent"] == 0
    assert found["covered"] >= 0.95
