"""Records of one suite that saw different data: every command refuses them, and says so."""

import dataclasses
from pathlib import Path

import pytest

REASON = "refused: records differ in what they saw of digits"


@pytest.fixture
def odd(plan, roots, ran):
    """Half of the test labels were changed when one of the finals was trained."""
    key = plan.cells[0].finals[1]
    record = roots.store.read(key)
    result = {**record.result, "score": 0.01, "dataset_sha256": "ab" * 32}
    roots.store.write(dataclasses.replace(record, result=result))
    return [key for cell in plan.cells for key in cell.finals]


def test_status_lists_them(bench, odd):
    said = bench("status", "small", "--json")
    assert said.code == 3
    assert {one["key"] for one in said.json["went_wrong"]} == set(odd)
    assert all(one["error"].startswith(REASON) for one in said.json["went_wrong"])


def test_the_page_averages_none_of_them_and_says_why(bench, odd):
    assert bench("report", "small").code == 0
    page = Path("reports/small.html").read_text()
    assert f"{len(odd)} records {REASON}" in page
    assert "run --rerun failed" in page


def test_a_run_with_nothing_to_train_does_not_end_well(bench, odd):
    said = bench("run", "suites/small.yaml", "--json")
    assert said.code == 3
    assert {row["status"] for row in said.json["finals"]} == {"failed"}
    assert {row["score"] for row in said.json["finals"]} == {None}


def test_no_baseline_is_made_of_them(bench, odd):
    said = bench("baseline", "accept", "suites/small.yaml", "--reuse")
    assert said.code != 0
    assert REASON in said.err


def test_the_gate_does_not_judge_them(bench, measured, nothing_is_tried_again):
    plan, store = measured
    record = store.read(plan.cells[0].finals[1])
    store.write(dataclasses.replace(record, result={**record.result, "dataset_sha256": "ab" * 32}))
    said = bench("gate", "suites/small.yaml", "--json")
    assert said.code == 3
    assert REASON in said.out
