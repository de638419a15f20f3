"""Depths against full fine-tuning: what is paired and tested, and how often a depth is wrongly called harmless."""

import dataclasses
import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.analysis.cells import cells
from bench.analysis.comparison import Scores
from bench.analysis.depths import FROZEN, REFRESHED, Profile, Reading, profiles
from bench.analysis.statistics import holm
from bench.analysis.variance import Estimate
from tests.analysis.planted import Planted, finals, suite
from tests.analysis.synthetic import World, make

TASK = ("near", "20", "small")


def frame(world, num_frozen):
    """s0 is full fine-tuning, the next ones freeze, the others keep and start afresh."""
    made = finals(world)
    places = made["strategy"].str.removeprefix("s").astype(int)
    is_kept = places > num_frozen
    return made.assign(
        axis=np.where(is_kept, "kept", "depth"), axis_kind=np.where(is_kept, "tuned", ""),
        axis_value=np.where(is_kept, places - num_frozen, places).astype(float), num_units=6, baseline=False,
        key=[f"{number}" for number in range(len(made))],
    )  # fmt: skip


def test_a_depth_is_compared_with_full_fine_tuning_in_the_same_repeats():
    made = make(World(gaps=False, repeats=4))
    found = profiles(Scores.of(made.finals))
    assert [one.task[:2] for one in found] == list(product(("near", "mid", "far", "digits"), ("5", "20", "100")))
    for one in found:
        mine = made.finals[(made.finals["dataset"] == one.task[0]) & (made.finals["budget"] == one.task[1])]
        scores = mine.pivot_table(index="repeat", columns="strategy", values="score", dropna=False)
        readings = one.lines[FROZEN]
        assert [reading.keep for reading in readings] == [1, 2, 3, 4, 5]
        for reading in readings:
            difference = scores[reading.strategy] - scores["full_finetune"]
            assert reading.found.mean == pytest.approx(difference.mean())
            assert reading.found.n == 4
            low, high = reading.found.ends(0.05)
            assert high - low >= 2 * stats.t.ppf(0.975, 2 * 3) * stats.sem(difference) * (1 - 1e-9), "its own spread"
    every = [reading for one in found for reading in one.lines[FROZEN]]
    assert [one.p for one in every] == pytest.approx(list(holm(one.found.p for one in every)))
    for reading in every:
        assert reading.is_shown == (not reading.ends[0] <= 0 <= reading.ends[1])


def test_the_same_trainings_are_one_depth_and_full_fine_tuning_is_none():
    made = make(World(datasets=("near",), budgets=(20,), gaps=False)).finals
    twin = made[made["strategy"] == "linear_probe"].assign(strategy="freeze(upto=5)")
    whole = made[made["strategy"] == "full_finetune"].assign(strategy="transplant(keep=5)", axis="kept", axis_value=5.0,
                                                              axis_kind="tuned")  # fmt: skip
    kept = made[made["strategy"] == "freeze(upto=3)"].assign(
        strategy="transplant(keep=3)", axis="kept", axis_kind="tuned", key=["a", "b", "c"])  # fmt: skip
    more = pd.concat([made, twin, whole, kept], ignore_index=True)
    [found] = profiles(Scores.of(more))
    assert {line: [one.strategy for one in own] for line, own in found.lines.items()} == {
        FROZEN: [*(f"freeze(upto={k})" for k in range(1, 5)), "linear_probe"],
        REFRESHED: ["transplant(keep=3)"],
    }
    assert found.reference == "full_finetune"


def test_a_second_strategy_at_one_depth_stands_by_itself():
    made = make(World(datasets=("near",), budgets=(20,), gaps=False)).finals
    twin = made[made["strategy"] == "linear_probe"].assign(strategy="linear_probe(head=small)", key=["a", "b", "c"])
    more = pd.concat([made, twin.assign(score=twin["score"] - 0.2)], ignore_index=True)
    [found] = profiles(Scores.of(more))
    line = [one.strategy for one in found.lines[FROZEN]]
    assert line == [*(f"freeze(upto={k})" for k in range(1, 5)), "linear_probe"]
    [own] = found.lines["depth", "linear_probe(head=small)"]
    scores = more[more["strategy"] != "scratch"].pivot_table(index="repeat", columns="strategy", values="score")
    assert own.found.mean == pytest.approx((scores["linear_probe(head=small)"] - scores["full_finetune"]).mean())
    assert own.keep == 5


def test_repeats_in_which_full_fine_tuning_collapsed_are_told():
    world = World(datasets=("near",), budgets=(20,), gaps=False, repeats=4)
    broken = tuple(("near", 20, "full_finetune", repeat) for repeat in (0, 1))
    made = make(dataclasses.replace(world, collapsed=broken)).finals
    [found] = profiles(Scores.of(made))
    assert found.without == "without the 2 repeats in which full_finetune collapsed"
    assert [one.found.n for one in found.lines[FROZEN]] == 5 * [2]
    [whole] = profiles(Scores.of(make(world).finals))
    assert whole.without == ""


def test_without_full_fine_tuning_nothing_is_compared():
    made = make(World(gaps=False, strategies=("scratch", "freeze(upto=1)", "linear_probe"))).finals
    assert profiles(Scores.of(made)) == []


@pytest.mark.parametrize(("changes", "reason", "n"), [
    ({"repeats": 1}, "fewer than two pairs of repeats", 1),
    ({"collapsed": (("near", 20, "freeze(upto=1)", 0),)}, "collapsed in 1 repeat", 2),
])
def test_what_cannot_be_tested_says_why_and_is_never_called_harmless(changes, reason, n):
    made = make(World(datasets=("near",), budgets=(20,), gaps=False, **changes)).finals
    [found] = profiles(Scores.of(made))
    first = found.lines[FROZEN][0]
    assert first.reason == reason
    assert first.found.n == n, "the difference is over the repeats that did not collapse"
    assert math.isnan(first.p)
    assert not first.is_within(0.99)
    assert found.harmless(FROZEN, 0.99) is None


def test_a_task_in_which_nothing_has_finished_is_left_out_and_a_missing_depth_is_a_gap():
    made = make(World(datasets=("near", "far"), budgets=(20,), gaps=False)).finals
    gone = (made["dataset"] == "near") | (made["strategy"] == "freeze(upto=2)")
    made.loc[gone, ["status", "score"]] = ["missing", math.nan]
    [found] = profiles(Scores.of(made))
    assert found.task[0] == "far"
    assert [one.found.n for one in found.lines[FROZEN]] == [3, 0, 3, 3, 3]


def planned(*differences, line=FROZEN):
    """Depths 1, 2, ... with these differences in points, all with a standard error of a tenth."""
    readings = [
        Reading(f"s{keep}", keep, Estimate(points / 100, 5, 1000, 1e-6, 8.0), p=0.5)
        for keep, points in enumerate(differences, 1)
    ]
    return Profile(TASK, "full", 6, {line: readings})


@pytest.mark.parametrize(("line", "differences", "depth"), [
    (FROZEN, (0, -0.5, -0.2, -3, 0), 3), (FROZEN, (-2, 0, 0, 0, 0), None), (FROZEN, (0, 0, 0, 0, -0.5), 5),
    (FROZEN, (3, 2, 1, 1, 1), 5),
    (REFRESHED, (-9, -3, -0.5, -0.2), 3), (REFRESHED, (0, 0, 0, -2), None), (REFRESHED, (-0.1, -9, 0, 0), 3),
])  # fmt: skip
def test_how_much_may_be_frozen_and_how_little_kept(line, differences, depth):
    assert planned(*differences, line=line).harmless(line, 0.01) == depth


@pytest.mark.parametrize(("line", "differences", "depth"), [
    (FROZEN, (0, -0.5, -3, -1.1, -4), 3), (FROZEN, (0, 0, 0, 0, -0.9), None),
    (REFRESHED, (-9, -3, -0.5, -0.2), 2), (REFRESHED, (0, -1.1, 0), None),
])  # fmt: skip
def test_the_mildest_depth_that_costs_more(line, differences, depth):
    assert planned(*differences, line=line).costly(line, 0.01) == depth


@pytest.mark.parametrize("num_frozen", [5, 0])
def test_a_loss_as_large_as_the_margin_is_rarely_called_harmless(num_frozen):
    """Planted: every depth costs three points, which is the margin. In at most 5 % of suites may any be called
    harmless; where none costs anything, some are found to be."""
    draw = np.random.default_rng(5)
    world = Planted(n=5, tasks=1, num_images=2000)
    told = cells(frame(world, num_frozen))
    line = FROZEN if num_frozen else REFRESHED
    wrong, right = [], []
    for _ in range(200):
        for shares, calls in (([0.8] + 5 * [0.77], wrong), (6 * [0.8], right)):
            [found] = profiles(dataclasses.replace(suite(world, draw, np.array([shares])), cells=told))
            calls.append(found.harmless(line, 0.03) is not None)
    assert np.mean(wrong) <= 0.05
    assert np.mean(right) >= 0.5


def test_the_readings_of_a_page_are_corrected_together():
    world = dataclasses.replace(Planted(n=5, num_images=1000), tasks=4)
    draw = np.random.default_rng(2)
    found = profiles(dataclasses.replace(suite(world, draw), cells=cells(frame(world, 5))))
    every = [reading for one in found for reading in one.lines[FROZEN]]
    assert len(every) == 20
    assert min(one.level for one in every) == pytest.approx(0.05 / 20)
