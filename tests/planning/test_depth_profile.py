"""The sweeps of a depth profile share what is the same; what page and records are asked for besides is in no key."""

import pytest

from tests.planning.conftest import SMALL

PROFILE = SMALL.replace("[scratch, linear_probe, full_finetune]", """
  - scratch
  - full_finetune
  - {freeze: {upto: all}}
  - {transplant: {keep: all, tune: true}}
  - {tune_last: {units: 2}}""")


def by_strategy(made):
    return {cell.strategy: cell for cell in made.cells if cell.budget.text == "4"}


def test_two_lines_make_a_profile(plan):
    made = by_strategy(plan(PROFILE))
    sweeps = [*(f"freeze(upto={k})" for k in range(1, 6)), *(f"transplant(keep={k}, tune=True)" for k in range(1, 6))]
    assert list(made) == ["scratch", "full_finetune", *sweeps, "tune_last(units=2)"]
    assert made["transplant(keep=5, tune=True)"].finals == made["full_finetune"].finals
    last, below = made["tune_last(units=2)"], made["freeze(upto=3)"]
    assert (last.finals, last.axis) == (below.finals, below.axis), "tuning from a unit on is freezing what is below"
    assert len({cell.finals for cell in made.values()}) == len(made) - 2


@pytest.mark.parametrize("asked", ["records: {similarity: true}", "verdicts: {reached: 0.5}"])
def test_what_is_asked_for_moves_no_key(plan, asked):
    assert list(plan(f"{PROFILE}{asked}\n").jobs) == list(plan(PROFILE).jobs)


@pytest.mark.parametrize("share", ["0", "1.1", "much"])
def test_a_share_of_the_way_lies_between_nought_and_one(refused, share):
    [problem] = refused(f"{PROFILE}verdicts: {{reached: {share}}}\n")
    assert "verdicts.reached: " in problem
