"""Readings of the layer-transfer study: their values, what pairs with what, and how often they are right."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench.analysis.columns import numbered
from bench.analysis.comparison import average
from bench.analysis.transferability import LOSS, costly, harmless, studies, verdict
from bench.analysis.variance import Column, Estimate
from tests.analysis.studied import Planned, finals, read, read_groups, table


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
    for one in (reading for reading in study.readings if reading.form == "depth"):
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


def values(frame, above, below, keep):
    """[repeats] of a quantity at a depth."""
    return scores_of(frame, above, keep) - scores_of(frame, below, 0 if below == "base" else keep)


def test_readings_over_several_depths_are_sums_of_those_at_one(draw):
    frame = finals(Planned({("AnB", 5): 0.6, ("random", 5): 0.3}), draw)
    [study] = studies(results(frame))
    by_hand = {
        ("specificity", "change", (1, 5)): values(frame, "AnB", "BnB", 5) - values(frame, "AnB", "BnB", 1),
        ("random units", "change", (1, 5)): values(frame, "random", "base", 5) - values(frame, "random", "base", 1),
        ("boost", "mean", (1, 2, 3, 4, 5)): sum(values(frame, "AnB+", "BnB+", k) for k in range(1, 6)) / 5,
        ("boost", "upper", (4, 5)): sum(values(frame, "AnB+", "BnB+", k) for k in (4, 5)) / 2,
        ("boost, unpaired", "mean", (1, 2, 3, 4, 5)): sum(values(frame, "AnB+", "base", k) for k in range(1, 6)) / 5,
        ("boost, unpaired", "upper", (4, 5)): sum(values(frame, "AnB+", "base", k) for k in (4, 5)) / 2,
    }
    told = {(one.quantity.name, one.form, one.depths): one for one in study.readings if one.form != "depth"}
    assert told.keys() == by_hand.keys(), "random halves have nothing that is less than that of random halves"
    for name, expected in by_hand.items():
        assert told[name].found.mean == pytest.approx(expected.mean()), name
        assert told[name].found.num_images == 16 * 40
        assert np.isfinite(told[name].p) == (name[0] != "boost, unpaired")


def test_a_change_without_images_has_students_interval(draw):
    """Against scipy: one kind of pair alone lends no other what it says of the spread."""
    from scipy import stats

    frame = finals(Planned(n=6), draw).assign(predictions=None)
    [study] = studies(results(frame))
    [one] = study.of("specificity", "change")
    drop = values(frame, "AnB", "BnB", 5) - values(frame, "AnB", "BnB", 1)
    assert one.found.ends() == pytest.approx(stats.t.interval(0.95, 5, drop.mean(), stats.sem(drop)))
    assert one.found.p == pytest.approx(stats.ttest_1samp(drop, 0).pvalue)


def test_groups_are_held_against_random_halves_at_the_deepest_cut(draw):
    frame = finals(Planned({("AnB", 5): 0.6}, splits=3, n=4), draw)
    frame.loc[frame["pair"] == "split 2", "pair"] = "shapes and textures"
    similar, dissimilar = studies(results(frame))
    apart = {kind: frame[frame["pair"].str.startswith(kind)] for kind in ("split", "shapes")}
    for name, above, below in ((LOSS, "AnB", "base"), ("specificity", "AnB", "BnB")):
        [one] = dissimilar.of(name, "gap")
        assert similar.of(name, "gap") == []
        gap = values(apart["shapes"], above, below, 5) - values(apart["split"], above, below, 5)
        assert one.found.mean == pytest.approx(gap.mean())
        assert one.found.num_images == 16 * 40
        assert one.num_targets == 6


def test_a_change_may_be_larger_than_a_difference(draw):
    study = read(Planned(n=2, per_class=5), draw)
    [one] = study.of("specificity", "change")
    assert replace(one, level=1e-9).ends == (-2, 2)


def test_readings_at_one_depth_and_over_several_are_corrected_apart(draw):
    """Holm by hand: the smallest of m p-values counts m times."""
    study = read(Planned({("random", 5): 0.3}), draw)
    for family in ([one for one in study.readings if (one.form == "depth") is single] for single in (True, False)):
        tested = [one for one in family if one.quantity.is_tested]
        first = min(tested, key=lambda one: one.found.p)
        assert first.p == pytest.approx(min(1.0, len(tested) * first.found.p))
        assert first.level == pytest.approx(0.05 / len(tested))
        assert len(tested) in (25, 4), "five quantities at five depths; two changes and two means"


def test_halves_and_groups_are_read_apart(draw):
    frame = finals(Planned(), draw)
    frame.loc[frame["pair"] == "split 1", "pair"] = "shapes and textures"
    both = studies(results(frame))
    assert [study.kind for study in both] == ["random halves", "shapes and textures"]
    assert all(one.num_targets == 2 for study in both for one in study.readings if one.form != "gap")


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


def collapsing(frame, repeats, treatment="AnB", keep=1):
    """With these repeats of one cell broken."""
    mine = (frame["treatment"] == treatment) & (frame["keep"] == keep) & (frame["target"] == "A")
    broken = mine & (frame["pair"] == "split 0") & frame["repeat"].isin(repeats)
    frame.loc[broken, ["collapsed", "score"]] = [1.0, 0.125]
    return frame


def test_repeats_that_collapsed_are_left_out_and_told(draw):
    whole = finals(Planned(n=4), draw)
    frame = collapsing(whole.copy(), [2])
    [study] = studies(results(frame))
    first, *others = study.of(LOSS)
    assert (first.found.n, [one.found.n for one in others]) == (3, [4, 4, 4, 4])
    kept = whole[whole["repeat"] != 2]
    assert first.found.mean == pytest.approx(values(kept, "AnB", "base", 1).mean())
    [told] = study.left_out
    assert (told.treatment, told.keep, told.target, told.num, told.of) == ("AnB", 1, "split 0 A", 1, 4)
    [curve] = [one for one in study.curves if one.treatment == "AnB"]
    assert min(curve.targets[1]) > 0.5, "the drawing leaves it out too"


def test_where_all_repeats_collapsed_they_count(draw):
    frame = collapsing(finals(Planned(n=3), draw), [0, 1, 2])
    [study] = studies(results(frame))
    assert study.left_out == []
    assert study.of(LOSS)[0].found.n == 3
    assert study.of(LOSS)[0].found.mean == pytest.approx(values(frame, "AnB", "base", 1).mean())


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


def test_the_verdict_tells_what_grows_and_what_is_worse_between_groups(draw):
    clear = {"n": 10, "per_class": 200, "run": 0.2, "labels": 0.2}
    frame = finals(Planned({("AnB", 5): 0.7}, **clear), draw)
    worse = finals(Planned({("AnB", 5): 0.5}, **clear), np.random.default_rng(3))
    groups = worse["pair"] == "split 1"
    frame = pd.concat([frame[frame["pair"] == "split 0"], worse[groups].assign(pair="shapes and textures")])
    similar, dissimilar = (verdict(study, 0.02) for study in studies(results(frame)))
    assert "A loss by specificity is shown with 5 units kept, and it is shown to grow with depth." in similar
    assert "; with 5 units it is shown to cost more than between random halves. " in dissimilar
    assert "; with 5 units it is shown to be larger than between random halves. " in dissimilar
    assert "random halves" not in similar
    assert "No loss by co-adaptation is shown. " in similar


def test_a_boost_may_show_over_all_depths_alone(draw):
    small = {("AnB+", keep): 0.82 for keep in range(1, 6)}
    study = read(Planned(small, n=5, per_class=40, run=2.0), draw)
    [one] = study.of("boost", "mean")
    assert one.is_shown
    assert not any(other.is_shown for other in study.of("boost"))
    assert "A boost beyond longer training is shown over all depths together." in verdict(study, 0.01)


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
    assert min(one.ends[0] for one in few.of(LOSS)) == -1, "wide, but no wider than a difference can be"
    assert max(one.ends[1] for one in few.of(LOSS)) == 1


def test_intervals_hold_what_was_planted_and_nothing_is_shown_that_is_not_there():
    """40 studies of 30 readings: coverage of at least 95 %, one wrong study at most."""
    nothing = table(40, Planned(per_class=20), seed=1)
    assert nothing["covered"] >= 0.95
    assert nothing["wrong"] <= 0.05
    there = table(10, Planned({("AnB", 4): 0.72, ("AnB", 5): 0.66}, n=5), seed=2)
    assert there["found"] > 0.8
    assert there["covered"] >= 0.94


def test_nothing_is_shown_between_groups_and_halves_that_are_alike():
    draw, wrong = np.random.default_rng(5), 0
    for _ in range(30):
        wrong += any(one.is_shown for study in read_groups(Planned(per_class=20), draw) for one in study.readings)
    assert wrong <= 2


def test_a_reading_of_one_repeat_has_no_interval(draw):
    study = read(Planned(n=1), draw)
    assert all(np.isnan(one.ends).all() and not one.is_shown for one in study.readings)
    assert isinstance(study.readings[0].found, Estimate)
