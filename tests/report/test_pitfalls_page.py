"""The section on pitfalls: its numbers are the comparisons', and nothing else on a page knows cells with a mistake."""

import dataclasses
import html
import re

import pandas as pd
import pytest

from bench.analysis.pitfalls import in_a_sentence, pitfall_costs
from bench.planning.pitfalls import PITFALLS, marked
from bench.report import render
from bench.report.view import percent, signed
from tests.analysis.synthetic import World, make

pytestmark = pytest.mark.usefixtures("undrawn")

LOST = {"swapped_channels_at_test": 0.0, "rate_30_times": 0.5, "training_mode_at_test": -0.004}


def words(page):
    return re.sub("[ \n]+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))


@pytest.fixture(scope="module")
def right():
    return make(World(datasets=("near",), budgets=(20,), strategies=("scratch", "linear_probe", "full_finetune"),
                      repeats=5, gaps=False))  # fmt: skip


@pytest.fixture(scope="module")
def made(right):
    rows = []
    for name, lost in LOST.items():
        own = right.finals[~right.finals["baseline"]].copy()
        if name == "rate_30_times":
            own = own[own["strategy"] == "full_finetune"]
        own["right"] = own["strategy"]
        own["strategy"] = [marked(one, name) for one in own["strategy"]]
        own["pitfall"], own["score"] = name, own["score"] - lost
        own["key"] = [f"{len(rows):04x}{number:028x}" for number in range(len(own))]
        rows.append(own)
    return dataclasses.replace(right, pitfalls=pd.concat(rows, ignore_index=True))


@pytest.fixture(scope="module")
def section(made):
    page = render(made)
    return words(page[page.index('id="pitfalls"') :].partition("</section>")[0])


def test_every_comparison_stands_in_it(made, section):
    costs = pitfall_costs(made)
    assert len(costs) == 5
    for one in costs:
        assert signed(one.found.mean) in section
        assert f"{percent(one.right)} → {percent(one.wrong)}" in section
    assert "3 kinds of mistake, made on purpose in 5 comparisons with the right way: they cost points or diverge in 1" \
        in section
    assert "▼ costs" in section
    assert "= does not show here" in section


def test_what_they_come_to_is_among_the_findings(made):
    page = render(made)
    start = page.index('id="findings"')
    assert in_a_sentence(pitfall_costs(made)) in words(page[start : page.index("</section>", start)])


def test_each_mistake_is_said_in_words(section):
    for name in LOST:
        assert PITFALLS[name].wrong in section
        assert PITFALLS[name].right in section
    assert PITFALLS["half_resolution_at_test"].wrong not in section


def test_the_caption_counts_the_comparisons_that_were_tested(made, section):
    assert "over the 5 tested comparisons of this section" in section
    untested = made.pitfalls[(made.pitfalls["pitfall"] != "rate_30_times") | (made.pitfalls["repeat"] == 0)]
    text = words(render(dataclasses.replace(made, pitfalls=untested)))
    assert "over the 4 tested comparisons of this section" in text


def test_who_else_reads_them_is_said(section):
    assert "Nothing with a mistake is ranked: outside this section, only claims about mistakes and the counts of " \
           "trainings read it." in section  # fmt: skip
    assert "no verdict is in favour of a way that lost repeats so" in section


def test_no_other_section_knows_them(right, made):
    """With the section cut out, the page is the one without them, but for what is counted as trained."""
    page, plain = render(made), render(right)
    assert 'id="pitfalls"' not in plain
    start = page.index('<section id="pitfalls"') if '<section id="pitfalls"' in page else None
    assert start is not None
    rest = page[:start] + page[page.index("</section>", start) :]
    for name in LOST:
        assert PITFALLS[name].words not in html.unescape(rest)
    for anchor in ("leaderboard", "tasks", "transfer", "mistakes"):
        cut = [one[one.index(f'<section id="{anchor}"') :].partition("</section>")[0] for one in (page, plain)]
        assert cut[0] == cut[1]


def test_one_that_failed_is_among_the_gaps(made):
    broken = made.pitfalls.copy()
    broken.loc[0, ["status", "error", "score"]] = ["failed", "RuntimeError: made to fail", float("nan")]
    text = words(render(dataclasses.replace(made, pitfalls=broken)))
    assert "RuntimeError: made to fail" in text
