"""The gate's commands over records that were made up: what is refused, what is red, what is left behind."""

import dataclasses
import html
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench.execute.roots import Roots
from bench.gate.workplace import workplace
from bench.provenance import describe
from bench.store import Store
from tests.commands.conftest import SMALL

from .fabricate import fabricate

FIVE = SMALL.replace("repeats: 2", "repeats: 5")
BASELINE = Path("results/baselines/small.json")


@pytest.fixture
def measured(place, bench):
    """Records of the whole suite lie where `gate` would have put them; the baseline is accepted."""
    (place / "suites" / "small.yaml").write_text(FIVE)
    from bench.commands.suites import Folders, plan_from_file

    root = workplace(Path("results"), describe())
    plan = plan_from_file(Path("suites/small.yaml"), (), Folders(root, Path("reports")))
    roots = Roots(root, "small")
    fabricate(plan, roots)
    said = bench("baseline", "accept", "suites/small.yaml")
    assert said.code == 0, said.err
    return plan, roots.store


def change(plan, store: Store, by, strategy="linear_probe", status="ok"):
    """The scores of a strategy's finals on the first task."""
    cell = next(cell for cell in plan.cells if cell.strategy == strategy)
    for number, key in enumerate(cell.finals):
        record = store.read(key)
        result = {**record.result, "score": min(1.0, max(0.0, record.result["score"] + by[number % len(by)]))}
        error = None if status == "ok" else "RuntimeError: planted"
        store.write(dataclasses.replace(record, result=result if status == "ok" else {}, status=status, error=error))
    return cell


def raised(plan, store):
    """So that a drop has somewhere to go."""
    for cell in plan.cells:
        for number, key in enumerate(cell.finals):
            record = store.read(key)
            store.write(dataclasses.replace(record, result={**record.result, "score": 0.8 + number / 1000}))


def test_what_did_not_move_is_green(bench, measured):
    said = bench("gate", "suites/small.yaml")
    assert said.code == 0
    assert said.out.splitlines()[-1].startswith("gate: green")
    assert Path("reports/small.html").read_text().count("Regressions")
    assert list(Path("results/history/small").glob("*.json"))


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
    assert [case.get("name") for case in failures] == [cell.strategy]
    (error,) = [line for line in said.out.splitlines() if line.startswith("::error")]
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


def test_a_failed_training_is_3_and_fail_on_decides(bench, measured):
    plan, store = measured
    change(plan, store, (0,), status="failed")
    said = bench("gate", "suites/small.yaml")
    assert said.code == 3
    assert "planted" in said.out


def test_fail_on_inconclusive(bench, measured):
    plan, store = measured
    raised(plan, store)
    bench("baseline", "accept", "suites/small.yaml")
    change(plan, store, (-0.05, 0.05, -0.02, 0.03, 0.01))
    assert bench("gate", "suites/small.yaml").code == 0
    assert bench("gate", "suites/small.yaml", "--fail-on", "regressed,inconclusive").code == 1


def test_other_settings_are_incomparable_and_nothing_comparable_is_4(bench, measured):
    rows = re.sub(r'(?<=\.)[0-9a-f]{8}(?=", "seconds)', "0" * 8, BASELINE.read_text())
    BASELINE.write_text(rows)
    said = bench("gate", "suites/small.yaml")
    assert said.code == 4
    assert "settings" in said.out


def test_records_of_other_code_are_not_taken(measured, monkeypatch):
    """A key says what was asked for, not what code answered."""
    mine = workplace(Path("results"), describe())
    other = workplace(Path("results"), {**describe(), "code": "another"})
    assert mine != other
    assert (mine / "small").is_dir()
    assert not (other / "small").exists()


def test_workplaces_of_code_long_gone_are_removed(place):
    import os

    folders = [workplace(Path("results"), {**describe(), "code": str(number)}) for number in range(5)]
    for age, folder in enumerate(folders):
        os.utime(folder, (1e9 + age, 1e9 + age))
    now = workplace(Path("results"), {**describe(), "code": "now"})
    assert {path for path in now.parent.iterdir()} == {now, *folders[-2:]}


def test_fresh_measures_again_and_never_touches_what_run_has_left(bench, measured, monkeypatch):
    plan, store = measured
    kept = Path("results/small/kept")
    kept.parent.mkdir()
    kept.write_text("mine")
    from bench.commands import measure

    monkeypatch.setattr(measure, "train", lambda *a, **k: (_ for _ in ()).throw(measure.Stopped(2)))
    said = bench("gate", "suites/small.yaml", "--fresh")
    assert said.code == 130
    assert "run the same command again" in said.error
    assert not list(store.root.glob("runs/*/*"))
    assert kept.read_text() == "mine"
    assert bench("gate", "suites/small.yaml", "--fresh", "--reuse").code == 2


@pytest.mark.parametrize(("typed", "message"), [
    (("--baseline", "nowhere.json"), "nowhere.json: no such baseline; `python -m bench baseline accept"),
    (("--fail-on", "regresed"), "did you mean 'regressed'?"),
    (("--method", "history"), "--method history needs 20 nights"),
    (("--fresh", "--reuse"), "give one of them"),
])  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_runs(bench, place, typed, message):
    said = bench("gate", "suites/small.yaml", *typed)
    assert said.code == 2
    assert message in said.error
    assert not list(Path("results").glob(".gate/*/small/runs"))


def test_a_damaged_baseline_is_told_in_one_line(bench, measured):
    BASELINE.write_text("{")
    said = bench("gate", "suites/small.yaml")
    assert said.code == 2
    assert str(BASELINE) in said.error


def test_accept_tells_what_moved_and_refuses_what_failed(bench, measured):
    plan, store = measured
    before = BASELINE.read_bytes()
    assert "0 of 30 scores moved" in bench("baseline", "accept", "suites/small.yaml").out
    change(plan, store, (-0.1,))
    said = bench("baseline", "accept", "suites/small.yaml")
    assert "5 of 30 scores moved, 0 are new, 0 are gone" in said.out
    change(plan, store, (0,), status="failed")
    said = bench("baseline", "accept", "suites/small.yaml")
    assert said.code == 2
    assert "should not become a baseline" in said.err
    assert bench("baseline", "accept", "suites/small.yaml", "--allow", "faild").code == 2
    assert bench("baseline", "accept", "suites/small.yaml", "--allow", "failed").code == 0
    rows = json.loads(BASELINE.read_bytes())["results"]
    assert len(rows) == 25
    assert BASELINE.read_bytes() != before


def test_nights_are_kept_listed_and_drawn(bench, measured):
    for _ in range(3):
        assert bench("gate", "suites/small.yaml").code == 0
        for path in Path("results/history/small").glob("*.json"):  # as if they were of other hours
            path.rename(path.with_name(f"{path.name[:1]}{len(list(path.parent.iterdir()))}{path.name[1:]}"))
    said = bench("baseline", "history", "small")
    assert said.code == 0
    assert len([line for line in said.out.splitlines() if line.startswith("20")]) == 3
    assert Path("reports/small.trend.html").is_file()
    assert len(bench("baseline", "history", "small", "--json").json["nights"]) == 3
    missing = bench("baseline", "history", "smal")
    assert missing.code == 2
    assert "there are: small" in missing.error


def test_no_keep_keeps_nothing(bench, measured):
    assert bench("gate", "suites/small.yaml", "--no-keep").code == 0
    assert not Path("results/history").exists()
