import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml

from bench import catalogue
from bench.backbones import BACKBONES, timm_names
from bench.store import Store

from .fabricate import PUBLISHED, fabricate


def names(said):
    assert said.code == 0
    return [row["name"] for row in said.json]


@pytest.fixture(autouse=True)
def _nothing_comes_along(monkeypatch, tmp_path):
    """What does is in tests/test_wheel.py."""
    monkeypatch.setattr("bench.suite.shipped.SHIPPED", tmp_path / "nowhere")


def test_suites(bench):
    Path("suites/broken.yaml").write_text("name: broken\ndatasets: [digits]\nstrategy: [scratch]\n")
    said = bench("list", "suites", "--json")
    assert names(said) == ["broken", "small"]
    broken, small = said.json
    assert broken["problem"].startswith("suites/broken.yaml:")
    assert small == {"name": "small", "file": "suites/small.yaml", "description": "First line of it."}
    text = bench("list", "suites").out
    assert f"broken: {broken['problem']}" in text
    assert "First line of it." in text


@pytest.mark.parametrize("what", ["suites", "references", "runs"])
def test_none(bench, what):
    Path("suites/small.yaml").unlink()
    assert names(bench("list", what, "--json")) == []
    assert bench("list", what).err == f"no {what} here\n"


def test_datasets(bench):
    said = bench("list", "datasets", "--json")
    digits = next(row for row in said.json if row["name"] == "digits")
    assert (digits["classes"], digits["train"], digits["test"], digits["image_size"]) == (10, 1000, 797, 32)
    assert digits["options"][0] == {
        "name": "train_per_class", "type": "int", "required": False, "default": 100,
        "meaning": "Training images of each digit; all others are test images.", "range": ">= 1, <= 140",
    }  # fmt: skip
    assert "digits " in bench("list", "datasets").out
    told = bench("list", "datasets", "digits").out
    assert "train: 1000" in told
    assert "  train_per_class: 100  # int, >= 1, <= 140" in told
    assert "Training images of each digit" in told


def test_strategies(bench):
    said = bench("list", "strategies", "--json")
    rows = {row["name"]: row for row in said.json}
    assert rows["freeze"]["options"][0]["type"] == "int or 'all'"
    assert rows["scratch"]["options"] == []
    assert rows["lwf"]["needs"] == ["the source head"]
    assert rows["layer_decay"]["options"][0]["range"] == "> 0, < 1"
    assert rows["layer_decay"]["options"][0]["search"] == "0.5..0.95"
    assert "search" not in rows["freeze"]["options"][0]
    assert all(row["description"] and row["paper"] for row in rows.values())
    text = bench("list", "strategies", "freeze").out
    assert "Yosinski et al. 2014" in text
    assert "# int or 'all'" in text


def test_backbones(bench):
    rows = {row["name"]: row for row in bench("list", "backbones", "--json").json}
    assert rows.keys() == set(BACKBONES)
    assert all(row["units"][:1] in ([], ["stem"]) for row in rows.values())  # an entry for many has none of its own
    assert [rows[name]["modality"] for name in ("small_resnet", "hf", "yamnet")] == ["image", "text", "sound"]
    assert bench("list", "backbones").err == ""  # a file has the names alone


@pytest.mark.parametrize("what", ["suites", "datasets", "backbones", "strategies", "references", "runs"])
def test_a_terminal_of_80_columns_has_a_line_for_each_and_60_at_most(bench, monkeypatch, what):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    said = bench("list", what)
    lines = said.out.splitlines()
    if what == "backbones":
        assert f"of the {len(timm_names.index())} timm architectures" in said.err
    assert len(lines) <= 60
    assert max(map(len, lines), default=0) <= 80
    monkeypatch.undo()


@pytest.mark.parametrize("what", ["datasets", "strategies"])
def test_a_file_has_a_name_and_its_whole_line(bench, what):
    rows = {row["name"]: row["description"] for row in bench("list", what, "--json").json}
    lines = dict(line.split(maxsplit=1) for line in bench("list", what).out.splitlines())
    assert lines.keys() == rows.keys()
    assert all(lines[name].startswith(rows[name]) for name in rows)


def test_defaults_of_one_stand_as_a_suite_has_them(bench):
    text = bench("list", "datasets", "csv").out
    assert "None" not in text
    options = yaml.safe_load(text.partition("options:\n")[2].replace("...", "x"))
    assert (options["side"], options["fit"], options["test_share"]) == (None, "crop", 0.2)
    assert "  path: ...  # str, required" in text


def test_one_of_timm_and_one_that_nobody_knows(bench):
    assert "a1_in1k" in bench("list", "backbones", "resnet18").out
    said = bench("list", "strategies", "lroa")
    assert said.code == 2
    assert said.error.startswith("unknown strategy 'lroa'; did you mean 'lora'")
    assert bench("list", "strategies", "lora", "--json").json["options"][0]["default"] == 8
    assert bench("list", "backbones", "hf", "--timm", "x*").code == 2


def test_timm_by_architecture(bench):
    said = bench("list", "backbones", "--timm", "resnet1?", "--json")
    assert "resnet18" in names(said)
    assert all(len(name) == len("resnet18") for name in names(said))
    assert "a1_in1k" in next(row["weights"] for row in said.json if row["name"] == "resnet18")


def test_timm_by_weights(bench):
    rows = bench("list", "backbones", "--timm", "resnet*.a1_in1k", "--json").json
    assert {tag for row in rows for tag in row["weights"]} == {"a1_in1k"}


def test_timm_without_a_match_names_the_nearest(bench):
    said = bench("list", "backbones", "--timm", "resnt18*")
    assert said.code == 5
    assert "resnet18" in said.error


def test_a_broken_entry_hides_no_other(bench, monkeypatch):
    broken = EntryPoint("bad", "no_such_module:entry", "bench.anything")
    monkeypatch.setattr(catalogue, "third_party", lambda kind: {"bad": broken})
    for what in ("datasets", "backbones", "strategies"):
        said = bench("list", what, "--json")
        assert {"bad"} < set(names(said))
        assert "no_such_module" in next(row["problem"] for row in said.json if row["name"] == "bad")
        assert "broken: " in bench("list", what).out


def test_runs(bench, plan, roots, ran):
    key = plan.cells[0].finals[0]
    fabricate(plan, roots, {key: "failed"})
    Store(roots.results / "small").path(plan.cells[0].finals[1]).unlink()
    Path("results/old").mkdir()
    Path("results/old/suite.yaml").write_text("name: old\n")
    old, small = bench("list", "runs", "--json").json
    assert old["name"] == "old"
    assert "datasets" in old["problem"]
    assert (small["finished"], small["planned"], small["went_wrong"]) == (24, 25, 1)
    text = bench("list", "runs").out
    assert "broken: " in text
    assert "24" in text


def test_references(bench):
    assert bench("list", "references").err == "no references here\n"
    folder = Path("suites/references")
    folder.mkdir()
    (folder / "good.yaml").write_text(PUBLISHED)
    (folder / "wrong.yaml").write_text("source: x\n")
    said = bench("list", "references", "--json")
    assert names(said) == ["good", "wrong"]
    good, wrong = said.json
    assert good == {"name": "good", "file": "suites/references/good.yaml", "values": 2,
                    "description": "Somebody 2020", "address": "made up"}  # fmt: skip
    assert wrong["problem"].startswith("suites/references/wrong.yaml:1:1: ")
    assert f"broken: {wrong['problem']}" in bench("list", "references").out
    assert [row["name"] for row in bench("list", "suites", "--json").json] == ["small"]
