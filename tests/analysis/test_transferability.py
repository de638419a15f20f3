"""Readings of the layer-transfer study: their values, what pairs with what, and how often they are right."""

import numpy as np
import pytest

from bench.analysis.columns import numbered
from bench.analysis.comparison import average
from bench.analysis.transferability import LOSS, costly, harmless, studies
from bench.analysis.variance import Column, Estimate
from tests.analysis.studied import Planned, finals, read, table


@pytest.fixture
def draw():
    return np.random.default_rng(3)


def scores_of(frame, treatment, keep, targets=("A", "B")):
    """[repeats], a mean over targets and splits."""
    mine = frame[(frame["treatment"] == treatment) & (frame["keep"] == keep) & frame["target"].isin(targets)]
    return mine.groupby("repeat")["score"].mean()


def results(frame):
    from types import SimpleNamespace

    return SimpleNamespace(finals=frame)


def test_a_reading_is_the_mean_over_targets_of_paired_differences(draw):
    frame = finals(Planned(), draw)
    [study] = studies(results(frame))
    for one in study.readings:
        below = one.quantity.subtrahend
        other = scores_of(frame, below, 0 if below == "base" else one.keep)
        expected = scores_of(frame, one.quantity.minuend, one.keep) - other
        assert one.found.mean == pytest.approx(expected.mean())
        assert one.found.n == 3
        assert one.num_targets == 4
        assert one.found.num_images == 16 * 40, "an image of two splits is one image"
    assert {one.keep for one in study.of("specificity")} == {1, 2, 3, 4, 5}
    assert study.base == pytest.approx(scores_of(frame, "base", 0).mean())
    assert study.num_pairs == 2


def test_halves_and_groups_are_read_apart(draw):
    frame = finals(Planned(), draw)
    frame.loc[frame["pair"] == "split 1", "pair"] = "shapes and textures"
    both = studies(results(frame))
    assert [study.kind for study in both] == ["random halves", "shapes and textures"]
    assert all(one.num_targets == 2 for study in both for one in study.readings)


def test_a_target_without_one_of_the_two_is_left_out(draw):
    frame = finals(Planned(), draw)
    gone = (frame["treatment"] == "BnB") & (frame["keep"] == 2) & (frame["target"] == "A")
    [study] = studies(results(frame[~gone]))
    told = {one.keep: one for one in study.of("co-adaptation")}
    assert told[2].num_targets == 2
    expected = scores_of(frame, "BnB", 2, ["B"]) - scores_of(frame, "base", 0, ["B"])
    assert told[2].found.mean == pytest.approx(expected.mean())


def test_a_repeat_that_failed_is_a_gap_and_no_zero(draw):
    frame = finals(Planned(n=4), draw)
    broken = (frame["treatment"] == "AnB") & (frame["keep"] == 1) & (frame["repeat"] == 2) & (frame["target"] == "A")
    frame.loc[broken, ["status", "score"]] = ["failed", np.nan]
    [study] = studies(results(frame))
    assert [one.found.n for one in study.of(LOSS)] == [3, 4, 4, 4, 4]


def test_images_have_one_number_in_all_parts():
    whole = np.array([3, 1, 1, 3, 0, 1, 3])
    numbers = numbered(whole)
    assert len(set(numbers)) == len(whole)
    for part in ((0, 1), (1, 3)):
        rows = np.flatnonzero(np.isin(whole, part))
        assert numbered(whole[rows]).tolist() == numbers[rows].tolist()


def test_a_mean_over_targets_has_the_variance_that_its_images_give(draw):
    """Against drawing the images again: two targets that share half of theirs."""
    right = (draw.random((2, 400)) < 0.7).astype(float)
    which = np.arange(400), np.arange(200, 600)
    one = average([("study", Column({0: 0.7}, {0: Column.centred(right[k])}, {0: which[k]})) for k in range(2)])
    told = float(one.images[0] @ one.images[0])
    values = np.full((2, 600), np.nan)
    for k in range(2):
        values[k, which[k]] = right[k]
    drawn = draw.integers(0, 600, (4000, 600))
    again = np.nanmean(values[:, drawn], axis=2).mean(axis=0)
    assert told == pytest.approx(again.var(), rel=0.08)


def test_no_study_no_readings(draw):
    frame = finals(Planned(), draw).assign(treatment="")
    assert studies(results(frame)) == []


def test_what_can_be_frozen_is_shown_and_not_only_unrefuted(draw):
    clear = read(Planned({("AnB", 4): 0.7, ("AnB", 5): 0.6}, n=10, per_class=400, run=0.2, labels=0.2), draw)
    assert harmless(clear, 0.02) == 3
    assert costly(clear, 0.02) == 4
    few = read(Planned(n=2, per_class=5), draw)
    assert harmless(few, 0.001) == 0
    assert costly(few, 0.001) is None
    assert min(one.ends[0] for one in few.readings) == -1, "wide, but no wider than a difference can be"
    assert max(one.ends[1] for one in few.readings) == 1


def test_intervals_hold_what_was_planted_and_nothing_is_shown_that_is_not_there():
    """40 studies of 30 readings: coverage of at least 95 %, one wrong study at most."""
    nothing = table(40, Planned(per_class=20), seed=1)
    assert nothing["covered"] >= 0.95
    assert nothing["wrong"] <= 0.05
    there = table(10, Planned({("AnB", 4): 0.72, ("AnB", 5): 0.66}, n=5), seed=2)
    assert there["found"] > 0.8
    assert there["covered"] >= 0.94


def test_a_reading_of_one_repeat_has_no_interval(draw):
    study = read(Planned(n=1), draw)
    assert all(np.isnan(one.ends).all() and not one.is_shown for one in study.readings)
    assert isinstance(study.readings[0].found, Estimate)
