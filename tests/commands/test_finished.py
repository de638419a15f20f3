"""`run`, `plan`, `report` and `schema` over records that are there already: nothing is trained here."""

import dataclasses
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench import report
from bench.commands import run
from bench.commands.suites import plan_from_file, remember
from bench.datasets import DATASETS
from bench.execute.ledger import Summary
from bench.store import atomic

from .conftest import SMALL
from .fabricate import fabricate

REPORT = Path("reports/small.html")


def test_plan(bench):
    said = bench("plan", "suites/small.yaml")
    assert said.code == 0
    assert "digits @ 4  small_resnet (source)  3           3         6\n" in said.out
    assert "25 trainings in all, 0 records are there, 25 are left: about " in said.out
    assert "guessed from a short measurement" in said.out


def test_plan_shows_only_what_the_filter_leaves(bench):
    said = bench("plan", "suites/small.yaml", "--filter", "budget=4", "--filter", "strategy=scratch")
    assert "digits @ 8" not in said.out
    assert "4 trainings in all" in said.out


def test_plan_in_json(bench, ran):
    assert bench("plan", "small", "--json").json == {
        "suite": "small", "cells": 6, "trainings": 25, "finished": 25, "left": 0,
        "jobs": {"pretrain": 1, "search": 6, "final": 12}, "time_left": "nothing",
        "rungs": [1, 2], "equal_steps": [], "precision": "fp32", "views": 0, "notes": [],
    }  # fmt: skip


def test_a_dry_run_is_a_plan(bench):
    assert bench("run", "suites/small.yaml", "--dry-run").out == bench("plan", "suites/small.yaml").out
    assert [path.name for path in Path("results").iterdir()] == [".cache"]


def test_a_run_with_nothing_left_to_do(bench, ran):
    said = bench("run", "suites/small.yaml", "--gpus", "0")
    assert said.code == 0
    assert "12 of 12 results, 0 trainings in this run" in said.out
    assert "linear_probe" in said.out
    assert REPORT.is_file()
    summary = bench("run", "suites/small.yaml", "--gpus", "0", "--json").json
    assert (summary["trainings"], summary["failed"], len(summary["finals"])) == (0, 0, 12)


def test_a_report_writes_its_figures_too(bench, ran):
    assert bench("report", "small", "--figures", "drawn").out == "report: reports/small.html\nfigures: drawn\n"
    names = sorted(path.name for path in Path("drawn").iterdir())
    assert "small-labels-1-digits.svg" in names
    assert "small-labels-1-digits.png" in names
    page = REPORT.read_bytes()
    assert bench("report", "small").code == 0
    assert REPORT.read_bytes() == page, "and the page is the same"


def test_a_run_that_left_failures(bench, plan, roots):
    fabricate(plan, roots, {plan.cells[0].finals[0]: "failed"})
    assert bench("run", "suites/small.yaml", "--gpus", "0").code == 3
    assert bench("run", "suites/small.yaml", "--gpus", "0", "--filter", "strategy=linear_probe").code == 0


def test_a_report_is_the_same_bytes_every_time(bench, ran):
    assert bench("report", "small").out == "report: reports/small.html\n"
    first = REPORT.read_bytes()
    assert bench("report", "suites/small.yaml").code == 0
    assert REPORT.read_bytes() == first
    REPORT.unlink()
    assert bench("report", "--json").json == ["reports/small.html"]
    assert REPORT.read_bytes() == first
    bench("run", "suites/small.yaml", "--gpus", "0")
    assert REPORT.read_bytes() == first


def test_a_page_is_not_replaced_by_an_empty_one(bench, ran):
    assert bench("report", "small").code == 0
    page, path = REPORT.read_bytes(), Path("suites/small.yaml")
    path.write_text(SMALL.replace("{steps: 2,", "{steps: 4,").replace("epochs: 1", "epochs: 2"))
    said = bench("report", "suites/small.yaml")
    assert said.code == 2
    num = sum(record.kind != "pretrain" for record in ran)
    assert said.err.splitlines()[-1] == (
        f"reports/small.html stays as it is: none of the {num} records in results/small is of this suite as it is "
        "planned now")  # fmt: skip
    assert REPORT.read_bytes() == page
    REPORT.unlink()
    assert bench("report", "suites/small.yaml").code == 0, "nothing is lost by an empty page"


def test_records_of_one_shared_test_split_are_told_how_to_be_read(bench, folders, roots, monkeypatch):
    digits = DATASETS["digits"]
    divided = dataclasses.replace(digits, facts=lambda o: dataclasses.replace(digits.facts(o), division=("by us",)))
    monkeypatch.setitem(DATASETS, "digits", divided)
    path, anew = Path("suites/small.yaml"), SMALL.replace("scope: cell", "scope: repeat")
    shared = anew.replace("[4, 8]}", "[4, 8], test: {resplit: false}}")
    path.write_text(shared)
    plan = plan_from_file(path, (), folders)
    remember(plan, (), folders)
    fabricate(plan, roots)
    assert bench("report", "suites/small.yaml").code == 0
    page = REPORT.read_bytes()
    path.write_text(anew)
    said = bench("report", "suites/small.yaml")
    assert (said.code, REPORT.read_bytes()) == (2, page)
    assert said.err.splitlines()[-1].endswith(
        "as it is planned now: they are of one shared test split; `test: {resplit: false}` in the suite reads them")
    path.write_text(shared)
    assert bench("report", "suites/small.yaml").code == 0
    assert REPORT.read_bytes() == page


def test_a_suite_that_no_longer_loads_holds_up_no_other_report(bench, ran):
    Path("results/old").mkdir()
    Path("results/old/suite.yaml").write_text("name: old\n")
    said = bench("report")
    assert said.code == 3
    assert said.out == "report: reports/small.html\n"
    assert said.error.startswith("old: no report: results/old/suite.yaml:")


def test_nor_does_a_crash_over_one_suite(bench, ran, folders, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("a", "z"):
        path = Path(f"suites/{name}.yaml")
        path.write_text(Path("suites/small.yaml").read_text().replace("name: small\n", f"name: {name}\n"))
        other = plan_from_file(path, (), folders)
        remember(other, (), folders)
        fabricate(other, folders.roots(name))
    render = report.render
    monkeypatch.setattr(report, "render", lambda results, *_: render(results) if results.name != "a" else [][0])
    said = bench("report")
    assert said.code == 70
    assert said.out == "report: reports/small.html\nreport: reports/z.html\n"
    assert said.error.startswith("a: no report: a fault of this program, ")


@pytest.mark.parametrize("kind", ["pretrain", "trial", "final"])
def test_a_record_that_is_gone_when_the_run_ends_is_told(bench, ran, roots, monkeypatch, kind):
    """As where somebody removes the results folder meanwhile: what counts is the disk."""
    gone = next(one for one in ran if one.kind == kind)
    path = (roots.shared if kind == "pretrain" else roots.store).path(gone.key)

    def trains(*_):
        path.unlink(missing_ok=True)
        return Summary(trainings=1)

    monkeypatch.setattr(run, "run_plan", trains)
    said = bench("run", "suites/small.yaml", "--gpus", "0")
    assert (said.code, said.error) == (
        3, "1 of the 25 records asked for are not in results; run the same command again to make them")
    assert REPORT.is_file()


def test_what_waits_for_a_pretraining_that_went_wrong_is_not_made_by_the_same_command(bench, plan, roots, folders,
                                                                                       monkeypatch):  # fmt: skip
    (pretraining,) = plan.pretrain_labels
    remember(plan, (), folders)
    for record in fabricate(plan, roots, {pretraining: "failed"})[1:]:
        roots.store.path(record.key).unlink()
    monkeypatch.setattr(run, "run_plan", lambda *_: Summary())
    said = bench("run", "suites/small.yaml", "--gpus", "0")
    assert said.code == 3
    assert said.err.splitlines() == [
        "8 of the 25 records asked for are not in results; run the same command again to make them",
        "16 of the 25 records asked for wait for a pretraining that went wrong; `run --rerun failed` tries it again",
    ]


def test_only_what_was_asked_for_must_be_there(bench, ran, roots, plan, monkeypatch):
    cell = next(cell for cell in plan.cells if cell.strategy == "linear_probe")
    roots.store.path(cell.finals[0]).unlink()
    monkeypatch.setattr(run, "run_plan", lambda *_: Summary())
    typed = ("run", "suites/small.yaml", "--gpus", "0")
    assert bench(*typed, "--filter", "strategy=scratch").code == 0
    said = bench(*typed, "--filter", "strategy=linear_probe")
    assert (said.code, said.error.startswith("1 of the 9 records asked for are not")) == (3, True), said


def test_what_does_not_fit_is_a_result(bench, plan, roots, folders):
    remember(plan, (), folders)
    fabricate(plan, roots, dict.fromkeys(plan.cells[0].finals, "not_applicable"))
    said = bench("run", "suites/small.yaml", "--gpus", "0")
    assert (said.code, "not applicable" in said.out) == (0, True)


def test_schema(bench):
    assert bench("schema").json["$schema"].endswith("2020-12/schema")
    assert bench("schema", "--markdown").out.startswith("# Suites\n")


def test_what_a_killed_writer_left_goes_with_the_next_page(bench, ran):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    REPORT.parent.mkdir()
    left = atomic.temporary_in(REPORT.parent)
    left = left.with_name(left.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-"))
    left.write_text("<html>half")
    assert bench("report").code == 0
    assert list(REPORT.parent.iterdir()) == [REPORT]
