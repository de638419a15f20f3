"""What a reader may do with the page, as text: marks that filters go by, folded methods, names that break, print."""

import dataclasses
import re

import pytest

from bench.analysis.words import labels
from bench.report import render
from bench.report.facts import Facts
from bench.report.fill import breakable
from bench.report.filters import Filters
from bench.report.view import Column, TableCell
from tests.analysis.synthetic import World, make
from tests.report.test_report import Page

pytestmark = pytest.mark.usefixtures("undrawn")

WORLD = World(datasets=("near", "digits"), budgets=(5, 20), backbones=("small", "large"), gaps=False, repeats=2)


@pytest.fixture(scope="module")
def page() -> str:
    return render(make(WORLD))


def table_of(page: str, name: str) -> str:
    return re.findall(rf'<table data-name="{name}">.*?</table>', page, re.DOTALL)[0]


def test_what_can_be_filtered_by_are_names_that_there_are_two_of(page: str) -> None:
    filters = Facts.of(make(WORLD)).filters
    assert {kind: [one.name for one in choices] for kind, choices in filters.kinds.items()} == {
        "dataset": ["near", "digits"], "backbone": ["small", "large"],
        "strategy": ["scratch", "linear_probe", "full_finetune", "freeze(upto=1)", "freeze(upto=2)", "freeze(upto=3)",
                     "freeze(upto=4)", "gradual_unfreeze", "discriminative"],
        "budget": ["5", "20"],
    }  # fmt: skip
    assert page.count('<input type="checkbox"') == 2 + 2 + 9 + 2
    one = Facts.of(make(World(datasets=("near",), budgets=(5,), gaps=False, repeats=2))).filters
    assert list(one.kinds) == ["strategy"]


def test_the_bar_is_hidden_until_a_script_shows_it(page: str) -> None:
    bar = next(attributes for tag, attributes in Page(page).tags if attributes.get("id") == "filter")
    assert "hidden" in bar
    assert "<button" not in page.replace('<button type="button" class="all" hidden>', "")


def test_a_row_has_the_marks_of_all_that_it_names(page: str) -> None:
    rows = re.findall(r'<tr data-f="([^"]*)">(.*?)</tr>', table_of(page, "cells"), re.DOTALL)
    assert len(rows) == 2 * 2 * 2 * 9
    filters = Facts.of(make(WORLD)).filters
    for marks, row in rows:
        texts = [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        names = {"dataset": texts[0], "budget": texts[2], "backbone": texts[3], "strategy": texts[4]}
        assert set(marks.split()) == set(filters.marks(**names).split())
        assert len(marks.split()) == 4


def test_budgets_are_known_by_their_words_too() -> None:
    filters = Facts.of(make(WORLD)).filters
    columns = [Column("Labels"), Column("Score")]
    by_words, by_value = TableCell(labels("20")), TableCell("twenty", value="20")
    assert filters.of_row(columns, [by_words, TableCell("20")]) == "l1"
    assert filters.of_row(columns, [by_value, TableCell("5")]) == "l1"
    assert filters.of_row(columns, [TableCell("7 labels"), TableCell("5")]) == ""
    assert filters.of_row([Column("Task"), columns[1]], [TableCell("x", about="d0 l0"), by_value]) == "d0 l0"
    assert Filters().of_row(columns, [by_value, by_value]) == ""


def test_tables_columns_and_drawings_of_one_thing_have_its_marks(page: str) -> None:
    wrapped = r'<div data-f="d1 b0">\s*<h3><bdi>digits · small</bdi></h3>\s*<figure class="table" id="table-scores-2"'
    assert re.search(wrapped, page)
    heads = re.findall(r'<th scope="col"[^>]*data-f="(l\d)"[^>]*><span>(.*?)</span>', table_of(page, "transfer-0"))
    assert heads == [("l0", "5 labels per class"), ("l1", "20 labels per class")]
    panels = re.findall(r'<div class="panel" data-f="([^"]*)">\s*<h3><bdi>(\w+)</bdi> <small><bdi>(\w+)', page)
    assert ("d0 b1", "near", "large") in panels
    assert ("d1 b0", "digits", "small") in panels


def test_lines_of_a_strategy_have_its_mark_and_so_has_the_legend(page: str) -> None:
    labels_section = page[page.index('<section id="labels"') : page.index('<section id="depth"')]
    figures = re.findall(r'<svg class="plot".*?</svg>', labels_section, re.DOTALL)
    assert len(figures) == 4
    for figure in figures:
        assert set(re.findall(r'<g data-f="(s\d)">', figure)) == {f"s{i}" for i in range(9)}
        assert not re.search(r'id="[^"]*about', figure)
    assert set(re.findall(r'<li data-f="(s\d)">', labels_section)) == {f"s{i}" for i in range(9)}
    depth = page[page.index('<section id="depth"') : page.index("</figure>", page.index('<section id="depth"'))]
    assert set(re.findall(r'<g data-f="(l\d)">', depth)) == {"l0", "l1"}


def test_a_hostile_name_is_a_value_of_a_box() -> None:
    name = '"><script>alert(1)</script>'
    made = render(make(World(datasets=("near",), budgets=(5,), gaps=False, repeats=2, rename={"linear_probe": name})))
    values = [attributes.get("value") for tag, attributes in Page(made).tags if tag == "input"]
    assert name in values


def test_methods_are_folded_under_what_they_explain(page: str) -> None:
    shown = re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)
    for words in ("Holm&#39;s correction", "held fixed, so it says nothing about other data sets", "Wilson’s"):
        assert words in page
        assert words not in shown
    assert page.count("<summary>How this is computed</summary>") > 6


def test_headings_step_down_one_at_a_time(page: str) -> None:
    levels = [int(tag[1]) for tag, _ in Page(page).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))


def test_regions_have_names_of_their_own_and_columns_have_titles(page: str) -> None:
    regions = [attributes for _, attributes in Page(page).tags if attributes.get("role") == "region"]
    names = [attributes["aria-label"] for attributes in regions]
    assert len(names) == len(set(names))
    assert all(attributes["tabindex"] == "0" for attributes in regions)
    assert any(tag == "pre" and attributes.get("role") == "region" for tag, attributes in Page(page).tags)
    assert not re.search(r'<th scope="col"[^>]*><span></span>', page)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("gradual_unfreeze", ["gradual_unfreeze"]),
        ("discriminative(decay=0.31,top=2)", ["discriminative(", "decay=", "0.31,", "top=", "2)"]),
        ("a sentence may break at its spaces", ["a sentence may break at its spaces"]),
        ("<b>_______________________", ["&lt;b&gt;_", *"_" * 22]),
    ],
)
def test_long_names_break_behind_their_marks(name: str, parts: list[str]) -> None:
    assert str(breakable(name)) == "<wbr>".join(parts)


def test_columns_of_the_long_form_are_words(page: str) -> None:
    heads = re.findall(r"<th scope=\"col\"[^>]*><span>(.*?)</span>", table_of(page, "cells"))
    assert heads[:7] == ["Dataset", "Kind of data", "Labels", "Backbone", "Strategy", "Not finished", "Rate at an end"]
    assert not [head for head in heads if "_" in head]


def test_a_single_evaluation_leaves_nothing_to_select() -> None:
    world = World(datasets=("near",), budgets=(5,), gaps=False)
    assert 'id="selection"' in render(make(world))
    made = make(world)
    training = {**made.suite["training"], "evaluations": 1}
    assert 'id="selection"' not in render(dataclasses.replace(made, suite={**made.suite, "training": training}))


def test_the_legend_of_rates_names_what_has_a_curve() -> None:
    made = make(World(datasets=("near",), budgets=(5,), gaps=False))
    page = render(dataclasses.replace(made, trials=made.trials[made.trials["strategy"] != "linear_probe"]))
    section = page[page.index('<section id="rates"') : page.index('<section id="search"')]
    legend = section[section.index('<ul class="legend">') : section.index("</ul>")]
    assert "full_finetune" in legend
    assert "linear_probe" not in legend


def test_a_pretraining_that_is_missing_beside_several_kinds_of_data_has_a_page() -> None:
    """Its source is no data set of the tasks, so nobody knows what it holds."""
    from tests.report.test_mixed_page import mixed

    made = mixed()
    pretrainings = made.pretrainings.assign(dataset="elsewhere", status="missing")
    assert "elsewhere" in Page(render(dataclasses.replace(made, pretrainings=pretrainings))).text
