"""Which strategy a page says to take, how sure it is, and in which words."""

import dataclasses
import math

import pandas as pd
import pytest

from bench.analysis.decision import Decision
from bench.analysis.decision_words import answer, price
from bench.analysis.frame import SuiteResults
from bench.analysis.headline import ALL_RANDOM, INSTRUMENTS, headline
from tests.analysis.simulate import decided, world_of
from tests.analysis.test_tables import finals, found_in, results

QUIET = [0.0, 0.001, -0.001, 0.0005, -0.0005, 0.0, 0.001, -0.001, 0.0, 0.0]
LOUD = [0.0, 0.09, -0.09, 0.06, -0.06, 0.03, -0.03, 0.08, -0.08, 0.0]
FLOPS = {"scratch": 100.0, "full_finetune": 100.0, "ridge_probe": 2.0, "lora": 60.0}


def around(mean: float, spread: list[float] = QUIET, n: int = 10) -> list[float]:
    return [mean + one for one in spread[:n]]


def suite(cells: dict[tuple[str, str], list[float]], **columns: object) -> SuiteResults:
    frame = finals(cells)
    frame["from_random"] = frame["strategy"].isin(["scratch", "scratch_long"])
    frame["flops"] = frame["strategy"].map(FLOPS).fillna(50.0)
    for name, value in columns.items():
        frame[name] = value
    return results(frame)


def only(made: SuiteResults) -> Decision:
    (one,) = found_in(made).decisions.tasks
    return one


def said(made: SuiteResults) -> str:
    found = found_in(made)
    return " ".join(answer(found.decisions, found.verdicts))


CLEAR = {
    ("near", "scratch"): around(0.30), ("near", "full_finetune"): around(0.902),
    ("near", "ridge_probe"): around(0.900), ("near", "lora"): around(0.85),
}  # fmt: skip


def test_the_cheapest_that_surely_gives_up_little_is_taken() -> None:
    one = only(suite(CLEAR))
    assert one.taken[1] == "ridge_probe"
    assert one.is_settled
    assert 0.002 < one.gives_up < 0.01  # it is .2 points below, and no more than the margin is left
    assert not one.reservations


def test_a_smaller_margin_takes_the_dearer_one() -> None:
    made = dataclasses.replace(suite(CLEAR), suite={"decision": {"margin": 0.15}})
    assert only(made).taken[1] == "full_finetune"


def test_a_noisy_strategy_does_not_win_by_being_hard_to_tell_from_the_best() -> None:
    cells = {**CLEAR, ("near", "ridge_probe"): around(0.902, LOUD)}
    one = only(suite(cells))
    assert one.taken[1] == "full_finetune"
    assert "ridge_probe" in [name for _, name in one.rivals]


def test_where_nothing_is_settled_the_safest_of_those_that_may_be_the_best_stands_there() -> None:
    cells = {
        ("near", "scratch"): around(0.30, n=3), ("near", "full_finetune"): around(0.88, LOUD, 3),
        ("near", "ridge_probe"): around(0.87, LOUD[::-1], 3), ("near", "lora"): around(0.60, n=3),
    }  # fmt: skip
    one = only(suite(cells))
    assert not one.is_settled
    assert one.taken[1] in ("full_finetune", "ridge_probe")
    assert one.repeats_needed > 3
    words = said(suite(cells))
    assert words.startswith(f"No strategy is settled: {one.taken[1]} is the safest, at ")
    assert "provisional: 3 repeats only" in words.split(".  ")[0]
    assert "repeats instead of 3 would likely settle it." in words


def test_repeats_that_would_settle_it_by_hand() -> None:
    """Of two strategies: the first n with t(1 - .05 / 2, n - 1) s / sqrt(n) at most margin + lead. One image's worth of
    rounding is far below the spread here, and the pool of one difference is the difference itself."""
    from scipy.stats import t

    differences = [0.00, 0.04, 0.02]
    cells = {("near", "full_finetune"): [0.8, 0.8, 0.8], ("near", "ridge_probe"): [0.8 - d for d in differences]}
    one = only(suite(cells))
    lead, s = 0.02, 0.02
    n = next(n for n in range(2, 1000) if t.ppf(1 - 0.05 / 2, n - 1) * s / n**0.5 <= 0.01 + lead)
    assert one.repeats_needed == n


def test_the_price_in_words() -> None:
    made = suite(CLEAR)
    found = found_in(made).decisions
    (one,) = found.tasks
    told = {name: price(one, (one.taken[0], name), found) for name in FLOPS}
    assert told == {
        "scratch": "about the compute of full_finetune", "full_finetune": "",
        "ridge_probe": "1/50 of the compute of full_finetune", "lora": "0.6 of the compute of full_finetune",
    }  # fmt: skip


def test_the_answer_of_a_settled_task() -> None:
    words = said(suite(CLEAR))
    assert words.startswith("Take ridge_probe: it scores 90.0, at most 0.")
    assert "points below the best of 4 (95 %). One training takes 1/50 of the compute of full_finetune." in words
    assert words.endswith("Transfer is worth it: +60.0 points over training from scratch.")


def test_rates_at_an_end_are_told_in_the_same_sentence() -> None:
    made = suite(CLEAR)
    made.finals.loc[made.finals["strategy"] == "full_finetune", "lr_edge"] = "high"
    first = said(made).split(". ")[0]
    assert "provisional: full_finetune did best at the lowest or highest rate tried and may be better than it" in first


def test_collapsed_and_unfinished_strategies_are_told() -> None:
    made = suite({**CLEAR, ("near", "lora"): [*around(0.85)[:9], "missing"]})
    mine = (made.finals["strategy"] == "full_finetune") & (made.finals["repeat"] == 0)
    made.finals.loc[mine, "collapsed"] = 1.0
    assert only(made).num_options == 2, "ridge_probe and scratch"
    assert only(made).reservations == [
        "full_finetune collapsed in some repeats and is not judged", "lora did not finish"
    ]  # fmt: skip


def test_one_repeat_says_so() -> None:
    words = said(suite({("near", "scratch"): [0.3], ("near", "full_finetune"): [0.9]}))
    assert words.startswith("full_finetune scores highest, 90.0, but 1 repeat cannot tell what it may give up")
    assert math.isnan(only(suite({("near", "scratch"): [0.3], ("near", "full_finetune"): [0.9]})).gives_up)


def test_where_scratch_is_taken_transfer_is_not_shown_to_pay() -> None:
    cells = {("far", "scratch"): around(0.90), ("far", "full_finetune"): around(0.85)}
    words = said(suite(cells))
    assert words.startswith("Take scratch: it scores 90.0")
    assert words.endswith("Transfer is not shown to beat training from scratch.")


def test_tasks_together_have_an_answer_of_their_own() -> None:
    far = {("far", name): around(mean) for name, mean in (("scratch", 0.90), ("full_finetune", 0.80),
                                                          ("ridge_probe", 0.50), ("lora", 0.80))}  # fmt: skip
    made = suite({**CLEAR, **far})
    found = found_in(made).decisions
    assert [one.taken[1] for one in found.tasks] == ["ridge_probe", "scratch"]
    (overall,) = found.overall
    assert overall.taken[1] == "full_finetune"
    words = said(made)
    assert words.startswith("Over both tasks take full_finetune: it scores 85.1")
    # Of full_finetune, which is what was said to take; ridge_probe gains 60.0 on near.
    assert "Transfer is worth it on near with 5 labels per class: +60.2 points over training from scratch" in words
    assert words.endswith("transfer hurts on far with 5 labels per class.")


def test_networks_with_random_weights_and_studies_are_no_choice() -> None:
    for fields, sentence in (({"control": True}, ALL_RANDOM), ({"pair": "split 0"}, INSTRUMENTS)):
        made = suite(CLEAR, **fields)
        assert not found_in(made).decisions.tasks
        assert headline(made, found_in(made))[0] == sentence


@pytest.mark.parametrize("case", ["equal", "half noisy"])
def test_what_is_taken_gives_up_no_more_than_is_said(case: str) -> None:
    """Against a planted truth; `python -m tests.analysis.simulate decisions` has the whole table."""
    found = decided(world_of(case, n=5, tasks=2, num_images=500), 60, lead=3.0)
    assert found["holds"] >= 0.93
    assert found["wrong"] <= 0.07


def test_where_every_strategy_collapsed_at_times_nothing_is_tested() -> None:
    made = suite({("near", "scratch"): [0.3, 0.1, 0.3], ("near", "full_finetune"): [0.9, 0.1, 0.9]})
    made.finals.loc[made.finals["repeat"] == 1, "collapsed"] = 1.0
    one = only(made)
    assert math.isnan(one.gives_up)
    assert one.num_options == 0
    assert said(made)


def test_what_collapses_at_times_is_not_offered_as_perhaps_as_good() -> None:
    made = suite(CLEAR)
    mine = (made.finals["strategy"] == "ridge_probe") & (made.finals["repeat"] == 0)
    made.finals.loc[mine, "collapsed"] = 1.0
    assert "ridge_probe" not in [name for _, name in only(made).rivals]


def test_a_bound_of_nothing_has_no_sign() -> None:
    made = suite({("near", "scratch"): around(0.30), ("near", "full_finetune"): around(0.90)})
    assert "at most 0.0 points below" in said(made)


def test_training_from_scratch_by_another_name_is_no_transfer() -> None:
    cells = {("far", "scratch"): around(0.70), ("far", "scratch_long"): around(0.90), ("far", "lora"): around(0.60)}
    words = said(suite(cells))
    assert words.startswith("Take scratch_long")
    assert words.endswith("Transfer is not shown to beat training from scratch.")


def test_scratch_that_is_within_the_margin_of_transfer() -> None:
    cells = {("far", "scratch"): around(0.900), ("far", "lora"): around(0.905)}
    made = suite(cells)
    made.finals.loc[made.finals["strategy"] == "scratch", "flops"] = 1.0
    assert said(made).endswith("Transfer gains too little to be taken.")


def test_tasks_that_cannot_be_judged_are_counted() -> None:
    words = said(suite({**CLEAR, ("far", "scratch"): around(0.5), ("far", "lora"): ["missing"] * 10}))
    assert words.startswith("On near with 5 labels per class take ridge_probe")
    assert "1 more task cannot be judged." in words


def test_what_does_not_fit_one_task_has_not_failed_to_finish() -> None:
    far = {("far", name): around(mean) for name, mean in (("scratch", 0.30), ("full_finetune", 0.80),
                                                          ("ridge_probe", 0.80))}  # fmt: skip
    made = suite({**CLEAR, **far, ("far", "lora"): ["not_applicable"] * 10})
    (overall,) = found_in(made).decisions.overall
    assert overall.reservations == []


def test_with_several_networks_doubts_name_theirs() -> None:
    made = suite(CLEAR)
    other = made.finals.assign(backbone="other")
    other.loc[(other["strategy"] == "ridge_probe") & (other["repeat"] == 0), "collapsed"] = 1.0
    both = results(pd.concat([made.finals, other], ignore_index=True))
    assert only(both).reservations == ["ridge_probe on other collapsed in some repeats and is not judged"]


def test_edges_of_a_mean_are_counted() -> None:
    far = {("far", name): scores for (_, name), scores in CLEAR.items()}
    made = suite({**CLEAR, **far})
    mine = (made.finals["strategy"] == "lora") & (made.finals["dataset"] == "far")
    made.finals.loc[mine, "lr_edge"] = "low"
    (overall,) = found_in(made).decisions.overall
    assert overall.reservations[0].startswith("in 1 of 8 cases a strategy did best at the lowest")
