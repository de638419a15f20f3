"""A part of `operating_points.py`, as bounds: false alarms stay rare, drops are caught, and no other cell is named."""

import dataclasses

import pytest

from .operating_points import TARGET, Case, caught, named, simulate, unseen

KINDS = ["normal", "t3", "t2", "together", "noisy group together", "noisy cells", "unequal", "lognormal 0.8",
         "collapse 0.05", "ceiling", "few images"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_unchanged_nights_raise_no_alarm(kind):
    results = list(simulate(Case(kind, nights=100)))
    assert named(results, "regressed") <= 0.06
    assert named(results, "improved") <= 0.06


@pytest.mark.parametrize("kind", ["t3", "together", "noisy cells"])
def test_without_a_margin_holm_and_spread_hold_alone(kind):
    """What the margin takes on otherwise."""
    assert named(list(simulate(Case(kind, margin=0.0))), "regressed") <= 0.1


@pytest.mark.parametrize(("kind", "margin", "repeats", "least"), [
    ("normal", 0.25, 5, 0.78), ("t3", 0.25, 5, 0.78), ("normal", 0.5, 6, 0.78), ("normal", 0.5, 5, 0.6),
])  # fmt: skip
def test_a_drop_of_two_points_is_caught_and_no_other_cell_is_named(kind, margin, repeats, least):
    results = list(simulate(Case(kind, margin, repeats), drop=2.0))
    assert caught(results) >= least
    assert named(results, "regressed", without=TARGET) <= 0.05


@pytest.mark.parametrize("repeats", [3, 10])
def test_a_drop_of_the_size_that_a_night_tells_is_caught_four_times_out_of_five(repeats):
    """Each night is run twice: as it is, and with a drop of the size that it was told."""
    case = Case("normal", repeats=repeats)
    told = [one.verdicts[TARGET].smallest for one in simulate(case)]
    assert 0.75 <= caught(list(simulate(case, drop=told))) <= 0.92


def test_half_a_point_everywhere_is_red_by_the_mean():
    results = list(simulate(Case("normal", nights=100), everywhere=0.5))
    assert sum(result.exit_code == 1 for result in results) >= 80
    assert sum(result.mean.word == "regressed" for result in results) >= 80


def test_unchanged_nights_are_not_blind_for_what_the_nightly_suite_must_see():
    results = list(simulate(Case("normal", nights=100)))
    assert unseen(results, 3.0) == 0
    assert unseen(list(simulate(dataclasses.replace(Case("normal", nights=20), repeats=2))), 3.0) == 1
