"""The page as text: self-contained, the same bytes twice, harmless whatever names and results it is given."""

import dataclasses
import html.parser
import re
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.analysis.frame import FINALS, PRETRAININGS, TRIALS, SuiteResults, empty
from bench.errors import StoreError
from bench.report import render, write
from bench.report.facts import Facts
from bench.report.sections.depths import depth_section
from bench.report.sections.learning import labels_section
from bench.report.sections.top import warnings
from tests.analysis.synthetic import World, make, typed

HOSTILE = {
    "linear_probe": "<script>alert(1)</script>",
    "full_finetune": "\"onmouseover='x' $\\frac{$ {{ 7*7 }}",
    "freeze(upto=1)": "n" * 300,
    "freeze(upto=2)": "\u202e\u05d0\u05d1\u05d2 right to left",
    "near": "</style><img src=x onerror=alert(1)>",
    "mid": "=cmd|'/c calc'!A0",
    "small, pretrained on source": "日本語 🦊 & <b>",
}


class Page(html.parser.HTMLParser):
    """Enough of a browser to ask about structure."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "input", "wbr", "path", "use", "line", "circle", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page() -> str:
    return render(make())


@pytest.fixture(scope="module")
def parsed(page: str) -> Page:
    return Page(page)


def test_same_results_same_bytes(page: str) -> None:
    assert render(make()) == page


def test_nothing_is_asked_of_any_host(page: str, parsed: Page) -> None:
    for tag, attributes in parsed.tags:
        for name in ("src", "href", "xlink:href", "action", "srcset", "data"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    for address in re.findall(r"url\(([^)]*)\)", page):
        assert address.startswith("#")
    assert "@import" not in page
    assert "http:" not in page
    assert "https:" not in page


def test_ids_are_unique_and_references_hold(parsed: Page, page: str) -> None:
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {(a["href"] or "")[1:] for _, a in parsed.tags if (a.get("href") or "").startswith("#")}
    used |= set(re.findall(r"url\(#([^)]*)\)", page))
    assert used <= set(ids)


def test_figures_bring_no_style_no_sentinel_and_no_date(page: str) -> None:
    figures = re.findall(r'<svg class="plot".*?</svg>', page, re.DOTALL)
    assert len(figures) > 15
    for figure in figures:
        assert "<style" not in figure
        assert "*{" not in figure
        assert "<metadata" not in figure
        assert not re.search(r"#0(102|a0b|c0d)", figure)
        assert figure.count("<g") == figure.count("</g>")
        assert set(re.findall(r"#[0-9a-f]{6}\b", figure)) == set()  # every colour is a variable of the page


def test_elements_are_closed_in_order(parsed: Page) -> None:
    assert parsed.open == []


def test_every_section_has_anchor_reading_help_and_caption(page: str) -> None:
    sections = re.findall(r'<section id="([a-z]+)".*?</section>', page, re.DOTALL)
    assert sections == [
        "findings", "leaderboard", "tasks", "transfer", "datasets", "labels", "depth", "mistakes", "forgetting",
        "rates", "search", "cost", "selection", "gaps", "data", "pretraining", "protocol", "provenance",
    ]  # fmt: skip
    for anchor in sections:
        assert f'href="#{anchor}"' in page
    assert page.count('<p class="how">') == len(sections) - 1


def test_numbers_are_on_the_page(parsed: Page) -> None:
    """Readable without JavaScript: they are in the tables, not in data for a script."""
    text = parsed.text
    assert "69.0 ±0.8" in text  # far, 100 labels, full fine-tuning
    assert "−18.8 ±1.8" in text  # corrected for all comparisons of the page
    assert "▼ hurts" in text
    assert "1 of 973 trainings missing" in text
    assert "STAND-IN" in text
    assert "ab12.json" in text
    assert "loss became NaN at step 14" in text
    assert "RuntimeError: expected 10 classes" in text
    assert "do not include the variation of the search" in text
    assert "name: quickstart" in text
    assert text.count("±") > 150


def test_the_table_agrees_with_the_frame(page: str) -> None:
    """One number all the way: three scores of one cell, by hand from the frame to the text."""
    frame = make().finals
    cell = frame[(frame.dataset == "digits") & (frame.budget == "5") & (frame.strategy == "scratch")]
    mean, draws = cell.score.mean(), cell.score.mean() * (1 - cell.score.mean()) * 3 / cell.score.var()
    weight = 4.302653**2 / draws  # Wilson's, as many draws as have this variance
    half = (mean * (1 - mean) * weight + weight**2 / 4) ** 0.5
    low, high = ((mean + weight / 2 + sign * half) / (1 + weight) for sign in (-1, 1))
    assert f"{100 * mean:.1f} +{100 * (high - mean):.1f} −{100 * (mean - low):.1f}" in page


def test_hostile_names_are_text() -> None:
    page = render(make(World(rename=HOSTILE)))
    parsed = Page(page)
    assert sum(tag == "script" for tag, _ in parsed.tags) == 1
    assert not [attributes for _, attributes in parsed.tags if any(name.startswith("on") for name in attributes)]
    assert not [tag for tag, _ in parsed.tags if tag in ("img", "b")]
    assert "49" not in re.findall(r"\$ (\S+)", parsed.text)
    assert "<script>alert(1)</script>" in parsed.text
    assert "日本語 🦊" in parsed.text
    assert "n" * 80 not in parsed.text
    assert parsed.open == []


@pytest.mark.usefixtures("undrawn")
def test_hostile_text_elsewhere() -> None:
    made = make()
    finals = made.finals.copy()
    finals.loc[0, "status"], finals.loc[0, "error"] = "failed", "</td><script>alert(1)</script>" + "x" * 5000
    hostile = SuiteResults(
        name="quick</title><script>alert(2)</script>",
        description="<b>bold</b> $x$ {% raw %}",
        suite_text="name: </pre><script>alert(3)</script>",
        suite=made.suite,
        finals=finals,
        trials=made.trials,
        pretrainings=made.pretrainings,
        provenance=[{"device": "<i>cpu</i>", "nested": {"b": 1, "a": [2]}}, {"device": "gpu", "ok": True}],
        damaged=["<u>a.json"] * 30,
        notes=["<em>note</em>"],
    )
    parsed = Page(render(hostile))
    assert sum(tag == "script" for tag, _ in parsed.tags) == 1
    assert not [tag for tag, _ in parsed.tags if tag in ("b", "i", "u", "em")]
    assert "[2]" in parsed.text  # what is nested gets lines of its own
    assert "and 10 more" in parsed.text
    assert "2 different environments" in parsed.text


@pytest.mark.usefixtures("undrawn")
def test_one_repeat_has_no_interval_and_says_so() -> None:
    text = Page(render(make(World(repeats=1, gaps=False)))).text
    assert "One repeat only: no interval can be given" in text
    assert not re.search(r"\bnan\b", text.lower())
    assert not re.search(r"\d ±", text)


def test_one_cell() -> None:
    world = World(datasets=("near",), budgets=(5,), strategies=("full_finetune",), trials=1, gaps=False)
    text = Page(render(make(world))).text
    assert "there is nothing to choose between" in text
    assert "nothing to hold transfer against" in text
    assert "Every planned training gave a score" in text


def test_one_budget_draws_every_figure() -> None:
    page = render(make(World(budgets=(20,), gaps=False)))
    assert 'id="labels"' in page
    assert 'id="depth"' in page


def test_kinds_of_an_axis_are_lines_of_their_own(only) -> None:
    only(depth_section)
    made = make(World(datasets=("near",), budgets=(20, 100), gaps=False))
    assert "AnB+" not in Page(render(made)).text
    kinds = {"freeze(upto=1)": "AnB+", "freeze(upto=2)": "AnB+"}
    changed = made.finals.assign(axis_kind=made.finals["strategy"].map(kinds).fillna(""))
    text = Page(render(dataclasses.replace(made, finals=changed))).text
    legend = "20 labels per class 100 labels per class 20 labels per class, AnB+ 100 labels per class, AnB+"
    assert legend in text


def test_nothing_planned() -> None:
    nothing = SuiteResults("empty", "", "", {}, empty(FINALS), empty(TRIALS), empty(PRETRAININGS))
    text = Page(render(nothing)).text
    assert "Nothing to compare" in text
    assert "No cells are planned" in text


@pytest.mark.usefixtures("undrawn")
def test_a_penalty_at_an_end_of_its_range_is_told_above() -> None:
    made = make(World(datasets=("near",), repeats=2))
    words = "was chosen at an end of its range in 3 cells: linear_probe"
    assert words not in Page(render(made)).text
    at_an_end = made.finals["penalty_edge"].where(made.finals["strategy"] != "linear_probe", "high")
    changed = dataclasses.replace(made, finals=made.finals.assign(penalty_edge=at_an_end))
    assert words in Page(render(changed)).text


@pytest.mark.parametrize("status", ["missing", "failed", "not_applicable"])
def test_nothing_finished(status: str) -> None:
    made = make(World(datasets=("near",), repeats=2))
    rows = [
        {
            **row,
            "status": status,
            "score": float("nan"),
            "best_on_test": float("nan"),
            "lr": float("nan"),
            "lr_edge": "",
            "penalty_edge": "",
        }
        for row in made.finals.to_dict("records")
    ]
    trials = [{**row, "status": status, "score": float("nan")} for row in made.trials.to_dict("records")]
    unfinished = SuiteResults(
        "late", "", "", made.suite, typed(rows, FINALS), typed(trials, TRIALS), empty(PRETRAININGS)
    )
    text = Page(render(unfinished)).text
    assert "Nothing to compare yet" in text
    assert status.replace("_", " ") in text
    assert not re.search(r"\bnan\b", text.lower())


@pytest.mark.usefixtures("undrawn")
def test_two_backbones_are_told_apart() -> None:
    text = Page(render(make(World(datasets=("near",), backbones=("small", "large"))))).text
    assert "near · small" in text
    assert "near · large" in text


def test_odd_budgets_and_ranges() -> None:
    made = make(World(datasets=("near",), gaps=False))
    finals = made.finals.copy()
    finals["budget"] = finals["budget"].replace({"100": "full", "20": "total 200"})
    finals.loc[finals["budget"] == "full", "labels_per_class"] = 5012.5
    odd = SuiteResults("odd", "", "", made.suite, finals, made.trials.iloc[:0], made.pretrainings)
    text = Page(render(odd)).text
    assert "all labels" in text
    assert "200 labels in total" in text
    assert "5.01k" in text


def test_labels_that_nobody_knows_are_not_drawn(only) -> None:
    only(labels_section, depth_section)
    made = make(World(datasets=("near",), gaps=False))
    finals = made.finals.assign(labels_per_class=float("nan"))
    page = render(SuiteResults("odd", "", "", {}, finals, made.trials, made.pretrainings))
    assert 'id="labels"' not in page
    assert 'id="depth"' in page


def test_it_is_small_and_fast() -> None:
    made = make(World(gaps=False))  # 9 strategies, 12 tasks
    start = time.process_time()  # not the wall: the machine may be shared
    page = render(made)
    assert time.process_time() - start < 6
    assert len(page.encode()) < 750_000


def test_write_leaves_no_half_page(tmp_path: Path) -> None:
    results = make(World(datasets=("near",), budgets=(5,), gaps=False))
    path = write(results, tmp_path / "deep" / "report.html")
    assert path.read_text(encoding="utf-8") == render(results)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_where_a_page_cannot_be_written_one_line_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    results = make(World(datasets=("near",), budgets=(5,), gaps=False))
    with pytest.raises(StoreError, match="cannot write .*report.html: a file stands where a folder is needed"):
        write(results, tmp_path / "file" / "report.html")


def test_records_of_two_versions_of_the_code_are_one_environment() -> None:
    results = make()
    first = results.provenance[0]
    results.provenance[1:] = [{**first, "code": "another", "commit": "another", "records": 1}]
    assert "The code changed while this suite ran: 2 versions of it wrote records." in warnings(Facts.of(results))
    results.provenance[1]["device"] = "another"
    assert any("2 different environments" in text for text in warnings(Facts.of(results)))


@pytest.mark.parametrize(("repeats", "said"), [(2, 1), (4, 1), (5, 0)])
def test_few_repeats_are_said_once(repeats: int, said: int) -> None:
    results = make()
    few = results.finals[results.finals["repeat"] == 0]
    finals = pd.concat([few.assign(repeat=number) for number in range(repeats)])
    notes = ["Fewer than 3 repeats: intervals are very wide or cannot be given."] if repeats < 3 else []
    found = warnings(Facts.of(dataclasses.replace(results, finals=finals, notes=notes)))
    assert sum("Fewer than" in text for text in found) == said
