"""What the page says of finals that collapsed, and of repeats that share all their labels."""

import dataclasses
import re

import pytest

from bench.analysis.frame import SuiteResults
from bench.report import render
from tests.analysis.synthetic import World, make
from tests.report.test_report import Page

pytestmark = pytest.mark.usefixtures("undrawn")

BROKEN = ("near", 5, "full_finetune")
WORLD = World(datasets=("near", "digits"), budgets=(5,), gaps=False, collapsed=((*BROKEN, 0), (*BROKEN, 2)))
TWICE = "collapsed in 2 of 3 repeats (21 to 94 %); the others"


@pytest.fixture(scope="module")
def results() -> SuiteResults:
    return make(WORLD)


def text(results: SuiteResults) -> str:
    return Page(render(results)).text


def test_cell_and_yellow_box_count_them_and_give_the_mean_without(results: SuiteResults) -> None:
    html = render(results)
    mine = results.finals.query("dataset == 'near' and strategy == 'full_finetune'").score
    without = f"{TWICE} {100 * mine[1:2].iloc[0]:.1f}"
    (cell,) = re.findall(r"<td[^>]*class=\"[^\"]*collapsed[^>]*>.*?</td>", html)
    assert f"{100 * mine.mean():.1f}" in cell  # the score keeps them
    assert f"<small>{without}</small>" in cell
    found = Page(html).text
    assert "2 finals have collapsed: at the end the network does no better than a uniform guess" in found
    assert f"full_finetune on near, 5 labels per class: {without}." in found


def test_nothing_is_said_where_none_has_or_where_records_do_not_tell(results: SuiteResults) -> None:
    silent = dataclasses.replace(results, finals=results.finals.assign(collapsed=float("nan")))
    for sound in (make(dataclasses.replace(WORLD, collapsed=())), silent):
        html = render(sound)
        assert "finals have collapsed" not in Page(html).text
        assert not re.search(r"<td[^>]*collapsed", html)


def test_many_cells_end_in_a_count() -> None:
    every = tuple((d, 5, s, 0) for d in WORLD.datasets for s in ("scratch", "linear_probe", "full_finetune",
                  "discriminative", "gradual_unfreeze"))  # fmt: skip
    found = text(make(dataclasses.replace(WORLD, collapsed=every)))
    assert "10 finals have collapsed" in found
    assert "; and 2 more cells." in found


def test_with_all_labels_repeats_differ_in_less(results: SuiteResults) -> None:
    full = dataclasses.replace(results, finals=results.finals.assign(budget="full"))
    own = dataclasses.replace(full, finals=full.finals.assign(test_overlap=0.2))  # then all labels are other ones too
    for made in (results, own):
        said = text(made)
        assert "new labels, split and start each" in said
        assert "With all labels the repeats learn from the same images" not in said
    said = text(full)
    assert "the same labels, new split and start each" in said
    assert "With all labels the repeats learn from the same images" in said
    some = results.finals.assign(budget=results.finals.budget.where(results.finals.dataset == "near", "full"))
    assert "new labels (but for “all”), split and start each" in text(dataclasses.replace(results, finals=some))
