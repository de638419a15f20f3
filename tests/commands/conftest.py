import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.commands.suites import Folders, plan_from_file, remember
from bench.execute import ahead
from bench.execute.ledger import Summary
from bench.execute.roots import Roots
from bench.planning import probe
from bench.planning.plan import Plan

from .fabricate import fabricate

SMALL = """\
name: small
description: |
  First line of it.
  Second line.
datasets:
  - {name: digits, labels_per_class: [4, 8]}
backbones:
  - {name: small_resnet, pretrain: {dataset: source, epochs: 1}}
strategies: [scratch, linear_probe, {freeze: {upto: 2}}]
training: {steps: 2, evaluations: 2}
search: {scope: cell, trials: 2, sampler: grid, pruner: halving, validation: {folds: 2}}
engine: {precision: fp32}
repeats: 2
"""


@dataclass(frozen=True)
class Said:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """Its only line."""
        (line,) = self.err.splitlines()
        return line


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of one's own to stand in, with a suite in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "small.yaml").write_text(SMALL)
    return tmp_path


@pytest.fixture
def bench(place, monkeypatch, capsys, undrawn):
    """`bench("status", "small")`: the command as typed, in this process."""

    def typed(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Said(int(end.value.code or 0), printed.out, printed.err)

    return typed


@pytest.fixture
def unasked(monkeypatch):
    """`plan` looks ahead at nothing, which test_ahead.py is about, and networks are looked at in this process."""
    monkeypatch.setattr(ahead, "_answers_of", lambda *_: {})
    monkeypatch.setattr(probe, "_ask", probe._answers)


@pytest.fixture
def folders():
    return Folders(Path("results"), Path("reports"))


@pytest.fixture
def plan(place, folders) -> Plan:
    return plan_from_file(Path("suites/small.yaml"), (), folders)


@pytest.fixture
def roots(folders) -> Roots:
    return folders.roots("small")


@pytest.fixture
def divided(monkeypatch):
    """As if digits came in one split, which repeats divide anew."""
    from bench.datasets import DATASETS

    digits = DATASETS["digits"]
    pooled = dataclasses.replace(digits, facts=lambda o: dataclasses.replace(digits.facts(o), division=("by us",)))
    monkeypatch.setitem(DATASETS, "digits", pooled)


@pytest.fixture
def ran(plan, roots, folders):
    """The suite has run here and all went well."""
    remember(plan, (), folders)
    return fabricate(plan, roots)


@pytest.fixture
def measured(place, bench):
    """Records of the whole suite lie where `gate` would have put them; the baseline is accepted."""
    from tests.commands.gated import FIVE, here  # which reads SMALL

    (place / "suites" / "small.yaml").write_text(FIVE)
    root = here()
    plan = plan_from_file(Path("suites/small.yaml"), (), Folders(root, Path("reports")))
    roots = Roots(root, "small")
    fabricate(plan, roots)
    said = bench("baseline", "accept", "suites/small.yaml")
    assert said.code == 0, said.err
    return plan, roots.store


@pytest.fixture
def nothing_is_tried_again(monkeypatch):
    """The gate tries again what failed; records that were made up stay as they are."""
    from bench.commands import measure

    monkeypatch.setattr(measure, "train", lambda *a, **k: Summary())


@pytest.fixture
def every_night_trains(monkeypatch):
    from bench.commands import measure

    monkeypatch.setattr(measure, "train", lambda *a, **k: Summary(trainings=1))
