"""`baseline accept` and `baseline history`, and which nights are kept."""

import json
from pathlib import Path

from bench.execute.ledger import Summary
from tests.made_up import edit

from .gated import BASELINE, change


def test_accept_tells_what_moved_and_refuses_what_failed(bench, measured, monkeypatch):
    plan, store = measured
    before = BASELINE.read_bytes()
    assert "0 of 30 scores moved" in bench("baseline", "accept", "suites/small.yaml").out
    change(plan, store, (-0.1,))
    said = bench("baseline", "accept", "suites/small.yaml")
    assert said.code == 2
    assert "linear_probe: " in said.err
    assert "(to accept all the same: regressed)" in said.err
    assert bench("gate", "suites/small.yaml").code == 1
    said = bench("baseline", "accept", "suites/small.yaml", "--allow", "regressed")
    assert "5 of 30 scores moved, 0 are new, 0 are gone" in said.out
    assert "5 cells held against the scores of " in said.out
    assert "1 cell a new lineage" in said.out
    told = bench("gate", "suites/small.yaml")
    assert told.code == 0
    assert "in spite of this: regressed" in told.out
    monkeypatch.setattr("bench.commands.measure.train", lambda *a, **k: Summary())
    change(plan, store, (0,), status="failed")
    said = bench("baseline", "accept", "suites/small.yaml")
    assert said.code == 2
    assert "should not become a baseline" in said.err
    assert bench("baseline", "accept", "suites/small.yaml", "--allow", "faild").code == 2
    assert bench("baseline", "accept", "suites/small.yaml", "--allow", "failed").code == 0
    rows = json.loads(BASELINE.read_bytes())["results"]
    assert len(rows) == 25
    assert BASELINE.read_bytes() != before


def test_nights_are_kept_listed_and_drawn(bench, measured, every_night_trains):
    plan, store = measured
    for number in range(3):
        change(plan, store, (0.001 * number,))
        assert bench("gate", "suites/small.yaml", "--margin", "50").code == 0
        for path in Path("results/history/small").glob("2*.json"):  # as if it were of another hour
            path.rename(path.with_name(f"1{number}{path.name}"))
    said = bench("baseline", "history", "small")
    assert said.code == 0
    assert len([line for line in said.out.splitlines() if line.startswith("20")]) == 3
    assert Path("reports/small.trend.html").is_file()
    assert len(bench("baseline", "history", "small", "--json").json["nights"]) == 3
    missing = bench("baseline", "history", "smal")
    assert missing.code == 2
    assert "there are: small" in missing.error


def test_a_damaged_baseline_that_is_written_over_is_told(bench, measured):
    BASELINE.write_text(BASELINE.read_text().replace('"score": 0', '"score": 7', 1))
    said = bench("baseline", "accept", "suites/small.yaml")
    assert said.code == 0
    assert said.error == (f"{BASELINE}: changed since it was written: it does not fit its checksum; none of it is "
                          "compared or handed on")  # fmt: skip
    assert "there was none before" in said.out


def unseal(path):
    """As a version without checksums wrote it."""
    text = path.read_text()
    path.write_text("{\n" + text.partition("\n")[2].replace('"schema": 2', '"schema": 1'))


def test_a_baseline_of_an_older_version_hands_on_its_lineage(bench, measured):
    unseal(BASELINE)
    said = bench("gate", "suites/small.yaml")
    assert said.code == 0
    assert "The baseline is of an older version, which wrote no checksum: nobody can tell" in said.out
    said = bench("baseline", "accept", "suites/small.yaml")
    assert said.code == 0
    assert said.error == (f"{BASELINE}: of an older version, which wrote no checksum: nobody can tell whether anything "
                          "was changed since")  # fmt: skip
    assert "0 of 30 scores moved" in said.out
    assert "6 cells held against the scores of " in said.out
    assert bench("baseline", "accept", "suites/small.yaml").err == ""


def test_nights_of_an_older_version_count(bench, measured, every_night_trains):
    for hour in range(2):
        assert bench("gate", "suites/small.yaml", "--margin", "50").code == 0
        for path in Path("results/history/small").glob("2*.json"):
            path.rename(path.with_name(f"1{hour}{path.name}"))
    older, newer = sorted(Path("results/history/small").glob("*.json"))
    unseal(older)
    said = bench("baseline", "history", "small")
    assert said.code == 0
    assert len([line for line in said.out.splitlines() if line.startswith("20")]) == 2
    assert said.error == ("1 of 2 nights are of an older version, which wrote no checksum: nobody can tell whether "
                          "anything was changed since")  # fmt: skip
    newer.write_text(newer.read_text().replace('"score": 0', '"score": 00', 1))
    said = bench("baseline", "history", "small")
    assert f"{newer}: torn or not JSON" in said.err
    assert "accept" not in said.err


def test_a_night_that_measured_nothing_is_none(bench, measured):
    said = bench("gate", "suites/small.yaml")
    assert said.code == 0
    assert "Nothing was trained tonight" in said.out
    assert not Path("results/history").exists()


def test_a_night_that_was_asked_for_something_else_is_none(bench, measured, every_night_trains):
    assert bench("gate", "suites/small.yaml", "--set", "gate.margin=9").code == 0
    assert not Path("results/history").exists()


def test_accept_writes_over_nothing_but_a_baseline_of_the_suite(bench, measured, place):
    (place / "notes.txt").write_text("mine")
    said = bench("baseline", "accept", "suites/small.yaml", "--baseline", "notes.txt")
    assert said.code == 2
    assert (place / "notes.txt").read_text() == "mine"
    other = BASELINE.with_name("other.json")
    other.write_bytes(BASELINE.read_bytes())
    edit(other, lambda text: text.replace('"suite": "small"', '"suite": "large"'))
    assert bench("baseline", "accept", "suites/small.yaml", "--baseline", str(other)).code == 2
    assert bench("gate", "suites/small.yaml", "--baseline", str(other)).code == 4


def test_no_keep_keeps_nothing(bench, measured, every_night_trains):
    assert bench("gate", "suites/small.yaml", "--no-keep").code == 0
    assert not Path("results/history").exists()
