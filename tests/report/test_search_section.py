"""How much the search decided: what the section says of each kind of search, and what it leaves out."""

import dataclasses
import re

import numpy as np
import pytest

from bench.analysis.frame import SuiteResults
from bench.report import render
from bench.report.sections.search import search_section
from tests.analysis.synthetic import World, make
from tests.report.test_report import Page

WORLD = World(datasets=("near",), budgets=(5,), gaps=False, trials=6)
WHOLE = dataclasses.replace(WORLD, halving=False)


@pytest.fixture(autouse=True)
def _only(only):
    only(search_section)


def section(results: SuiteResults) -> str:
    return "".join(re.findall(r'<section id="search".*?</section>', render(results), re.DOTALL))


def words(html: str) -> str:
    return Page(html).text


@pytest.mark.parametrize(("world", "said", "unsaid"), [
    (WHOLE, "the mean over every random subset of the points that this search tried", "Where later points depend"),
    (dataclasses.replace(WORLD, cohort=3), "the best of the first trials, in the order", "random subset"),
    (dataclasses.replace(WHOLE, cohort=1), "the best of the first trials, in the order", "random subset"),
    (WORLD, "What fewer trials would have come to is not drawn where", "Validation score against trials"),
])  # fmt: skip
def test_the_line_is_named_for_what_it_is(world: World, said: str, unsaid: str) -> None:
    found = words(section(make(world)))
    assert said in found
    assert unsaid not in found


def test_steps_by_hand() -> None:
    """Six trials of three folds: 6 to 44, 2 on to 133 and to 200; finals have 200 steps."""
    steps = 3 * (6 * 44 + 2 * 89 + 2 * 67)
    html = section(make(WORLD))
    row = next(line for line in re.findall(r"<tr.*?</tr>", html, re.DOTALL) if "linear_probe" in line)
    cells = [words(cell) for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)]
    assert cells[1:4] == ["6", f"{steps:,}", f"{100 * steps / 1200:.0f}"]


def test_regret_is_told_only_where_it_is_known() -> None:
    halved, whole = words(section(make(WORLD))), words(section(make(WHOLE)))
    assert "Regret on validation is not known where trials left early" in halved
    assert "on validation the choice is made among all of them: a regret of 0.0 points at most" in whole
    for found in (halved, whole):
        assert "Regret on test is not known: only with “search: {finals: all}”" in found
    found = words(section(make(dataclasses.replace(WHOLE, all_finals=True))))
    assert "Regret on test: the best test score of all points of a search minus that of the chosen one" in found
    assert "Regret on test is not known" not in found
    assert "Test score against trials" in found


def test_a_choice_that_was_not_the_best_on_validation_is_told() -> None:
    made = make(dataclasses.replace(WHOLE, strategies=("scratch", "linear_probe")))
    mine = made.trials.strategy == "linear_probe"
    trials = made.trials.assign(score=made.trials.score.where(~mine | ~made.trials.chosen, 0.5))
    found = words(section(dataclasses.replace(made, trials=trials)))
    assert trials[mine].score.max() > 0.6
    assert f"a regret of {100 * (trials[mine].score.max() - 0.5):.1f} points at most" in found


def test_regret_on_test_by_hand() -> None:
    results = make(dataclasses.replace(WHOLE, all_finals=True, strategies=("scratch", "linear_probe")))
    results = dataclasses.replace(results, finals=results.finals.assign(score=results.finals.score - 0.05))
    mine = results.finals.query("strategy == 'linear_probe'")
    others = results.unchosen.query("strategy == 'linear_probe'")
    regrets = [
        max(0.0, others[others.repeat == one.repeat].score.max() - one.score) for one in mine.itertuples()
    ]  # fmt: skip
    row = next(line for line in re.findall(r"<tr.*?</tr>", section(results), re.DOTALL) if "linear_probe" in line)
    assert np.mean(regrets) > 0.005
    assert f"{100 * np.mean(regrets):+.1f}" in row


def test_one_trial_decides_nothing() -> None:
    assert section(make(dataclasses.replace(WORLD, trials=1))) == ""


def test_more_tasks_are_folded() -> None:
    world = dataclasses.replace(WHOLE, datasets=("near", "mid", "far"), budgets=(5, 20, 100))
    found = section(make(world))
    assert len(re.findall(r'<svg class="plot"', found)) == 9
    assert "3 more tasks" in words(found)


def test_records_without_rungs_or_steps_break_nothing() -> None:
    made = make(WHOLE)
    nan = float("nan")
    old = made.trials.assign(num_validation=nan, spent_steps=nan)
    assert "among the few" not in words(section(dataclasses.replace(made, trials=old)))
    assert not re.search(r"\bnan\b", words(section(dataclasses.replace(made, trials=old))).lower())
