"""From what the person typed to a plan: by a suite's path, or by the name of one that has run here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, unknown
from bench.execute.roots import Roots
from bench.plan.enumerate import MAX_RUNS, make_plan
from bench.plan.plan import Plan
from bench.store.atomic import write_bytes
from bench.suite.load import load_suite

SUITE_FILE = "suite.yaml"  # the text as last run
RUN_FILE = "run.json"  # what was typed beside it
NO_LIMIT = 100_000  # trainings: looking at a suite starts none of them, but must end


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
    known = names_of_runs(folders)
    if not known:
        raise BenchError(f"unknown run {name!r}: no suite has run here yet (looked in {folders.results})")
    if name not in known:
        raise BenchError(unknown("run", name, known) + f" (looked in {folders.results})")
    return plan_from_file(folders.roots(name).store.root / SUITE_FILE, overrides_of(name, folders), folders, NO_LIMIT)


def overrides_of(name: str, folders: Folders) -> list[str]:
    """What was typed beside the suite when it last ran."""
    path = folders.roots(name).store.root / RUN_FILE
    try:
        found = json.loads(path.read_bytes())["overrides"]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{path}: cannot be read ({error}); run the suite again to write it anew") from None
    return [str(one) for one in found]


def names_of_runs(folders: Folders) -> list[str]:
    return sorted(path.parent.name for path in folders.results.glob(f"*/{SUITE_FILE}"))


def plan_of(suite: str, overrides: Sequence[str], folders: Folders) -> Plan:
    """A path ends in .yaml or .yml, or has a folder in it; anything else is the name of a run."""
    if suite.endswith((".yaml", ".yml")) or Path(suite).name != suite:
        return plan_from_file(Path(suite), overrides, folders, NO_LIMIT)
    if overrides:
        raise BenchError(f"--set goes with a suite's file; the run {suite!r} keeps what it was started with")
    return recalled(suite, folders)


def ran_otherwise(plan: Plan, folders: Folders) -> str:
    """A hint where a suite's file is no longer, or not yet, what last ran under its name; else ""."""
    name = plan.loaded.suite.name
    kept = folders.roots(name).store.root / SUITE_FILE
    if not kept.is_file() or kept == plan.loaded.path:
        return ""
    if kept.read_bytes() == plan.loaded.text.encode() and not overrides_of(name, folders):
        return ""
    return f"{name} last ran from another text or with --set; give its name instead of the file to see that run"
