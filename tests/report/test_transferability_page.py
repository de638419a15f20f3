"""The page of a layer-transfer study: what stands first, what is left out, and that its numbers are the readings'."""

import dataclasses
import html
import re

import numpy as np
import pytest

from bench.analysis.transferability import studies, verdict
from bench.report import render
from bench.report.view import signed
from tests.analysis.studied import Planned, finals
from tests.analysis.synthetic import World, make

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
    assert "from 4 on it is shown to cost more" in words(page)


def test_strategies_are_not_ranked_where_treatments_are_compared(page):
    assert 'id="transferability"' in page
    for absent in ("leaderboard", "tasks", "transfer"):
        assert f'id="{absent}"' not in page


def test_every_reading_stands_in_its_table(made, page):
    text = words(page)
    for study in studies(made):
        for one in study.readings:
            assert signed(one.found.mean) in text, (study.kind, one.quantity.name, one.keep)
    assert text.count("not tested") >= 10, "the paper's unpaired reading, at five depths of two kinds"


def test_the_papers_figure_lies_beside(page):
    assert words(page).count("Yosinski et al. 2014 AlexNet on halves of ImageNet") == 2


def test_what_the_intervals_are_over(made, page):
    assert "Data set, pretrained weights and recipe are held fixed" in words(page)
    renewed = made.pretrainings.assign(dataset=made.pretrainings["dataset"] + ", repeat 0")
    other = words(render(dataclasses.replace(made, pretrainings=renewed)))
    assert "over new pretrainings, starts and orders" in other
    assert "pretrained weights and recipe are held fixed" not in other


def test_a_page_without_a_study_has_no_section():
    assert 'id="transferability"' not in render(make(World(strategies=("scratch", "linear_probe"), gaps=False)))
