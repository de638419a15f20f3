"""The script for a card: steps have limits of their own, and none takes the others' results along."""

import json

import pytest

from tests.gpu import check
from tests.gpu.check import Step
from tests.gpu.figures import MARK

FIGURE = {"what": "speed", "value": 12.345, "unit": "images/s", "bar": ">= 1"}


def python(code):
    return ("timeit", "-n", "1", "-r", "1", code)


STEPS = [
    Step("good", 30, python(f"print({MARK!r} + {json.dumps(json.dumps(FIGURE))})")),
    Step("broken", 30, python("raise ValueError('no such luck')")),
    Step("endless", 1, python("import time; time.sleep(60)")),
    Step("last", 30, python("pass")),
]


@pytest.mark.parametrize("is_pretend", [False, True])
def test_every_step_is_told_and_written_whatever_became_of_the_others(tmp_path, monkeypatch, capsys, is_pretend):
    monkeypatch.setattr(check, "LEAST", 0.1)
    monkeypatch.setattr(check, "machine", lambda is_pretend: {"card": "a card"})
    path = tmp_path / "out.json"
    assert check.check(STEPS, 2, path, is_pretend) == 1
    written = json.loads(path.read_text())
    assert [one["status"] for one in written["steps"]] == ["ok", "failed", "too long", "ok"]
    assert written["measured"] is not is_pretend
    assert written["steps"][0]["figures"] == [FIGURE]
    assert 1 <= written["steps"][2]["seconds"] < 20
    told = capsys.readouterr().out
    assert "no such luck" in told
    value = "not measured" if is_pretend else "12.3 images/s"
    assert f"| good | ok | speed | {value} | >= 1 |" in told.splitlines()


def test_steps_share_the_minutes_there_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(check, "machine", lambda is_pretend: {})
    path = tmp_path / "out.json"
    assert check.check(STEPS[2:], 0.01, path, False) == 1
    assert [one["status"] for one in json.loads(path.read_text())["steps"]] == ["no time left"] * 2


def test_the_limits_of_all_steps_come_to_the_time_that_a_card_is_lent_for(tmp_path):
    assert sum(step.limit for step in check.steps(False, tmp_path)) <= 600  # the machine is lent for ten minutes a call


@pytest.mark.slow
def test_the_whole_script_on_the_pretend_device(tmp_path, monkeypatch, capsys):
    path = tmp_path / "out.json"
    monkeypatch.setattr("sys.argv", ["check", "--pretend", "--json", str(path)])
    code = check.main()
    told = capsys.readouterr().out
    assert code == 0, told
    written = json.loads(path.read_text())
    assert not written["measured"]
    figures = [figure for one in written["steps"] for figure in one["figures"]]
    assert len(figures) > 10
    rows = [line for line in told.splitlines() if line.startswith("| ") and "status" not in line]
    assert all("not measured" in row for row in rows if row.split(" | ")[2])
