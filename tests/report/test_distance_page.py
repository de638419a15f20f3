"""The section on how far targets are."""

import dataclasses
import html
import re

import pytest

from bench.report import render
from bench.report.sections.distance import distance_section
from bench.store.results import Distance
from tests.analysis.synthetic import World, make

FAR = {"near": 0.2, "mid": 0.1, "far": 0.02, "digits": 0.05}


@pytest.fixture(autouse=True)
def _only(only):
    only(distance_section)


def words(page):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def section(results):
    found = re.findall(r'<section id="distance".*?</section>', render(results), re.DOTALL)
    return words(found[0]) if found else ""


def measured(dataset, **fields):
    return Distance(**{
        "num": 512, "folds": 5, "features": FAR[dataset], "pixels": 0.49, "mmd": 0.1, "mmd_error": 0.01,
        "source_error": 0.05, "joint_source": 0.06, "joint_target": 0.24, **fields,
    })  # fmt: skip


def made(tell=measured, backbones=("one", "other"), asked=True):
    results = make(World(strategies=("scratch", "linear_probe", "full_finetune"), budgets=(5,), backbones=backbones))
    finals = results.finals.copy()
    finals["distance"] = [None if row["baseline"] else tell(row["dataset"]) for _, row in finals.iterrows()]
    finals["lesson"] = ["" if baseline else "source" for baseline in finals["baseline"]]
    finals["weights"] = ["" if row["baseline"] else f"of {row['backbone']}" for _, row in finals.iterrows()]
    suite = {**results.suite, "records": {"predictions": "classes", "distances": asked}}
    return dataclasses.replace(results, finals=finals, suite=suite)


def test_distances_their_intervals_and_what_can_be_given_where_classes_differ():
    text = section(made())
    assert "near source one 1.20 1.04 to 1.34 0.04 −0.14 to 0.22 0.100 0.080 to 0.120 512" in text
    assert "near source one 5.0 3.4 to 7.2 60.0 30.0 24.0 to 37.1" in text
    assert "as they do in every pair here" in text
    assert "Error on the target" not in text
    assert "Sum points" not in text


def test_the_bound_where_classes_are_the_same():
    same = {"same_classes": True, "target_error": 0.4}
    text = section(made(lambda name: measured(name, **(same if name in ("near", "far") else {}))))
    assert "5.0 3.4 to 7.2 60.0 30.0" in text
    assert "95.0 40.0" in text  # 5 + 60 + 30, and what is measured
    assert "131.0 says nothing" in text  # 5 + 96 + 30
    assert "classes differ" in text
    assert "as they do in 4 pairs here" in text


def test_gains_are_held_against_distances():
    text = section(made())
    assert "Gain over scratch by distance" in text
    assert re.search(r"full_finetune 5 labels per class 8 [−+]?[01]\.\d\d ", text)
    assert "all orders of the gains" in text
    few = section(made(backbones=("one",)))
    assert "takes 5 pairs" in few
    assert "ρ" not in few


@pytest.mark.parametrize("asked", [False, True])
def test_no_section_unless_there_is_something_to_say(asked):
    text = section(made(lambda _: None, asked=asked))
    assert bool(text) == asked
    if asked:
        assert "8 pairs of target and network without a distance" in text


def test_a_failure_is_told():
    text = section(made(lambda name: Distance(error="OSError: gone") if name == "mid" else measured(name)))
    assert "Not measured: mid, one: OSError: gone." in text
    assert "without a distance" not in text
    told = {"mid": Distance(error="OSError: gone"), "far": None}
    text = section(made(lambda name: told[name] if name in told else measured(name), backbones=("one",)))
    assert "1 pair of target and network without a distance: their records were made before" in text
