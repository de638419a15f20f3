"""Published numbers on a page: beside own ones, with what differs; no verdict where anything was measured otherwise."""

import dataclasses
import html
import re

import pytest

from bench.analysis.cells import records
from bench.analysis.references import BESIDE, NO_SCORE, OUTSIDE, REPRODUCED, beside
from bench.analysis.tables import cell_summary
from bench.planning.references import Fact, Match, Published
from bench.report import render
from bench.report.sections.references import MOST
from bench.suite.references import Reference, ReferenceFile
from bench.suite.references_schema import ProtocolSpec
from tests.analysis.synthetic import World, make

pytestmark = pytest.mark.usefixtures("undrawn")

WORLD = World(gaps=False, datasets=("near", "digits"), budgets=(5,))
BACKBONE = WORLD.backbones[0]
SAME, OTHER, UNKNOWN = (Fact("steps", "200", theirs, same)
                        for theirs, same in (("200", True), ("1,000", False), ("", None)))  # fmt: skip
CELL = ("near", "5", BACKBONE, "full_finetune")


@pytest.fixture(scope="module")
def made():
    return make(WORLD)


def match(value, *facts, cell=CELL, source="Somebody 2020", called="", notes=()):
    protocol = ProtocolSpec(notes=notes)
    reference = Reference(
        value, ("near",), "5", (BACKBONE,), ("full_finetune",), "", "", 0, protocol, source, "Table 3", "text", called
    )
    return Match(reference, cell, facts)


def published(*matches, source="Somebody 2020", name="refs.yaml"):
    file = ReferenceFile(name, "", source, "made up", tuple(one.reference for one in matches) or (match(1).reference,))
    return Published(file, matches)


def with_(made, *found):
    return dataclasses.replace(made, references=found)


def summary_of(made):
    return records(cell_summary(made.finals))


def section(made, *found):
    page = render(with_(made, *found))
    (text,) = re.findall(r'<section id="published".*?</section>', page, re.DOTALL)
    return text


def words(text):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", text)))


def own(made):
    return next(row for row in summary_of(made) if row["dataset"] == "near" and row["strategy"] == "full_finetune")


def judged(made, value, *facts):
    (one,) = beside([published(match(value, *facts))], summary_of(made))
    return one


def test_the_own_score_is_the_mean_of_the_repeats_and_the_difference_is_to_it(made):
    finals = made.finals
    rows = finals[(finals["dataset"] == "near") & (finals["strategy"] == "full_finetune")]
    one = judged(made, 50.0, OTHER)
    assert one.mean == pytest.approx(rows["score"].to_numpy().mean())
    assert one.difference == pytest.approx(rows["score"].to_numpy().mean() - 0.5)
    assert (one.n, one.published) == (3, 0.5)
    assert (one.low, one.high) == (own(made)["low"], own(made)["high"])


def test_reproduced_takes_the_interval_and_nothing_that_differs(made):
    inside = 100 * own(made)["mean"]
    assert judged(made, inside, SAME).verdict == REPRODUCED
    assert judged(made, inside, SAME, OTHER).verdict == BESIDE
    assert judged(made, inside, SAME, UNKNOWN).verdict == BESIDE
    assert judged(made, 1.0, SAME).verdict == OUTSIDE
    assert judged(made, 100 * own(made)["high"] + 0.01, SAME).verdict == OUTSIDE
    assert judged(made, 100 * own(made)["low"], SAME).verdict == REPRODUCED


def test_without_an_interval_or_a_score_nothing_is_said():
    one_repeat = make(World(gaps=False, datasets=("near",), budgets=(5,), repeats=1))
    assert judged(one_repeat, 100 * own(one_repeat)["mean"], SAME).verdict == BESIDE
    empty = make(WORLD)
    empty.finals.loc[:, "status"] = "missing"
    empty.finals.loc[:, "score"] = float("nan")
    assert judged(empty, 50.0, SAME).verdict == NO_SCORE


def test_a_row_has_both_numbers_their_difference_and_what_differs(made):
    row = own(made)
    text = words(section(made, published(match(50.0, SAME, OTHER, UNKNOWN, called="FT", notes=("Cropped.",)))))
    assert f"{100 * row['mean']:.1f}" in text
    assert f"n = {row['n']}" in text
    assert "50.0 FT" in text
    assert f"+{100 * row['mean'] - 50:.1f}" in text
    assert "beside, not comparable protocol 1: other steps; not known: steps" in text
    assert "steps: here 200, published 1,000" in text
    assert "Cropped." in text
    assert "Somebody 2020; Table 3; read in the paper" in text
    assert "reproduced protocol" not in text


def test_the_verdict_is_printed(made):
    text = words(section(made, published(match(100 * own(made)["mean"], SAME), match(1.0, SAME))))
    assert "= reproduced protocol 1" in text
    assert "≠ not reproduced protocol 1" in text


def test_values_measured_in_one_way_share_a_protocol(made):
    found = [match(value, OTHER) for value in (10.0, 20.0)] + [match(30.0, SAME)]
    text = section(made, published(*found))
    _, protocols = re.findall(r"<tbody>.*?</tbody>", text, re.DOTALL)
    assert protocols.count("<tr>") == 2


def test_a_file_that_speaks_of_nothing_here_is_one_line(made):
    text = words(section(made, published(source="Somebody else"), published(match(50.0, SAME))))
    assert "Somebody else (refs.yaml): 1 published value, none of them for a data set" in text
    only = section(made, published(source="Somebody else"))
    assert "<table" not in only


def test_no_references_no_section(made):
    assert 'id="published"' not in render(made)


def test_a_cell_that_is_not_on_the_page_is_passed_over(made):
    found = beside([published(match(50.0, SAME, cell=("gone", "5", BACKBONE, "scratch")))], summary_of(made))
    assert found == []


def test_rows_are_in_the_order_of_the_page_and_there_are_not_too_many(made):
    cells = [("digits", "5", BACKBONE, "scratch"), CELL]
    found = beside([published(*(match(50.0, SAME, cell=cell) for cell in cells))], summary_of(made))
    assert [one.match.cell for one in found] == cells[::-1]
    many = [match(float(number), SAME) for number in range(MOST + 3)]
    text = section(made, published(*many))
    assert re.findall(r"<tbody>.*?</tbody>", text, re.DOTALL)[0].count("<tr") == MOST
    assert "3 more published values with a cell here: not shown." in words(text)


HOSTILE = "<script>alert(1)</script>&\"'"


def test_text_of_others_is_escaped(made):
    fact = Fact(HOSTILE, HOSTILE, HOSTILE + "2", False)
    one = match(50.0, fact, source=HOSTILE, called=HOSTILE, notes=(HOSTILE,))
    page = render(with_(made, published(one), published(source=HOSTILE, name=HOSTILE)))
    assert "<script>alert(1)" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 6
