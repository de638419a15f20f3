"""The gate's command over records that were made up: what is refused, what is red, what is left behind."""

import dataclasses
import html
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench.execute.ledger import Summary
from bench.provenance import describe
from tests.made_up import edit

from .gated import BASELINE, change, here, raised


def test_what_did_not_move_is_green(bench, measured):
    said = bench("gate", "suites/small.yaml")
    assert said.code == 0
    assert said.out.splitlines()[-1].startswith("gate: green")
    assert Path("reports/small.html").read_text().count("Regressions")


def test_a_drop_is_red_and_named_everywhere(bench, measured, monkeypatch, place):
    plan, store = measured
    raised(plan, store)
    assert bench("baseline", "accept", "suites/small.yaml").code == 0
    cell = change(plan, store, (-0.10, -0.11, -0.09, -0.12, -0.10))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place / "step.md"))
    said = bench("gate", "suites/small.yaml", "--junit", "out/j.xml", "--github")
    assert said.code == 1
    assert "gate: red" in said.out
    failures = [case for case in ET.parse("out/j.xml").iter("testcase") if case.find("failure") is not None]  # noqa: S314
    assert [case.get("name") for case in failures] == [cell.strategy, "mean of all 6 cells"]
    mean, error = [line for line in said.out.splitlines() if line.startswith("::error")]
    assert "mean of all 6 cells: regressed" in mean
    assert cell.strategy in error
    assert cell.strategy in html.unescape((place / "step.md").read_text())
    told = bench("gate", "suites/small.yaml", "--json").json
    assert [one["strategy"] for one in told["cells"] if one["word"] == "regressed"] == [cell.strategy]


def test_a_margin_that_is_asked_for_lets_it_pass(bench, measured):
    plan, store = measured
    raised(plan, store)
    bench("baseline", "accept", "suites/small.yaml")
    change(plan, store, (-0.10, -0.11, -0.09, -0.12, -0.10))
    assert bench("gate", "suites/small.yaml", "--margin", "20").code == 0
    assert bench("gate", "suites/small.yaml", "--set", "gate.margin=20").code == 0


def test_a_failed_training_is_3_whatever_fail_on_says(bench, measured, nothing_is_tried_again):
    plan, store = measured
    change(plan, store, (0,), status="failed")
    said = bench("gate", "suites/small.yaml")
    assert said.code == 3
    assert "planted" in said.out
    assert bench("gate", "suites/small.yaml", "--fail-on", "regressed").code == 3


def test_a_regression_is_1_though_a_repeat_of_it_failed(bench, measured, nothing_is_tried_again):
    plan, store = measured
    raised(plan, store)
    bench("baseline", "accept", "suites/small.yaml")
    cell = change(plan, store, (-0.20, -0.21, -0.19, -0.22, -0.20))
    record = store.read(cell.finals[0])
    store.write(dataclasses.replace(record, status="failed", result={}, error="RuntimeError: planted"))
    said = bench("gate", "suites/small.yaml")
    assert (said.code, "1 regressed" in said.out) == (1, True)


def test_trainings_that_could_not_begin_went_wrong(bench, measured, nothing_is_tried_again):
    """A pretraining failed: its cells have no record at all."""
    plan, store = measured
    for cell in plan.cells:
        if cell.strategy != "scratch":
            for key in cell.finals:
                store.path(key).unlink()
    said = bench("gate", "suites/small.yaml", "--fail-on", "regressed")
    assert said.code == 3
    assert "2 of 6 cells compared" in said.out


def test_what_failed_is_tried_again(bench, measured, monkeypatch):
    from bench.commands import measure

    asked = []
    monkeypatch.setattr(measure, "train", lambda plan, part, options, *a: asked.append(options.rerun) or Summary())
    bench("gate", "suites/small.yaml")
    bench("gate", "suites/small.yaml", "--reuse")
    assert asked == ["failed", None]


def test_fail_on_inconclusive(bench, measured):
    plan, store = measured
    raised(plan, store)
    bench("baseline", "accept", "suites/small.yaml")
    change(plan, store, (-0.05, 0.05, -0.02, 0.03, 0.01))
    change(plan, store, (0.01, -0.01), strategy="scratch")
    assert bench("gate", "suites/small.yaml", "--must-see", "20").code == 0
    assert bench("gate", "suites/small.yaml", "--must-see", "1").code == 4, "two of six cells could not have shown it"
    assert bench("gate", "suites/small.yaml", "--fail-on", "regressed,inconclusive").code == 1


def test_a_repeat_that_falls_where_all_else_is_equal_to_the_bit_is_no_chance(bench, measured):
    plan, store = measured
    raised(plan, store)
    bench("baseline", "accept", "suites/small.yaml")
    change(plan, store, (0, 0, -0.3, 0, 0))
    said = bench("gate", "suites/small.yaml", "--json")
    assert said.code == 1
    (row,) = [one for one in said.json["cells"] if one["word"] != "identical"]
    assert "repeat 2 80.20 -> 50.20 %" in row["reason"]


def test_other_settings_are_incomparable_and_nothing_comparable_is_4(bench, measured):
    edit(BASELINE, lambda text: re.sub(r'(?<=\.)[0-9a-f]{8}(?=", "seconds)', "0" * 8, text))
    said = bench("gate", "suites/small.yaml")
    assert said.code == 4
    assert "settings" in said.out


def test_another_version_of_torch_is_another_environment_and_comparable_on_request(bench, measured):
    plan, store = measured
    edit(BASELINE, lambda text: re.sub(r'"torch": "[^"]*"', '"torch": "1.0.0"', text))
    said = bench("gate", "suites/small.yaml")
    assert said.code == 4
    assert "torch 1.0.0 ->" in said.out
    asked = bench("gate", "suites/small.yaml", "--across-environments")
    assert asked.code == 0
    assert "Compared across environments" in asked.out
    raised(plan, store)
    bench("baseline", "accept", "suites/small.yaml")
    edit(BASELINE, lambda text: re.sub(r'"torch": "[^"]*"', '"torch": "1.0.0"', text))
    change(plan, store, (-0.10, -0.11, -0.09, -0.12, -0.10))
    assert bench("gate", "suites/small.yaml", "--across-environments").code == 1, "an upgrade that moved a number"


@pytest.mark.parametrize("what", ["code", "python", "libraries", "processor", "on_gpu"])
def test_records_that_something_else_made_are_not_taken(bench, measured, monkeypatch, what):
    """A key says what was asked for, not what code answered, and where."""
    from bench.commands import measure

    seen = []

    def train(plan, part, options, stand_in_for=()):
        seen.append(options.folders.results)
        raise measure.Stopped(2)

    monkeypatch.setattr(measure, "train", train)
    assert bench("gate", "suites/small.yaml").code == 130
    monkeypatch.setattr(measure, "describe", lambda: {**describe(), what: "another"})
    if what == "on_gpu":
        monkeypatch.setattr(measure, "count_gpus", lambda: 1)
    assert bench("gate", "suites/small.yaml").code == 130
    mine, other = seen
    assert (mine / "small" / "runs").is_dir()
    assert not (other / "small").exists()


def test_workplaces_of_code_long_gone_are_removed(place):
    folders = [here(code=str(number)) for number in range(5)]
    for age, folder in enumerate(folders):
        os.utime(folder, (1e9 + age, 1e9 + age))
    now = here(code="now")
    assert {path for path in now.parent.iterdir()} == {now, *folders[-2:]}


def test_fresh_measures_again_and_never_touches_what_run_has_left(bench, measured, monkeypatch):
    plan, store = measured
    kept = Path("results/small/kept")
    kept.parent.mkdir()
    kept.write_text("mine")
    from bench.commands import measure

    other = store.root.parent / "another_suite"
    other.mkdir()

    def stop(*_, **__):
        raise measure.Stopped(2)

    monkeypatch.setattr(measure, "train", stop)
    said = bench("gate", "suites/small.yaml", "--fresh")
    assert said.code == 130
    assert "run the same command again" in said.error
    assert not list(store.root.glob("runs/*/*"))
    assert kept.read_text() == "mine"
    assert other.is_dir()
    assert bench("gate", "suites/small.yaml", "--fresh", "--reuse").code == 2


@pytest.mark.parametrize(("typed", "message"), [
    (("--baseline", "nowhere.json"), "nowhere.json: no such baseline; `python -m bench baseline accept"),
    (("--fail-on", "regresed"), "did you mean 'regressed'?"),
    (("--method", "history"), "--method history needs 20 nights"),
    (("--fresh", "--reuse"), "give one of them"),
    (("--json", "--github"), "give one of them"),
    (("--benchmarks", "nowhere.json", "neither.json"), "nowhere.json"),
])  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_runs(bench, place, typed, message):
    said = bench("gate", "suites/small.yaml", *typed)
    assert said.code == 2
    assert message in said.error
    assert not list(Path("results").glob(".gate/*/small/runs"))


def test_a_baseline_that_was_edited_is_refused_until_it_is_accepted_anew(bench, measured):
    text = BASELINE.read_text()
    BASELINE.write_text(text.replace('"score": 0.', '"score": 0.1', 1))
    said = bench("gate", "suites/small.yaml")
    assert said.code == 2
    assert said.error == (f"{BASELINE}: changed since it was written: it does not fit its checksum; "
                          "accept the baseline anew: `python -m bench baseline accept suites/small.yaml`")  # fmt: skip
    anew = bench("baseline", "accept", "suites/small.yaml")
    assert anew.code == 0
    assert f"{BASELINE}: changed since it was written" in anew.err
    assert "none of it is compared or handed on" in anew.err
    assert BASELINE.read_text().splitlines()[4:] == text.splitlines()[4:]
    assert bench("gate", "suites/small.yaml").code == 0


def test_a_damaged_baseline_is_told_in_one_line(bench, measured):
    BASELINE.write_text("{")
    said = bench("gate", "suites/small.yaml")
    assert said.code == 2
    assert str(BASELINE) in said.error
