"""Predictions of finals from a suite's setting to the frame: what travels, what is read, and when."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bench.analysis.join import collect
from bench.commands.suites import plan_from_file
from bench.execute.placement import Placement
from bench.execute.rerun import forget
from bench.execute.runner import _setups
from bench.store import predictions
from bench.store.predictions import Claims, Predictions, put
from tests.made_up import rescored

from .conftest import SMALL


def tell(roots, record):
    """The final keeps what it said of its ten test examples."""
    sha256 = put(roots.store, record.key, Predictions(np.arange(10) < 5))
    roots.store.write(dataclasses.replace(record, result={**rescored(record.result, 0.5), "predictions": sha256}))


@pytest.mark.parametrize(("text", "keeps"), [("", "classes"), ("records: {predictions: bits}\n", "bits"),
                                             ("records:\n", "classes")])  # fmt: skip
def test_the_setting_reaches_the_workers_and_no_key(place, folders, text, keeps):
    before = set(plan_from_file(Path("suites/small.yaml"), (), folders).jobs)
    Path("suites/small.yaml").write_text(SMALL + text)
    plan = plan_from_file(Path("suites/small.yaml"), (), folders)
    assert set(plan.jobs) == before
    (setup,) = _setups(plan, folders.roots("small"), Placement(("cpu",), 1, None), {})
    assert setup.keeps == keeps
    assert setup.distances is False


def test_so_does_the_wish_for_distances(place, folders):
    before = set(plan_from_file(Path("suites/small.yaml"), (), folders).jobs)
    Path("suites/small.yaml").write_text(SMALL + "records: {distances: true}\n")
    plan = plan_from_file(Path("suites/small.yaml"), (), folders)
    assert set(plan.jobs) == before
    (setup,) = _setups(plan, folders.roots("small"), Placement(("cpu",), 1, None), {})
    assert setup.distances is True


def test_the_frame_hands_predictions_on_unread(plan, roots, ran, monkeypatch):
    finals = [record for record in ran if record.kind == "final"]
    for record in finals[:-1]:
        tell(roots, record)
    read, real = [], predictions.get
    monkeypatch.setattr(predictions, "get", lambda *where: read.append(where) or real(*where))
    results = collect(plan, roots.store, roots.shared)
    assert results.damaged == []
    assert read == []
    assert set(results.finals["num_classes"]) == {10}
    for row in results.finals.to_dict("records"):
        told = row["predictions"].load()
        assert (told is None) == (row["key"] == finals[-1].key)
        assert told is None or told.right.sum() == 5
    assert len(read) == len(finals) - 1


def test_what_is_told_must_fit_the_record_beside_it(plan, roots, ran):
    final = next(record for record in ran if record.kind == "final")
    tell(roots, final)
    claimed = roots.store.read(final.key)
    finals = collect(plan, roots.store, roots.shared).finals
    (handle,) = finals[finals["key"] == final.key]["predictions"]
    assert handle.claims == Claims(10, 10, "accuracy", 0.5)
    assert handle.load() is not None
    roots.store.write(dataclasses.replace(claimed, result=rescored(claimed.result, 0.6)))
    finals = collect(plan, roots.store, roots.shared).finals
    (handle,) = finals[finals["key"] == final.key]["predictions"]
    assert handle.load() is None
    assert handle.problem.endswith("they score 0.500000, but its record 0.600000")


def test_a_missing_final_has_no_predictions(plan, roots, ran):
    key = next(record.key for record in ran if record.kind == "final")
    roots.store.forget(key)
    finals = collect(plan, roots.store, roots.shared).finals
    (row,) = finals[finals["key"] == key].to_dict("records")
    assert (row["status"], row["predictions"].load(), row["predictions"].problem) == ("missing", None, "")


def test_one_that_is_lost_leaves_the_score_and_a_line_on_the_page(bench, plan, roots, ran):
    finals = [record for record in ran if record.kind == "final"]
    for record in finals:
        tell(roots, record)
    lost, *others = sorted(roots.store.runs.rglob("*.predictions"))
    lost.unlink()
    assert bench("report", "small").code == 0
    page = Path("reports/small.html").read_text()
    assert page.count(f"predictions missing: {lost}") == 1
    assert (collect(plan, roots.store, roots.shared).finals["status"] == "ok").all()
    for path in others:
        assert str(path) not in page


def test_predictions_are_no_part_of_what_programs_are_told(bench, roots, ran):
    for record in ran:
        if record.kind == "final":
            tell(roots, record)
    said = bench("run", "suites/small.yaml", "--json")
    assert said.code == 0
    assert all("predictions" not in row for row in said.json["finals"])


def test_what_is_forgotten_is_forgotten_whole(plan, roots, ran):
    for record in ran:
        if record.kind == "final":
            tell(roots, record)
    assert list(roots.store.runs.rglob("*.predictions"))
    forget(plan, plan, roots, everything=True)
    assert not list(roots.store.runs.rglob("*.predictions"))
