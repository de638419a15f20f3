"""The page shows a further split beside the test score, for the data sets that have one, and says what it is."""

import dataclasses
import math
import re

import pytest

from bench.analysis.frame import SuiteResults
from bench.report import render
from tests.analysis.synthetic import World, make
from tests.report.test_report import Page

pytestmark = pytest.mark.usefixtures("undrawn")

WORLD = World(datasets=("near", "digits"), budgets=(5, 20), strategies=("scratch", "full_finetune"), gaps=False)
WHAT = "Shift: the score on a further split, which has the same classes in other circumstances."


def with_shift(lower=0.25, world=WORLD) -> SuiteResults:
    """`near` has one, on which every score is lower by this."""
    made = make(world)
    frame = made.finals
    shift = (frame.score - lower).where(frame.dataset == "near", math.nan)
    return dataclasses.replace(made, finals=frame.assign(shift_score=shift))


def table_of(html: str, name: str) -> str:
    return re.findall(rf'<table data-name="{name}">.*?</table>', html, re.DOTALL)[0]


def columns_of(table: str) -> list[str]:
    return re.findall(r'<th scope="col"[^>]*><span>(.*?)</span>', table)


def test_a_column_beside_each_test_score_of_the_set_that_has_one() -> None:
    html = render(with_shift())
    near, digits = table_of(html, "scores-0"), table_of(html, "scores-1")
    budgets = ["5 labels per class", "20 labels per class"]
    assert columns_of(near) == ["Strategy", budgets[0], f"Shift, {budgets[0]}", budgets[1], f"Shift, {budgets[1]}"]
    assert columns_of(digits) == ["Strategy", *budgets]
    one = with_shift(world=dataclasses.replace(WORLD, budgets=(5,)))
    assert columns_of(table_of(render(one), "scores-0")) == ["Strategy", budgets[0], "Shift"]


@pytest.mark.parametrize(("lower", "words"), [(0.05, "5.0 below the test score"), (-0.05, "5.0 above the test score")])
def test_a_cell_has_the_mean_its_interval_and_the_distance(lower: float, words: str) -> None:
    made = with_shift(lower)
    mine = made.finals.query("dataset == 'near' and budget == '5' and strategy == 'full_finetune'")
    text = f"{100 * mine.shift_score.mean():.1f}"
    (cell,) = re.findall(rf"<td[^>]*><bdi>{text}( [^<]*)</bdi><small>{words}</small>", render(made))
    assert re.match(r" (±\d+\.\d|\+\d+\.\d −\d+\.\d)$", cell)


def test_the_page_says_what_it_is_only_where_there_is_one() -> None:
    assert WHAT in Page(render(with_shift())).text
    plain = Page(render(make(WORLD))).text
    assert "Shift" not in plain
    assert "Drop" not in plain


def test_a_strategy_that_has_none_is_a_gap() -> None:
    made = with_shift()
    frame = made.finals
    shift = frame.shift_score.where(frame.strategy == "scratch", math.nan)
    near = table_of(render(dataclasses.replace(made, finals=frame.assign(shift_score=shift))), "scores-0")
    row = next(one for one in re.findall(r"<tr[ >].*?</tr>", near, re.DOTALL) if "full_finetune" in one)
    assert row.count('<td class="num quiet"') == 2


def test_the_long_table_has_the_plain_numbers() -> None:
    made = with_shift(0.25)
    html = table_of(render(made), "cells")
    assert columns_of(html)[-6:] == [
        "Shift score", "Shift low end", "Shift high end", "Drop to the shift", "Drop low end", "Drop high end",
    ]  # fmt: skip
    assert html.count("<bdi>0.25</bdi>") == 3 * 4  # the drop and its ends, of four cells
    assert "Drop to the shift" not in columns_of(table_of(render(make(WORLD)), "cells"))
