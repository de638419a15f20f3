"""The gate's section on the suite's page, and a page that does not change where there was no gate."""

import dataclasses
import math
import re
from pathlib import Path

import pytest

from bench.gate.verdict import CellName, GateResult
from bench.report import render, write
from bench.report.figures.axis import PictureAxis, limits
from bench.report.sections.regressions import DRAWN, regressions_section
from bench.report.view import Figure, Table
from tests.analysis.synthetic import World, make
from tests.gate.made import (
    ABSENT,
    EVERY,
    MEAN,
    OPEN,
    OTHER,
    REGRESSED,
    SAME,
    SLOWER,
    STEADY,
    compared,
    gate,
    hostile,
    many,
)  # fmt: skip
from tests.report.test_report import Page

SMALL = World(datasets=("near",), budgets=(5,), gaps=False)


def section(result: GateResult) -> str:
    page = render(make(SMALL), result)
    return page[page.index('<section id="regressions"') : page.index('<section id="leaderboard"')]


def text(result: GateResult) -> str:
    return Page(section(result)).text


def table(result: GateResult, name: str) -> Table:
    (found,) = (b for b in regressions_section(result).blocks if isinstance(b, Table) and b.name == name)
    return found


@pytest.fixture(scope="module")
def page() -> str:
    return render(make(SMALL), gate(*EVERY, costs=(SLOWER,), notes=("The environment is another.",), must_see=1.5))


def test_without_a_gate_the_page_has_nothing_of_it(page: str) -> None:
    plain = render(make(SMALL))
    assert plain == render(make(SMALL), None)
    for part in ("regressions", "baseline</p>", ".word.bad", "and a baseline"):
        assert part not in plain
    start = page.index('<section id="regressions"')
    rest = page[page.index('<section id="leaderboard"') :]
    assert plain.endswith(rest.replace("and a baseline;", "alone;"))
    assert page[page.index("<main") : start].rstrip() in plain


def test_it_comes_first(page: str) -> None:
    sections = re.findall(r'<section id="([a-z]+)"', page)
    assert sections[:3] == ["findings", "regressions", "leaderboard"]
    assert 'href="#regressions"' in page


def test_what_it_says(page: str) -> None:
    told = Page(page).text
    for part in (
        "gate: red — 2 regressed, 2 missing", "▼ regressed", "✕ missing", "▲ improved", "○ inconclusive", "+ new",
        "≠ incomparable", "≈ equivalent", "= identical", "−2.10", "−2.70 to −1.50", "no record of tonight",
        "The environment is another.", "This gate is blind: in 1 of 6 compared cells a drop of 1.5 points",
        "2 cells held", "1 cost compared, 1 slower", "ab12cd3", "quickstart.json",
    ):  # fmt: skip
        assert part in told


def test_the_mean_of_all_stands_beneath_the_sentence() -> None:
    told = text(gate(STEADY, mean=MEAN))
    assert "gate: red — the mean of all regressed" in told
    assert "mean of all 24 cells: regressed; from 90.00 % to 89.50 %" in told


def test_a_gate_that_sees_says_what() -> None:
    told = text(gate(STEADY, SAME))
    assert "A drop of 1.3 points would have been caught in every cell" in told
    assert "blind" not in told


def test_nothing_comparable_is_no_good_news() -> None:
    told = text(gate(OTHER, ABSENT))
    assert "nothing is known of regressions" in told
    assert "<svg" not in section(gate(OTHER, ABSENT))


def test_rows_and_numbers() -> None:
    found = table(gate(OPEN, STEADY, REGRESSED), "gate-regressions")
    cell, word, before, after, change, n, p, smallest = found.rows[0]
    assert cell.value == "digits @ 5 · small · linear_probe"
    assert word.value == "regressed"
    texts = [c.text for c in (before, after, change, n, p, smallest)]
    assert texts == ["90.00", "87.90", "−2.10", "5", "0.003", "1.30"]
    assert change.bounds == (-2.7, -1.5, 5)
    assert [row[1].value for row in found.rows] == ["regressed", "inconclusive"]
    assert [row[1].value for row in table(gate(OPEN, STEADY, REGRESSED), "gate-held").rows] == ["equivalent"]


def test_unknown_numbers_are_gaps() -> None:
    odd = dataclasses.replace(OPEN, low=math.nan, high=math.nan, p=math.nan, smallest=math.nan)
    assert not re.search(r"\b(nan|inf)\b", section(gate(odd, dataclasses.replace(STEADY, smallest=math.inf))).lower())


def places(result: GateResult) -> dict[str, float]:
    """Strategy -> where its mark stands."""
    marks = re.findall(r"<title>[^<]* · (\S+): .*?translate\(([\d.]+) ", section(result))
    return {name: float(x) for name, x in marks}


def test_marks_stand_in_order_and_beyond_the_margin() -> None:
    result = gate(*EVERY)
    found = places(result)
    drawn = sorted((v for v in EVERY if v.word in ("regressed", "improved", "inconclusive", "equivalent", "identical")),
                   key=lambda v: v.change)  # fmt: skip
    assert [found[v.cell.strategy] for v in drawn] == sorted(found.values())
    lower, upper = sorted({float(x) for x in re.findall(r'class="margin" x1="([\d.]+)"', section(result))})
    assert found["linear_probe"] < lower < found["discriminative"] < upper < found["full_finetune"]


@pytest.mark.parametrize("count", [DRAWN, DRAWN + 1, 300])
def test_no_more_cells_are_drawn_than_can_be_read(count: int) -> None:
    result = many(count)
    told = section(result)
    assert told.count('class="mark"') == DRAWN
    assert (f"{count - DRAWN} more are in the tables" in told) == (count > DRAWN)
    assert len(table(result, "gate-regressions").rows) == count


def test_one_drawing_for_each_task() -> None:
    near = compared("improved", 1.0, CellName("near", "20", "small", "x"))
    (figure,) = (b for b in regressions_section(gate(REGRESSED, near, OPEN)).blocks if isinstance(b, Figure))
    assert [panel.title for panel in figure.panels] == ["digits, 5 labels per class", "near, 20 labels per class"]


def test_hostile_names_are_text(tmp_path: Path) -> None:
    path = write(make(SMALL), tmp_path / "page.html", hostile())
    page = path.read_text(encoding="utf-8")
    parsed = Page(page)
    assert sum(tag == "script" for tag, _ in parsed.tags) == 1
    assert parsed.open == []
    assert "<script>alert(1)</script>" in parsed.text
    assert "n" * 170 not in parsed.text.replace("n" * 300, "")  # whole only in the note
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_ids_are_unique_and_nothing_is_asked_of_any_host(page: str) -> None:
    parsed = Page(page)
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert "http:" not in page
    assert "https:" not in page


def test_same_bytes_twice(page: str) -> None:
    again = gate(*EVERY, costs=(SLOWER,), notes=("The environment is another.",), must_see=1.5)
    assert render(make(SMALL), again) == page


def test_axis_by_hand() -> None:
    axis = PictureAxis(0, 10, 100, 200)
    assert [axis.place(x) for x in (0, 2.5, 10, -5, 99)] == [100, 125, 200, 100, 200]
    assert axis.ticks(5) == [0, 2, 4, 6, 8, 10]
    assert PictureAxis(88.2, 92.9, 0, 1).ticks(4) == [90, 92]
    assert limits([1, 3], [-100, 100], 1) == pytest.approx((-0.2, 4.2))
    assert limits([], [], 1) == (0.0, 1)
