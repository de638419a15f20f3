"""From what the person typed to a plan: by a suite's path, or by the name of one that has run here."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.commands.missing import explain
from bench.commands.output import note
from bench.datasets.base import DatasetFacts
from bench.errors import BenchError, MissingInputs, StoreError, unknown
from bench.execute.gpus import usable_gpus
from bench.execute.roots import Roots
from bench.places import cache_of
from bench.planning.enumerate import make_plan
from bench.planning.names import wrong_names
from bench.planning.plan import DataSource, Finds, Plan
from bench.planning.precision import PLAIN, Machine, machine_of
from bench.planning.stand_in import rehearsal
from bench.store import Scanned, atomic, sealed
from bench.store.atomic import write_bytes
from bench.suite.load import LoadedSuite, load_suite
from bench.suite.shipped import is_file_name, located

RUN_FILE = "run.json"  # the suite's text as last run, and what was typed beside it: one file, so that they fit
SUITE_FILE = "suite.yaml"  # a copy of the text for people; no command reads it where the other file is there


@dataclass(frozen=True)
class Folders:
    results: Path
    reports: Path

    def roots(self, suite: str) -> Roots:
        return Roots(self.results, suite)

    def report(self, suite: str) -> Path:
        return self.reports / f"{suite}.html"


@dataclass(frozen=True)
class How:
    """`machine`: what `precision: auto` is asked of; unset, as when the suite last ran here, or as it is now."""

    machine: Machine | None = None
    stand_in_for: tuple[str, ...] = ()  # what is missing, and to be replaced
    text: str | None = None  # of the suite, where it is no file


def plan_from_file(
    path: Path, overrides: Sequence[str], folders: Folders, how: How | None = None
) -> Plan:
    how = how or How()
    loaded = load_suite(path, overrides, how.text, also=wrong_names)
    if how.stand_in_for:
        loaded = rehearsal(loaded, how.stand_in_for)
    machine = how.machine or _machine_of_last_run(loaded.suite.name, folders) or machine_here()
    return make_plan(loaded, cache_of(folders.results), machine)


def _machine_of_last_run(name: str, folders: Folders) -> Machine | None:
    """A suite's file can be planned without it."""
    try:
        return typed_for(name, folders).machine
    except StoreError as error:
        note(f"{error}; planned for this machine meanwhile")
        return None


def machine_here(gpus: int | None = None) -> Machine:
    """`gpus`: how many are to be used; None: as there are."""
    found = usable_gpus()
    return machine_of(gpus != 0 and bool(found.names), found.capability)


def limited(plan: Plan, repeats: int | None) -> Plan:
    """The suite with as many repeats as a budget had room for; None: with all. What is told of it is about these."""
    suite = plan.loaded.suite
    if repeats is None or repeats >= suite.repeats:
        return plan
    left_out = (f"A budget of time had room for {repeats} of the suite's {suite.repeats} repeats, and this is about "
                "these alone: the clock chose how many, no score did.")
    loaded = replace(plan.loaded, suite=suite.model_copy(update={"repeats": repeats}), left_out=left_out)
    return replace(plan.repeats(repeats), loaded=loaded)


def remember(
    plan: Plan, overrides: Sequence[str], folders: Folders, stand_in_for: Collection[str] = (),
    repeats: int | None = None,
) -> None:  # fmt: skip
    """Keep the suite beside its records, so that a report needs nothing else. `repeats`: as `limited` has them."""
    root = folders.roots(plan.loaded.suite.name).store.root
    root.mkdir(parents=True, exist_ok=True)
    write_bytes(root / SUITE_FILE, plan.loaded.text.encode())
    typed = {
        "overrides": list(overrides),
        "suite": str(plan.loaded.path.absolute()),
        "suite_text": plan.loaded.text,
        "references": {one.name: one.text for one in plan.loaded.references},
        "machine": asdict(plan.machine),
        "stand_in_for": list(stand_in_for),
        "finds": asdict(plan.finds),
        "repeats": repeats,
    }
    write_bytes(root / RUN_FILE, sealed.seal((json.dumps(typed, indent=2) + "\n").encode()))


@dataclass(frozen=True)
class Typed:
    """What was typed when the suite last ran."""

    text: str | None = None  # of the suite; None: nothing is known
    references: dict[str, str] = field(default_factory=dict)  # texts of the files of published values that it names
    overrides: tuple[str, ...] = ()
    suite: Path | None = None  # checkpoints that a suite names lie beside its file, not beside the copy of it
    machine: Machine | None = None  # that ran it, as `precision: auto` sees it
    stand_in_for: tuple[str, ...] = ()
    finds: Finds = field(default_factory=Finds)
    repeats: int | None = None  # as `limited` has them


def recalled(name: str, folders: Folders, looks: bool = False) -> Plan:
    """The plan of a suite that has run here, by its name. `looks`: for the files that it names, which are to be read
    again; else it is enough to know what they came to then."""
    known = names_of_runs(folders)
    if not known:
        raise BenchError(f"unknown run {name!r}: no suite has run here yet (looked in {folders.results})")
    if name not in known:
        raise BenchError(unknown("run", name, known) + f" (looked in {folders.results})")
    typed = typed_for(name, folders)
    loaded = load_suite(folders.roots(name).store.root / SUITE_FILE, typed.overrides, typed.text, typed.references)
    loaded = replace(loaded, path=typed.suite or loaded.path)
    if typed.stand_in_for:
        loaded = rehearsal(loaded, typed.stand_in_for)
    finds = None if looks else typed.finds
    try:
        plan = make_plan(loaded, cache_of(folders.results), typed.machine or PLAIN, finds)
    except MissingInputs as error:
        raise BenchError(explain(error, loaded.path)) from error
    return limited(plan, typed.repeats)


def typed_for(name: str, folders: Folders) -> Typed:
    path = folders.roots(name).store.root / RUN_FILE
    try:
        found = sealed.unseal(path.read_bytes())
        if not isinstance(found["suite_text"], str):
            raise TypeError("suite_text is no text")
        return Typed(
            found["suite_text"], dict(found.get("references", {})), tuple(found["overrides"]), Path(found["suite"]),
            Machine(**found["machine"]), tuple(found["stand_in_for"]), _finds(found["finds"]),
            found.get("repeats"),
        )  # fmt: skip
    except FileNotFoundError:
        return Typed()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {atomic.explain(error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); run the suite again to write it anew") from None


def _finds(kept: dict[str, Any]) -> Finds:
    sources = {
        key: DataSource(one["options"], DatasetFacts(**one["facts"]))
        for key, one in kept["sources"].items()
    }
    return Finds(sources, dict(kept["weights"]), dict(kept.get("networks", {})), dict(kept.get("lists", {})))


def names_of_runs(folders: Folders) -> list[str]:
    check_readable(folders.results)
    return sorted(path.parent.name for path in folders.results.glob(f"*/{SUITE_FILE}"))


def check_readable(results: Path) -> None:
    """Looking for something by a pattern finds nothing in a folder that is closed."""
    try:
        next(results.iterdir(), None)
    except FileNotFoundError:
        pass  # nothing has run yet
    except OSError as error:
        raise StoreError(f"cannot read {results}: {atomic.explain(error)}") from error


def run_or_suite(typed: str, folders: Folders) -> str:
    """For looking ahead: a name is that of a run here, else of a suite."""
    return typed if typed in names_of_runs(folders) else str(located(Path(typed)))


def plan_of(suite: str, overrides: Sequence[str], folders: Folders) -> Plan:
    if is_file_name(suite):
        try:
            return plan_from_file(Path(suite), overrides, folders)
        except MissingInputs as error:
            loaded = load_suite(Path(suite), overrides)
            name = loaded.suite.name
            if name in names_of_runs(folders) and not overrides and not _ran_from_other_text(loaded, folders):
                return recalled(name, folders)  # what it found then is known, though it may be gone
            raise BenchError(explain(error, Path(suite))) from error
    if overrides:
        raise BenchError(f"--set goes with a suite's file; the run {suite!r} keeps what it was started with")
    return recalled(suite, folders)


def ran_otherwise(suite: str, plan: Plan, folders: Folders) -> str:
    """A hint where a suite's file is no longer, or not yet, what last ran under its name; else ""."""
    name = plan.loaded.suite.name
    if not is_file_name(suite) or name not in names_of_runs(folders) or not _ran_from_other_text(plan.loaded, folders):
        return ""
    return f"{name} last ran from another text or with --set; give its name instead of the file to see that run"


def reads_no_record(plan: Plan, roots: Roots, seen: Scanned) -> str:
    """Why a page of this plan would be empty though records of its name are there; else ""."""
    records = seen.own
    if not records or any(key in records for job in plan.jobs.values() for key in job.record_keys):
        return ""
    found = f"none of the {len(records)} records in {roots.store.root} is of this suite as it is planned now"
    finals = [record for record in records.values() if record.kind == "final"]
    if any(cell.splits for cell in plan.cells) and all(one.asked.data.split is None for one in finals):
        return f"{found}: they are of one shared test split; `test: {{resplit: false}}` in the suite reads them"
    return found


def _ran_from_other_text(loaded: LoadedSuite, folders: Folders) -> bool:
    try:
        typed = typed_for(loaded.suite.name, folders)
    except StoreError:  # told where the file was planned
        return False
    return typed.text != loaded.text or bool(typed.overrides)
