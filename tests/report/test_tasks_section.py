"""The section over all tasks: what it says, and what it leaves out and why."""

import dataclasses
import html
import re

import numpy as np
import pytest

from bench.analysis.frame import OWN_HEAD, SuiteResults
from bench.report import render
from bench.report.sections.tasks import tasks_section
from tests.analysis import synthetic
from tests.analysis.synthetic import World, make

FEW = ("scratch", "linear_probe", "full_finetune")


@pytest.fixture(autouse=True)
def _only(only):
    only(tasks_section)


def section(results: SuiteResults) -> str:
    found = re.search(r'<section id="tasks".*?</section>', render(results), re.DOTALL)
    return found[0] if found else ""


def words(page: str) -> str:
    return re.sub("[ \n]+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))


@pytest.fixture(scope="module")
def made() -> SuiteResults:
    return make(World(strategies=FEW, gaps=False))


def test_numbers_from_the_frame(made: SuiteResults) -> None:
    """Pairs, counted in the frame; the middle half, by numpy."""
    finals = made.finals
    table = finals.pivot_table(index=["dataset", "budget", "repeat"], columns="strategy", values="score")
    above = (np.sign(table["full_finetune"] - table["scratch"]) / 2 + 0.5).mean()
    middle = np.sort(table["full_finetune"])[9:27].mean()
    text = words(section(made))
    assert f"full_finetune {100 * above:.0f} (" in text
    assert f"{100 * middle:.1f} +" in text or f"{100 * middle:.1f} ±" in text
    assert "from 36 pairs with the same labels" in text
    assert "12 tasks, n = 3 repeats of each" in text
    assert "The tasks are held fixed" in text


def test_what_the_choice_would_have_got(made: SuiteResults) -> None:
    """By hand from the two frames: one search serves all repeats."""
    cell = ["dataset", "budget"]
    seen = made.trials[made.trials["chosen"]].set_index([*cell, "strategy"])["score"]
    best = seen.groupby(level=cell).idxmax()
    means = made.finals.groupby([*cell, "strategy"])["score"].mean()
    got = np.mean([means[name] for name in best])
    text = words(section(made))
    assert f"by validation, anew for each task, gives {100 * got:.1f}\u00a0% on test" in text
    assert "One search served all repeats" in text


def test_ranks_need_data_sets(made: SuiteResults) -> None:
    said = "over 4 data sets no test (Wilcoxon, corrected for all pairs) can show that any of 3 strategies differ"
    assert said in words(section(made))


def test_enough_data_sets_have_a_diagram(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"set{number}" for number in range(9)]
    for name in names:
        monkeypatch.setitem(synthetic.LEVELS, name, synthetic.LEVELS["near"])
    results = make(World(datasets=tuple(names), budgets=(5, 20), strategies=(*FEW, "freeze(upto=1)"), gaps=False))
    page = section(results)
    assert "Wilcoxon’s signed ranks, exact, Holm at 5 %" in words(page)
    assert "Mean rank over 9 data sets" in words(page)
    assert page.count("stroke-width:2.6") == 1  # of full_finetune and freeze(upto=1), planted a hair apart
    assert "Mean ranks describe, no more" not in words(page)


def test_one_task_and_one_repeat_say_why_they_are_short() -> None:
    one_task = words(section(make(World(datasets=("near",), budgets=(5,), strategies=FEW, gaps=False))))
    assert "All ranked strategies finished one task alone" in one_task
    assert "Choosing the strategy, too, by validation" in one_task
    assert "Middle half" not in one_task
    one_repeat = words(section(make(World(repeats=1, strategies=FEW, gaps=False))))
    assert "One repeat allows no interval" in one_repeat
    assert "Middle half" not in one_repeat
    assert len(one_repeat) < 600
    assert section(make(World(datasets=("near",), budgets=(5,), strategies=FEW, repeats=1, gaps=False))) == ""


def test_two_tasks_are_too_few_for_an_interval_of_the_middle_half() -> None:
    page = section(make(World(datasets=("near", "mid"), budgets=(5,), strategies=FEW, gaps=False)))
    assert "it has no interval, as over fewer than 3 tasks" in words(page)
    table = page[page.index('id="table-over-tasks"') : page.index("</table>")]
    assert "±" not in table
    assert " to " in words(table)  # of pairs there is one


def test_four_pairs_are_too_few_for_any() -> None:
    page = section(make(World(datasets=("near", "mid"), budgets=(5,), strategies=FEW, repeats=2, gaps=False)))
    assert "With fewer than 6 pairs an interval would hold too seldom" in words(page)
    assert " to " not in words(page[page.index("<tbody") : page.index("</tbody>")])
    assert "Bands of" not in words(page)


def test_one_strategy_has_no_section() -> None:
    assert section(make(World(strategies=("full_finetune",), gaps=False))) == ""


def test_without_a_baseline_nothing_is_above_it() -> None:
    text = words(section(make(World(strategies=("linear_probe", "full_finetune"), gaps=False))))
    assert "Above" not in text
    assert "Middle half" in text


def test_a_strategy_that_breaks_has_no_interval() -> None:
    broken = (("mid", 20, "linear_probe", 1),)
    page = section(make(World(strategies=FEW, gaps=False, collapsed=broken)))
    middle = re.findall(r"<tr[ >].*?</tr>", page, re.DOTALL)
    probe = next(row for row in middle if "linear_probe" in row)
    assert "±" not in words(probe)
    assert "No intervals, as a strategy collapsed" in words(page)


def test_an_own_head_cannot_be_chosen(made: SuiteResults) -> None:
    """It is ranked, and has no trials."""
    own = made.finals["strategy"] == "linear_probe"
    finals = made.finals.assign(solved=made.finals["solved"].where(~own, OWN_HEAD))
    trials = made.trials[made.trials["strategy"] != "linear_probe"]
    text = words(section(dataclasses.replace(made, finals=finals, trials=trials)))
    assert "no validation score everywhere: linear_probe." in text
    nothing = dataclasses.replace(made, trials=made.trials[made.trials["strategy"] == "scratch"])
    assert "Choosing the strategy, too, by validation" not in words(section(nothing))
