"""A suite on a machine that lacks its data or weights: three lines and exit 2, a rehearsal, or the thing itself."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import fetching
from tests.datasets.pictured import class_folders

ROOT = Path(__file__).parents[2]
REAL = """\
name: real
datasets: [{name: cifar10, labels_per_class: [5]}]
backbones: [resnet18.a1_in1k]
strategies: [scratch, linear_probe]
training: {steps: 4}
search: {trials: 2, validation: {folds: 2}}
repeats: 2
"""
MINE = """\
name: mine
datasets: [{name: "folder:photos", labels_per_class: [4]}]
backbones: [{name: small_resnet, options: {width: 4}}]
strategies: [scratch]
training: {steps: 2, evaluations: 1}
search: {trials: 2, scope: cell, validation: {folds: 2}}
repeats: 2
"""


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(fetching, "is_online", lambda: False)
    monkeypatch.setattr("bench.commands.missing.is_online", lambda: False)


@pytest.mark.parametrize("command", ["run", "plan", "fetch"])
def test_three_lines(bench, place, offline, command):
    (place / "real.yaml").write_text(REAL)
    said = bench(command, "real.yaml")
    assert said.code == 2
    lines = said.err.splitlines()
    assert len(lines) == 3
    assert lines[0] == "not on this machine: dataset cifar10 (163 MB), weights resnet18.a1_in1k"
    assert "python -m bench fetch real.yaml" in lines[1]
    assert "--stand-in" in lines[2]
    assert not (place / "results" / "real").exists()


def test_the_known_suite_ends_within_five_seconds(tmp_path):
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", str(ROOT / "suites/cifar_low_data.yaml")], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 3
    assert time.monotonic() - started < 5 * float(os.environ.get("BENCH_PATIENCE", "2"))  # other tests run beside it


def test_a_folder_that_is_no_folder_is_refused(bench, place):
    (place / "real.yaml").write_text(REAL)
    said = bench("run", "real.yaml", "--data", "nowhere")
    assert (said.code, said.error) == (2, "--data nowhere: no such folder")


def test_what_can_be_fetched_is_fetched_where_there_is_a_network(bench, place, monkeypatch):
    (place / "real.yaml").write_text(REAL)
    asked = []
    monkeypatch.setattr("bench.commands.missing.is_online", lambda: True)
    monkeypatch.setattr(fetching.subprocess, "run", lambda command, check: asked.append(command[-2:]) or Done(0))
    said = bench("fetch", "real.yaml")  # it is not there all the same
    assert asked == [["dataset", "cifar10"], ["weights", "resnet18.a1_in1k"]]
    assert said.code == 2
    assert "fetching dataset cifar10, about 163 MB" in said.err


class Done:
    def __init__(self, returncode):
        self.returncode = returncode


def test_a_fetch_that_fails_says_what_else_can_be_done(bench, place, monkeypatch):
    (place / "real.yaml").write_text(REAL)
    monkeypatch.setattr("bench.commands.missing.is_online", lambda: True)
    monkeypatch.setattr(fetching.subprocess, "run", lambda command, check: Done(1))
    said = bench("fetch", "real.yaml")
    assert said.code == 2
    assert "dataset cifar10 could not be fetched; put cifar10.npz or a folder" in said.err


def test_a_folder_of_ones_own_goes_to_a_report_that_outlives_it(bench, place):
    class_folders(place / "photos", per_class=10)
    (place / "mine.yaml").write_text(MINE.replace("scope: cell, ", ""))
    said = bench("run", "mine.yaml", "--json")
    assert said.code == 0, said.err
    assert all(row["status"] == "ok" for row in said.json["finals"])
    page = (place / "reports" / "mine.html").read_text()
    assert "photos: divided 16 / 4 by us anew in every repeat, stratified." in page
    assert str(place) not in page
    records = [json.loads(path.read_text()) for path in (place / "results" / "mine" / "runs").rglob("*.json")]
    assert records
    assert all(str(place) not in json.dumps(one["spec"]) for one in records)
    (place / "photos").rename(place / "gone")
    again = bench("report", "mine")
    assert again.code == 0, again.err
    assert (place / "reports" / "mine.html").read_text() == page


def test_damaged_pictures_stop_a_run_before_it_begins(bench, place):
    class_folders(place / "photos", per_class=10)
    path = place / "photos" / "ant" / "0.png"
    path.write_bytes(path.read_bytes()[:-60])
    (place / "mine.yaml").write_text(MINE)
    said = bench("run", "mine.yaml")
    assert said.code == 2
    assert "0.png: damaged" in said.err


@pytest.mark.slow
def test_a_rehearsal_says_so_everywhere(bench, place):
    (place / "real.yaml").write_text(REAL)
    said = bench("run", "real.yaml", "--stand-in", "--json")
    assert said.code == 0, said.err
    finals = said.json["finals"]
    assert {row["dataset"] for row in finals} == {"cifar10 (STAND-IN near)"}
    assert {row["backbone"] for row in finals} == {"resnet18.a1_in1k (STAND-IN)"}
    assert not (place / "results" / "real").exists()
    records = [json.loads(path.read_text()) for path in (place / "results/real.stand-in/runs").rglob("*.json")]
    assert all("dataset cifar10: the embedded world near" in one["provenance"]["stand_in"] for one in records)
    page = (place / "reports" / "real.stand-in.html").read_text()
    assert "STAND-IN: nothing on this page was measured on what the suite names" in page
    again = bench("report", "real.stand-in")
    assert again.code == 0, again.err
    assert (place / "reports" / "real.stand-in.html").read_text() == page


@pytest.mark.slow
def test_a_strategy_that_does_not_fit_is_told_and_is_no_failure(bench, place):
    class_folders(place / "photos", per_class=10)
    (place / "mine.yaml").write_text(MINE.replace("[scratch", "[vpt, scratch"))
    said = bench("run", "mine.yaml", "--json")
    assert said.code == 0, said.err
    statuses = {(row["strategy"], row["status"]) for row in said.json["finals"]}
    assert ("vpt", "not_applicable") in statuses
    assert ("scratch", "ok") in statuses
    page = (place / "reports" / "mine.html").read_text()
    assert "Not applicable: 1 pair of backbone and strategy" in page
    assert "needs a vision transformer with blocks of attention and MLP" in page
    assert bench("status", "mine.yaml").code == 0
    again = bench("run", "mine.yaml")
    assert again.code == 0
    assert "2 not applicable" in again.out


def test_the_template_needs_four_lines_of_ones_own(bench, place):
    class_folders(place / "photos", per_class=10)
    text = (ROOT / "suites" / "folder_template.yaml").read_text()
    edited = text
    for old, new in (("name: my_images  ", "name: mine  "), ("folder:path/to/my_images", "folder:photos"),
                     ("[5, 10]", "[4]"), ("resnet18.a1_in1k  ", "small_resnet  ")):
        assert edited.count(old) == 1
        edited = edited.replace(old, new)
    changed = [new for old, new in zip(text.splitlines(), edited.splitlines(), strict=True) if old != new]
    assert [line.split("# ")[1][0] for line in changed] == ["1", "2", "3", "4"]
    (place / "mine.yaml").write_text(edited)
    said = bench("run", "mine.yaml", "--set", "training.steps=2", "--set", "repeats=2", "--set", "search.trials=2",
                 "--set", "backbones[0].options={width: 4}")  # fmt: skip
    assert said.code == 0, said.err
    assert (place / "reports" / "mine.html").exists()


def test_all_suites_that_come_along_are_in_order(bench, place, unasked):
    """Nothing is wrong with them but what this machine lacks."""
    for path in sorted((ROOT / "suites").glob("*.yaml")):
        said = bench("plan", str(path))
        if path.stem == "folder_template":
            assert "dataset folder:path/to/my_images" in said.err
        elif path.stem in ("all_strategies_real", "cifar_low_data", "real_low_data", "sound_low_data",
                           "source_distance", "vtab_1k",
                           "yosinski_cifar", "yosinski_cifar_vit", "text_low_data", "depth_profile_text"):  # fmt: skip
            assert said.err.splitlines()[0].startswith("not on this machine: dataset "), said.err
        else:
            assert said.code == 0, said.err
