"""The section on where strategies err."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from bench.report import render
from bench.store.predictions import Predictions
from tests.analysis.synthetic import World, make
from tests.analysis.test_mistakes import WORLD, drawn, of, with_predictions

pytestmark = pytest.mark.usefixtures("undrawn")


def section(results):
    (found,) = re.findall(r'<section id="mistakes".*?</section>', render(results), re.DOTALL)
    return found


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def whole(strategy, repeat):
    return of(*drawn(60, 4, repeat))


def test_scores_of_every_kind_and_the_confusions_of_the_best(tmp_path):
    text = words(section(with_predictions(make(WORLD), tmp_path, whole)))
    for head in ("Accuracy", "Balanced", "F1", "MCC", "Log-loss", "ECE", "Lowest"):
        assert f"{head} " in text
    assert "0 to 1" not in text, "four classes have no AUROC where not all probabilities were kept"
    two = with_predictions(make(WORLD), tmp_path / "two", lambda _, repeat: of(*drawn(60, 2, repeat)), 2)
    assert "AUROC 0 to 1" in words(section(two))
    assert "15 equally wide bins" in text
    assert text.count("Confusions of the highest mean") == 1
    assert "over 3 repeats together" in text
    mean = 100 * np.mean([whole("", repeat).right.mean() for repeat in range(3)])
    assert f"{mean:.1f} ±" in text


def test_many_classes_have_no_confusion_table(tmp_path):
    made = with_predictions(make(WORLD), tmp_path, lambda *_: of(*drawn(60, 21)), 21)
    assert "Confusions" not in words(section(made))
    made = with_predictions(make(WORLD), tmp_path / "20", lambda *_: of(*drawn(60, 20)), 20)
    assert "Confusions" in words(section(made))


def test_answers_beyond_the_classes_are_a_column(tmp_path):
    one = whole("", 0)
    other = dataclasses.replace(one, classes=np.where(one.right, one.classes, 4).astype(np.uint16))
    assert "none of these" in words(section(with_predictions(make(WORLD), tmp_path, lambda *_: other)))


@pytest.mark.parametrize("asked", ["none", "classes"])
def test_one_line_where_nothing_was_kept(asked):
    made = make(WORLD)
    made = dataclasses.replace(made, suite={**made.suite, "records": {"predictions": asked}})
    found = section(made)
    why = {"none": "keeps no predictions (records: {predictions: none})", "classes": "no predictions lie beside"}
    assert why[asked] in words(found)
    assert "<table" not in found


def test_files_that_cannot_be_read_are_named(tmp_path):
    made = with_predictions(make(WORLD), tmp_path, whole)
    files = sorted(Path(tmp_path).rglob("*.predictions"))
    files[0].unlink()
    text = words(section(made))
    assert "Predictions that could not be read, counted as absent" in text
    assert f"predictions missing: {files[0]}" in text
    assert "2 of 3" in text
    for path in files[1:]:
        path.unlink()
    text = words(section(with_fresh_handles(made)))
    assert text.count("predictions missing: ") == len(files) == 9


def with_fresh_handles(results):
    finals = results.finals.copy()
    finals["predictions"] = [dataclasses.replace(one) for one in finals["predictions"]]
    return dataclasses.replace(results, finals=finals)


def test_bits_alone_and_a_second_backbone(tmp_path):
    world = dataclasses.replace(WORLD, backbones=("small", "<b>large</b>"))
    made = with_predictions(make(world), tmp_path, lambda *_: Predictions(np.arange(10) < 7))
    found = section(made)
    assert "70.0 ±0.0" in words(found)
    assert "&lt;b&gt;large" in found
    assert "Confusions" not in words(found)


def test_no_section_before_the_first_score():
    made = make(World(datasets=("near",), budgets=(5,)))
    finals = made.finals.assign(status="missing", score=float("nan"))
    assert '<section id="mistakes"' not in render(dataclasses.replace(made, finals=finals))
