"""From what the person typed to a plan: by a suite's path, or by the name of one that has run here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError, unknown
from bench.execute.roots import Roots
from bench.plan.enumerate import MAX_RUNS, make_plan
from bench.plan.plan import Plan
from bench.store.atomic import write_bytes
from bench.suite.load import load_suite

SUITE_FILE = "suite.yaml"  # the text as last run
RUN_FILE = "run.json"  # what was typed beside it


@dataclass(frozen=True)
class Folders:
    results: Path
    reports: Path

    def roots(self, suite: str) -> Roots:
        return Roots(self.results, suite)

    def report(self, suite: str) -> Path:
        return self.reports / f"{suite}.html"


def plan_from_file(path: Path, overrides: Sequence[str], folders: Folders, max_runs: int = MAX_RUNS) -> Plan:
    loaded = load_suite(path, overrides)
    return make_plan(loaded, folders.results / ".cache", max_runs)


def remember(plan: Plan, overrides: Sequence[str], folders: Folders) -> None:
    """Keep the suite beside its records, so that a report needs nothing else."""
    root = folders.roots(plan.loaded.suite.name).store.root
    root.mkdir(parents=True, exist_ok=True)
    write_bytes(root / SUITE_FILE, plan.loaded.text.encode())
    write_bytes(root / RUN_FILE, json.dumps({"overrides": list(overrides)}, indent=2).encode())


def recalled(name: str, folders: Folders) -> Plan:
    """The plan of a suite that has run here, by its name."""
    root = folders.roots(name).store.root
    if not (root / SUITE_FILE).is_file():
        raise BenchError(unknown("run", name, names_of_runs(folders)) + f" (looked in {folders.results})")
    overrides: list[Any] = []
    if (root / RUN_FILE).is_file():
        overrides = json.loads((root / RUN_FILE).read_text())["overrides"]
    return plan_from_file(root / SUITE_FILE, overrides, folders)


def names_of_runs(folders: Folders) -> list[str]:
    return sorted(path.parent.name for path in folders.results.glob(f"*/{SUITE_FILE}"))


def plan_of(suite: str, overrides: Sequence[str], folders: Folders) -> Plan:
    """A path ends in .yaml or .yml; anything else is the name of a run."""
    if suite.endswith((".yaml", ".yml")) or Path(suite).is_file():
        return plan_from_file(Path(suite), overrides, folders)
    return recalled(suite, folders)
