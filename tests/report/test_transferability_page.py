"""The page of a layer-transfer study: what stands first, what is left out, and that its numbers are the readings'."""

import dataclasses
import html
import re

import numpy as np
import pytest

from bench.analysis.transferability import studies, verdict
from bench.report import render
from bench.report.view import percent, signed
from tests.analysis.studied import Planned, finals
from tests.analysis.synthetic import World, make

pytestmark = pytest.mark.usefixtures("undrawn")

EFFECTS = {("AnB", 4): 0.70, ("AnB", 5): 0.55, ("random", 5): 0.2}


def words(page):
    return re.sub("[ \n]+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))


@pytest.fixture(scope="module")
def made():
    """A page's results, their finals those of a planted study with random halves and one pair of groups."""
    usual = make(World(strategies=("scratch",), gaps=False))
    frame = finals(Planned(EFFECTS, n=4, per_class=30), np.random.default_rng(0))
    frame.loc[frame["pair"] == "split 1", "pair"] = "shapes and textures"
    names = {"random": "random", "base": "scratch"}
    row = usual.finals.iloc[0].to_dict()
    rows = usual.finals.iloc[[0] * len(frame)].reset_index(drop=True)
    rows = rows.assign(**{name: frame[name] for name in frame if name in row})
    rows["dataset"] = "source " + frame["target"] + " " + frame["pair"]
    rows["budget"] = "full"
    rows["backbone"] = ["small, " + ("other" if one.startswith("AnB") else "own") for one in frame["treatment"]]
    rows["strategy"] = [names.get(one, "transplant") + f"({keep}{'+' * one.endswith('+')})"
                        for one, keep in zip(frame["treatment"], frame["keep"], strict=True)]  # fmt: skip
    rows["baseline"] = frame["treatment"] == "base"
    rows["key"] = [f"{number:032x}" for number in range(len(frame))]
    return dataclasses.replace(usual, finals=rows.astype(usual.finals.dtypes.to_dict()))


@pytest.fixture(scope="module")
def page(made):
    return render(made)


def test_the_study_is_the_finding(made, page):
    findings = words(page[page.index('class="findings"') if 'class="findings"' in page else 0 :])
    for study in studies(made):
        assert verdict(study, 0.01) in findings
    first = words(page).index("Random halves:")
    assert first < words(page).index("Where features stop being general", first)
    assert "Random halves: keeping 4 of 5 units frozen is shown to cost more than 1 point" in words(page)


def test_strategies_are_not_ranked_where_treatments_are_compared(page):
    assert 'id="transferability"' in page
    for absent in ("leaderboard", "tasks", "transfer", "datasets", "labels"):
        assert f'id="{absent}"' not in page


def test_every_reading_stands_in_its_table(made, page):
    text = words(page)
    for study in studies(made):
        for one in study.readings:
            assert signed(one.found.mean) in text, (study.kind, one.quantity.name, one.keep)
    assert text.count("not tested") >= 10, "the paper's unpaired reading, at five depths of two kinds"


def test_what_is_over_several_depths_stands_beside_the_papers_figures(made, page):
    """Theirs are recomputed here from the authors' logs by depth (shared/science.md 2.6)."""
    tables = [page[page.index(f'id="table-depths-{number}"') :].partition("</table>")[0] for number in (0, 1)]
    similar, groups = map(words, tables)
    for study, text in zip(studies(made), (similar, groups), strict=True):
        for one in study.readings:
            assert one.form == "depth" or signed(one.found.mean) in text
    assert "specificity, from 1 to 5 units kept" in similar
    assert "boost, unpaired, mean over 4 and 5 units kept" in similar
    assert "loss by freezing with 5 units kept, less that between random halves" in groups
    for theirs in ("−8.4", "−47.7", "+1.6", "+2.1", "0.0"):  # 8.24 + .15, 49.17 - 1.46, and what the paper says
        assert theirs in similar
    assert "−16.7" in groups, "25.0 - 8.26"


def test_what_the_papers_logs_lack_is_said(page):
    text = words(page)
    assert "one run for each half and depth" not in text
    said = "The logs have 10 of 28 runs of AnB+ and 10 of 14 of BnB+, on different halves, so that the paper's boost " \
           "is not paired; of BnB they have 4 runs at each depth, of AnB 8."  # fmt: skip
    assert text.count(said) == 1, "beside random halves alone, where there is a boost of theirs"


def test_the_papers_own_reading_is_marked_and_only_where_it_is_asked_for(made, page):
    assert "selected on the test set" not in page
    read = {**made.suite, "transferability": {"reading": "yosinski"},
            "training": {**made.suite["training"], "evaluations": 30}}  # fmt: skip
    curves = [tuple((step, score + 0.012) for step in range(30)) for score in made.finals["score"]]
    above = made.finals.assign(curve=curves)
    text = words(render(dataclasses.replace(made, finals=above, suite=read)))
    for kind in ("Random halves", "Shapes and textures"):
        assert f"{kind}, read as in the paper: selected on the test set" in text
    assert "the mean of the 10 best of its 30 test scores" in text
    table = text[text.index("Ten best %, selected on the test set") :]
    for study in studies(made):
        assert f"{percent(study.base)} {percent(study.base + 0.012)} +1.2 ±0.0" in table
    assert "“Inflation” is the 10 best less the last score" in text
    honest = words(page)
    for study in studies(made):
        assert verdict(study, 0.01) in honest
        assert verdict(study, 0.01) in text


@pytest.mark.parametrize(("times", "says"), [(4.0, "4 times the FLOPs"), (0.25, "0.25 times the FLOPs"), (1.2, None)])
def test_a_base_that_trained_less_than_its_rivals_is_told(made, times, says):
    finals = made.finals.assign(flops=1e9)
    taught = made.pretrainings.assign(flops=1e9 * times)
    text = words(render(dataclasses.replace(made, finals=finals, pretrainings=taught)))
    assert ("FLOPs of the base" in text) == (says is not None)
    assert says is None or f"{says} of the base." in text
    assert ("other treatments gain against the base" in text) == (times == 4)


def test_repeats_that_collapsed_are_told(made, page):
    assert "Left out here" not in page
    finals = made.finals.copy()
    cell = (finals["treatment"] == "AnB") & (finals["keep"] == 3) & (finals["pair"] == "split 0")
    broken = cell & (finals["repeat"] == 1) & (finals["target"] == "B")
    finals.loc[broken, ["collapsed", "score"]] = [1.0, 0.125]
    text = words(render(dataclasses.replace(made, finals=finals)))
    assert "AnB with 3 units kept on split 0 B, 1 of 4 repeats." in text
    assert text.count("Left out here") == 1
    assert "The study leaves out such repeats of a cell" in text
    assert "Means keep these repeats" not in text


def test_the_papers_figure_lies_beside(page):
    assert words(page).count("The same in the paper AlexNet") == 2


def test_what_the_intervals_are_over(made, page):
    assert "Data set, pretrained weights and recipe are held fixed" in words(page)
    renewed = made.pretrainings.assign(dataset=made.pretrainings["dataset"] + ", repeat 0")
    other = words(render(dataclasses.replace(made, pretrainings=renewed)))
    assert "over new pretrainings, starts and orders" in other
    assert "pretrained weights and recipe are held fixed" not in other


def test_a_page_without_a_study_has_no_section():
    assert 'id="transferability"' not in render(make(World(strategies=("scratch", "linear_probe"), gaps=False)))
