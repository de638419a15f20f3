"""Records of one suite that saw different data: every command refuses them, and says so."""

import dataclasses
from pathlib import Path

import pytest

from bench.commands import run
from bench.execute.ledger import Summary
from tests.made_up import rescored

REASON = "refused: records differ in what they saw of digits"


@pytest.fixture
def odd(plan, roots, ran):
    """Half of the test labels were changed when one of the finals was trained."""
    key = plan.cells[0].finals[1]
    record = roots.store.read(key)
    result = {**rescored(record.result, 0.01), "dataset_sha256": "ab" * 32}
    roots.store.write(dataclasses.replace(record, result=result))
    return [record.key for record in ran if record.kind != "pretrain"]


def test_status_lists_them(bench, odd):
    said = bench("status", "small", "--json")
    assert said.code == 3
    assert {one["key"] for one in said.json["went_wrong"]} == set(odd)
    assert all(one["error"].startswith(REASON) for one in said.json["went_wrong"])


def test_status_does_not_send_to_the_record_itself_which_is_whole(bench, plan, roots, odd):
    assert "went wrong (`run --rerun failed` tries again):" in bench("status", "small").out
    (pretraining,) = plan.pretrain_labels
    record = roots.shared.read(pretraining)
    roots.shared.write(dataclasses.replace(record, status="failed", result={}, error="RuntimeError: no"))
    assert "`python -m bench show KEY` says more where a record is not refused" in bench("status", "small").out


def test_the_page_averages_none_of_them_and_says_why(bench, odd):
    assert bench("report", "small").code == 0
    page = Path("reports/small.html").read_text()
    assert f"{len(odd)} records {REASON}" in page
    assert "run --rerun failed" in page


def test_a_run_with_nothing_to_train_does_not_end_well(bench, odd):
    said = bench("run", "suites/small.yaml")
    assert said.code == 3
    assert f"0 of 12 results, 0 trainings in this run, {len(odd)} went wrong" in said.out
    assert said.error.startswith(f"{len(odd)} records {REASON}")
    assert said.error.endswith("They count as failed; `run --rerun failed` makes them again.")
    said = bench("run", "suites/small.yaml", "--json")
    assert (said.code, said.json["refused"]) == (3, len(odd))
    assert {row["status"] for row in said.json["finals"]} == {"failed"}
    assert {row["score"] for row in said.json["finals"]} == {None}


@pytest.mark.parametrize("left_out", [False, True])
def test_a_filter_hides_no_contradiction(bench, plan, roots, ran, monkeypatch, left_out):
    """What was asked for agrees with itself, but not with the rest of the suite: nothing says which is right."""
    for cell in plan.cells:
        for key in cell.finals if (cell.strategy == "scratch") is not left_out else ():
            record = roots.store.read(key)
            roots.store.write(dataclasses.replace(record, result={**record.result, "dataset_sha256": "ab" * 32}))
    monkeypatch.setattr(run, "run_plan", lambda *_: Summary())
    typed = ("run", "suites/small.yaml", "--filter", "strategy=scratch")
    assert bench(*typed).code == 3
    asked = {key for job in plan.select(["strategy=scratch"]).jobs.values() for key in job.record_keys}
    bench(*typed, "--rerun", "failed")
    records, _ = roots.store.scan()
    assert records.keys() == {one.key for one in ran if one.kind != "pretrain"} - asked


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
