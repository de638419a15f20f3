"""Claims: their numbers by hand, the rule that decides them, and how often it is right."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.analysis.claim_words import compared, region_text
from bench.analysis.claims import FAILS, HOLDS, judged_claims
from bench.analysis.frame import PRETRAININGS, TRIALS, empty
from bench.analysis.verdicts import UNDECIDED
from bench.planning.claims import sides_of
from bench.suite.claims_schema import CellsSpec, ClaimSpec

from .claimed import World, claims, effects, finals, judged, table
from .planted import Planted


def row(score, repeat=0, strategy="full", dataset="near", labels=5.0, **more):
    return {
        "dataset": dataset, "modality": "image", "budget": f"{labels:g}", "labels_per_class": labels, "backbone": "net",
        "strategy": strategy, "repeat": repeat, "status": "ok", "score": score, "metric": "accuracy", "collapsed": 0.0,
        "pitfall": "", "right": "", "control": False, "pair": "", "target": "", "treatment": "", "keep": 0,
        "classes": None, "predictions": None, "weights": "ab", "source_after": math.nan, "flops": math.nan,
        "steps": 100.0, "key": "", **more,
    }  # fmt: skip


def cell(scores, **more):
    return [row(score, repeat, **more) for repeat, score in enumerate(scores)]


def one_of(rows, *stated, trials=None, pretrainings=()):
    return judged_claims(SimpleNamespace(
        every_final=pd.DataFrame(rows), every_trial=empty(TRIALS) if trials is None else pd.DataFrame(trials),
        pretrainings=pd.DataFrame(pretrainings) if pretrainings else empty(PRETRAININGS),
        claims=tuple(ClaimSpec.model_validate({"claim": "so.", **one}) for one in stated),
    ))  # fmt: skip


BEATS = {"more": {"strategy": "full"}, "less": {"strategy": "scratch"}}


def test_a_difference_is_paired_and_its_interval_that_of_a_paired_t():
    full, scratch = [0.82, 0.86, 0.81, 0.85, 0.84], [0.71, 0.77, 0.70, 0.72, 0.75]
    rows = cell(full) + cell(scratch, strategy="scratch")
    [one] = one_of(rows, {**BEATS, "above": 5.0})
    by_scipy = stats.ttest_rel(full, scratch).confidence_interval(0.95)
    assert one.found.mean == pytest.approx(np.mean(full) - np.mean(scratch))
    assert one.ends == pytest.approx(tuple(by_scipy))
    assert one.p == pytest.approx(stats.ttest_1samp(np.subtract(full, scratch) - 0.05, 0).pvalue)
    assert one.verdict == HOLDS


@pytest.mark.parametrize(("region", "verdict"), [
    ({"above": 5.0}, HOLDS), ({"above": 10.0}, UNDECIDED), ({"above": 20.0}, FAILS), ({"above": -1.0}, HOLDS),
    ({"within": 20.0}, HOLDS), ({"within": 10.5}, UNDECIDED), ({"within": 1.0}, FAILS),
    ({"between": (5.0, 20.0)}, HOLDS), ({"between": (20.0, 40.0)}, FAILS), ({"between": (0.0, 10.5)}, UNDECIDED),
])  # fmt: skip
def test_the_interval_against_what_the_claim_says(region, verdict):
    rows = cell([0.81, 0.80, 0.82, 0.81]) + cell([0.70, 0.71, 0.70, 0.71], strategy="scratch")
    [one] = one_of(rows, {**BEATS, **region})
    low, high = one.ends
    asked = one.claim.region
    assert one.verdict == verdict
    assert (asked[0] < low and high < asked[1]) == (verdict == HOLDS)
    assert (high < asked[0] or low > asked[1]) == (verdict == FAILS)


def test_a_mean_over_tasks_counts_every_task_alike():
    rows = [
        *cell([0.9, 0.8]), *cell([0.5, 0.6], strategy="scratch"),
        *cell([0.4, 0.5], dataset="far"), *cell([0.3, 0.35], strategy="scratch", dataset="far"),
    ]  # fmt: skip
    [one] = one_of(rows, {**BEATS, "above": 1.0})
    assert one.found.mean == pytest.approx(((0.4 + 0.1) / 2 + (0.2 + 0.15) / 2) / 2)


def test_a_difference_of_differences_and_other_labels():
    rows = [
        *cell([0.9, 0.8], labels=5.0), *cell([0.5, 0.6], strategy="scratch", labels=5.0),
        *cell([0.95, 0.9], labels=50.0), *cell([0.9, 0.9], strategy="scratch", labels=50.0),
    ]  # fmt: skip
    few, many = {"labels": "fewest"}, {"labels": "most"}
    shrinks = {"more": {"strategy": "full", **few}, "less": {"strategy": "scratch", **few},
               "beyond": {"more": {"strategy": "full", **many}, "less": {"strategy": "scratch", **many}}}  # fmt: skip
    ten = {"more": {"strategy": "full", **few}, "less": {"strategy": "scratch", **few, "times": 10}}
    first, second = one_of(rows, {**shrinks, "above": 1.0}, {**ten, "above": -1.0})
    assert first.found.mean == pytest.approx((0.4 + 0.2) / 2 - (0.05 + 0.0) / 2)
    assert second.found.mean == pytest.approx((0.0 - 0.1) / 2)


def test_claims_are_corrected_together_and_costs_are_none_of_them():
    rows = cell([0.81, 0.80, 0.83, 0.81], flops=3.0) + cell([0.70, 0.71, 0.70, 0.72], strategy="scratch")
    cost = {"value": "compute", "more": {"strategy": "full"}, "between": (1.0, 5.0)}
    alone = one_of(rows, {**BEATS, "above": 8.0}, cost)[0]
    again = one_of(rows, *[{**BEATS, "above": 8.0}] * 3)
    assert again[0].p == pytest.approx(min(1.0, 3 * alone.p))
    assert again[0].ends[0] < alone.ends[0]


def test_one_repeat_decides_nothing_and_gaps_are_named():
    rows = [*cell([0.8]), *cell([0.7], strategy="scratch"), row(math.nan, strategy="lora", status="failed")]
    lora = {"more": {"strategy": "lora"}, "less": {"strategy": "scratch"}, "above": 0.0}
    first, second = one_of(rows, {**BEATS, "above": 1.0}, lora)
    assert (first.verdict, first.reason) == (UNDECIDED, "one repeat: nothing to judge chance by")
    assert (second.verdict, second.reason) == (UNDECIDED, "lora on near: 1 failed")
    assert second.found.n == 0


def test_cells_that_do_not_apply_are_left_out():
    rows = [*cell([0.8, 0.81]), *cell([0.5, 0.52], strategy="scratch"),
            *(row(math.nan, r, strategy="lora", status="not_applicable") for r in range(2))]  # fmt: skip
    both = {"more": {"strategy": ("full", "lora")}, "less": {"strategy": "scratch"}, "above": 1.0}
    only = {"more": {"strategy": "lora"}, "less": {"strategy": "scratch"}, "above": 1.0}
    first, second = one_of(rows, both, only)
    assert first.found.mean == pytest.approx(0.295)
    assert second.reason == "no cell of one side applies"


def collapsed_once(strategy):
    rows = cell([0.81, 0.80, 0.83, 0.81, 0.82]) + cell([0.70, 0.71, 0.70, 0.72, 0.70], strategy="scratch")
    for one in rows:
        if one["strategy"] == strategy and one["repeat"] == 4:
            one |= {"score": 0.1, "collapsed": 1.0}
    return rows


def test_no_verdict_rests_on_leaving_out_collapsed_repeats():
    above = {**BEATS, "above": 5.0}
    [of_less] = one_of(collapsed_once("scratch"), above)
    [of_more] = one_of(collapsed_once("full"), above)
    assert of_less.verdict == HOLDS, "the side that lost was flattered"
    assert of_less.reason == "without 1 repeat that collapsed or diverged of scratch on near"
    assert of_less.found.n == of_more.found.n == 4
    assert of_more.verdict == UNDECIDED
    assert of_more.reason.startswith("a verdict would rest on what was left out; without 1 repeat")
    [equal] = one_of(collapsed_once("scratch"), {**BEATS, "within": 20.0})
    assert equal.verdict == UNDECIDED


def test_a_training_that_diverged_counts_as_broken():
    rows = collapsed_once("")
    for one in rows:
        if one["strategy"] == "full" and one["repeat"] > 2:
            one |= {"status": "diverged", "score": math.nan}
    [some] = one_of(rows, {**BEATS, "above": 5.0})
    assert (some.verdict, some.found.n) == (UNDECIDED, 3)
    assert "without 2 repeats that collapsed or diverged of full on near" in some.reason
    every = [{**one, "status": "diverged", "score": math.nan} if one["strategy"] == "full" else one for one in rows]
    [none] = one_of(every, {**BEATS, "above": 5.0})
    assert none.reason == "full on near: 5 diverged"


def test_gaps_among_the_repeats_are_told():
    rows = [one for one in collapsed_once("") if one["repeat"] < 5]
    rows[4] |= {"status": "missing", "score": math.nan}
    [one] = one_of(rows, {**BEATS, "above": 5.0})
    assert (one.verdict, one.reason) == (HOLDS, "4 of 5 repeats are there")


def test_means_are_over_what_all_sides_have():
    """A data set without the larger budget, and a strategy that applies to one of two networks, move no mean."""
    rows = [
        *cell([0.6, 0.61], labels=2.0), *cell([0.6, 0.61], labels=200.0, strategy="scratch"),
        *cell([0.2, 0.21], labels=2.0, dataset="digits"), *cell([0.2, 0.2], labels=5.0, dataset="digits"),
    ]  # fmt: skip
    hundred = {"more": {"strategy": "full", "labels": "fewest"},
               "less": {"strategy": "scratch", "labels": "fewest", "times": 100}, "above": -1.0}  # fmt: skip
    [one] = one_of(rows, hundred)
    assert one.found.mean == pytest.approx(0.0)
    assert "digits" not in one.compared
    nets = [
        *cell([0.6, 0.6]), *cell([0.6, 0.6], strategy="l2_sp"), *cell([0.9, 0.9], backbone="vit"),
        *cell([0.9, 0.9], strategy="l2_sp", backbone="vit"), *cell([0.9, 0.9], strategy="lora", backbone="vit"),
        *(row(math.nan, r, strategy="lora", status="not_applicable") for r in range(2)),
    ]  # fmt: skip
    [equal] = one_of(nets, {"more": {"strategy": ("l2_sp", "lora")}, "less": {"strategy": "full"}, "within": 2.0})
    assert equal.found.mean == pytest.approx(0.0)


def test_two_equal_differences_are_no_certainty():
    """Of whose images nothing is known: as in verdicts, no less than one test image lies between repeats."""
    rows = cell([0.80, 0.81]) + cell([0.75, 0.76], strategy="scratch")
    [one] = one_of(rows, {**BEATS, "above": 0.0})
    assert one.verdict == UNDECIDED
    assert one.ends[0] < 0


def test_where_every_repeat_collapsed_that_is_its_score():
    rows = [{**one, "collapsed": float(one["strategy"] == "scratch")} for one in collapsed_once("")]
    [one] = one_of(rows, {**BEATS, "above": 5.0})
    assert one.verdict == HOLDS
    assert one.found.n == 5


def test_a_strategy_that_breaks_widens_no_claim_about_others():
    quiet = cell([0.82, 0.86, 0.81]) + cell([0.80, 0.85, 0.79], strategy="probe")
    rows = quiet + cell([0.9, 0.2, 0.6], strategy="scratch")
    about = {"more": {"strategy": "full"}, "less": {"strategy": "probe"}, "above": 0.0}
    scratch = {**BEATS, "above": 0.0}
    one, _, _ = one_of(rows, about, scratch, {**scratch, "less": {"strategy": "scratch"}, "above": 3.0})
    [alone] = one_of(quiet, about)
    assert one.found.error == pytest.approx(alone.found.error)


def test_what_is_kept_of_the_source():
    rows = [*cell([0.8] * 3), *cell([0.8] * 3, strategy="scratch")]
    for one in rows:
        one["source_after"] = (0.9 if one["strategy"] == "full" else 0.6) + 0.01 * one["repeat"] ** 2
    [one] = one_of(rows, {**BEATS, "value": "source", "above": 3.0})
    assert one.found.mean == pytest.approx(0.3)
    assert one.verdict == HOLDS
    for broken in rows[:3]:
        broken["collapsed"] = 1.0
    [none] = one_of(rows, {**BEATS, "value": "source", "above": 3.0})
    assert none.reason == "full on near: collapsed in every repeat", "what learned nothing forgets nothing"
    nothing = one_of(cell([0.8] * 3) + cell([0.8] * 3, strategy="scratch"), {**BEATS, "value": "source", "above": 3.0})
    assert nothing[0].reason == "full on near: nothing is known of the source's images; and 1 more"


PRETRAINING = {"key": "ab", "backbone": "net", "dataset": "source", "status": "ok", "flops": 1000.0}


def trials(steps):
    return [{"dataset": "near", "budget": "5", "backbone": "net", "strategy": "full", "repeat": 0, "spent_steps": one}
            for one in steps]  # fmt: skip


def test_costs_are_shares_of_the_pretraining():
    rows = cell([0.8, 0.8], flops=30.0)
    cost = {"value": "compute", "more": {"strategy": "full"}, "between": (1.0, 5.0)}
    with_search = {**cost, "value": "compute_with_search"}
    first, second = one_of(rows, cost, with_search, trials=trials([100.0, 100.0, 50.0]), pretrainings=[PRETRAINING])
    assert (first.found.mean, first.verdict) == (pytest.approx(0.03), HOLDS)
    assert (second.found.mean, second.verdict) == (pytest.approx(0.03 * 3.5), FAILS), "one search serves both repeats"
    assert math.isnan(first.p)
    mixed = cell([0.8], flops=30.0) + cell([0.8], flops=300.0, dataset="far")
    [third] = one_of(mixed, cost, pretrainings=[PRETRAINING])
    assert (third.verdict, third.reason) == (UNDECIDED, "it holds for 1 of 2 trainings")
    [none] = one_of(rows, cost)
    assert none.reason == "no pretraining of this suite counted its arithmetic"


def test_how_many_repeats_would_decide():
    """Against drawing on: with so many repeats of the same spread the interval reaches no further."""
    scores = [0.71, 0.75, 0.72, 0.76, 0.73, 0.71]
    rows = cell(scores) + cell([0.70] * 6, strategy="scratch")
    [one] = one_of(rows, {**BEATS, "above": 1.0})
    assert one.verdict == UNDECIDED
    needed = int(one.reason.split()[1])
    distance, sd = one.found.mean - 0.01, np.std(scores, ddof=1)
    reach = [stats.t.ppf(0.975, n - 1) * sd / n**0.5 for n in (needed - 1, needed)]
    assert reach[1] <= distance < reach[0]


def test_more_repeats_do_not_help_where_images_are_what_is_missing():
    frame = finals(World(effects(1.2), planted=Planted(num_images=60, run=0.2, labels=0.2)), np.random.default_rng(1))
    told = [one.reason for one in judged(frame, claims(1.0))]
    assert "more repeats alone would not decide: it takes more test images too" in told


def test_in_words():
    places = [{**row(0.5, strategy=s, dataset=d), "budget": "5"} for s in ("full", "scratch") for d in ("near", "far")]
    claim = ClaimSpec(claim="x", more=CellsSpec(strategy="full"), less=CellsSpec(strategy="scratch"), above=1.0)
    assert compared(sides_of(claim, places)) == "full − scratch, on near and far, with 5 labels per class, from net"
    texts = [{"above": 1.0}, {"above": 0.0}, {"above": -3.0}, {"within": 2.0}, {"between": (1.0, 5.0)}]
    told = [region_text(ClaimSpec.model_validate({"claim": "x", "more": {}, "less": {}, **one})) for one in texts]
    assert told == ["higher by more than 1 point", "higher", "lower by 3 points at most", "equal within 2 points",
                    "between 1 and 5 points"]  # fmt: skip
    alone = [region_text(ClaimSpec.model_validate({"claim": "x", "more": {}, **texts[place]})) for place in (0, 4)]
    assert alone == ["above 1 %", "between 1 and 5 %"]


def test_what_is_not_true_is_rarely_said_to_hold_and_what_is_is_found():
    """`claimed.py` has the whole table."""
    planted = Planted(n=5, num_images=1000)
    stated = claims(5.0)
    edge = table(60, World(effects(5.0), planted=planted), stated)
    twice = table(10, World(effects(10.0), planted=planted), stated)
    assert edge["holds"] <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 60)
    assert twice["found"] >= 0.8
