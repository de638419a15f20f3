"""From what the person typed to a plan: by a suite's path, or by the name of one that has run here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import BenchError, unknown
from bench.execute.placement import count_gpus
from bench.execute.roots import Roots
from bench.plan.enumerate import MAX_RUNS, make_plan
from bench.plan.plan import Plan
from bench.plan.precision import Precision, precision_of
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


def plan_from_file(
    path: Path, overrides: Sequence[str], folders: Folders, max_runs: int = MAX_RUNS, precision: Precision | None = None
) -> Plan:
    """`precision`: what `auto` means; unset, what it meant when the suite last ran here, or would mean now."""
    loaded = load_suite(path, overrides)
    meant = precision or typed_for(loaded.suite.name, folders).precision or precision_of(on_gpu=count_gpus() > 0)
    return make_plan(loaded, folders.results / ".cache", max_runs, meant)


def remember(plan: Plan, overrides: Sequence[str], folders: Folders) -> None:
    """Keep the suite beside its records, so that a report needs nothing else."""
    root = folders.roots(plan.loaded.suite.name).store.root
    root.mkdir(parents=True, exist_ok=True)
    write_bytes(root / SUITE_FILE, plan.loaded.text.encode())
    typed = {
        "overrides": list(overrides),
        "suite": str(plan.loaded.path.absolute()),
        "precision": plan.loaded.suite.engine.precision,
    }
    write_bytes(root / RUN_FILE, (json.dumps(typed, indent=2) + "\n").encode())


@dataclass(frozen=True)
class Typed:
    """What was typed when the suite last ran."""

    overrides: tuple[str, ...] = ()
    suite: Path | None = None  # checkpoints that a suite names lie beside its file, not beside the copy of it
    precision: Precision | None = None  # what `auto` came to on the machine that ran it


def recalled(name: str, folders: Folders) -> Plan:
    """The plan of a suite that has run here, by its name."""
    known = names_of_runs(folders)
    if not known:
        raise BenchError(f"unknown run {name!r}: no suite has run here yet (looked in {folders.results})")
    if name not in known:
        raise BenchError(unknown("run", name, known) + f" (looked in {folders.results})")
    typed = typed_for(name, folders)
    loaded = load_suite(folders.roots(name).store.root / SUITE_FILE, typed.overrides)
    loaded = replace(loaded, path=typed.suite or loaded.path)
    return make_plan(loaded, folders.results / ".cache", NO_LIMIT, typed.precision or "fp32")


def typed_for(name: str, folders: Folders) -> Typed:
    path = folders.roots(name).store.root / RUN_FILE
    try:
        found = json.loads(path.read_bytes())
        suite = Path(found["suite"]) if "suite" in found else None
        overrides = tuple(str(one) for one in found["overrides"])
        return Typed(overrides, suite, "bf16" if found.get("precision") == "bf16" else "fp32")
    except FileNotFoundError:
        return Typed()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{path}: cannot be read ({error}); run the suite again to write it anew") from None


def names_of_runs(folders: Folders) -> list[str]:
    return sorted(path.parent.name for path in folders.results.glob(f"*/{SUITE_FILE}"))


def is_file_name(suite: str) -> bool:
    """A path ends in .yaml or .yml, or has a folder in it; anything else is the name of a run."""
    return suite.endswith((".yaml", ".yml")) or Path(suite).name != suite


def plan_of(suite: str, overrides: Sequence[str], folders: Folders) -> Plan:
    if is_file_name(suite):
        return plan_from_file(Path(suite), overrides, folders, NO_LIMIT)
    if overrides:
        raise BenchError(f"--set goes with a suite's file; the run {suite!r} keeps what it was started with")
    return recalled(suite, folders)


def ran_otherwise(suite: str, plan: Plan, folders: Folders) -> str:
    """A hint where a suite's file is no longer, or not yet, what last ran under its name; else ""."""
    name = plan.loaded.suite.name
    kept = folders.roots(name).store.root / SUITE_FILE
    if not is_file_name(suite) or not kept.is_file():
        return ""
    if kept.read_bytes() == plan.loaded.text.encode() and not typed_for(name, folders).overrides:
        return ""
    return f"{name} last ran from another text or with --set; give its name instead of the file to see that run"
