"""`bench status`: how far a run is, what went wrong, and who is at work on it. Reads only."""

import fcntl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.commands.output import as_json, note, say, table
from bench.commands.plan import left_in_words
from bench.commands.progress import Progress, read_progress, time_left
from bench.commands.suites import Folders, plan_of, ran_otherwise
from bench.errors import INCOMPLETE
from bench.execute.roots import Roots
from bench.planning.agreement import REFUSED
from bench.planning.plan import Plan
from bench.planning.titles import titles_of
from bench.store import Record
from bench.store.record import went_wrong

MANY = 20  # lines of one sort before "and N more"


def show_status(suite: str, folders: Folders, json: bool) -> int:
    plan = plan_of(suite, (), folders)
    roots = folders.roots(plan.loaded.suite.name)
    status = summarize(read_progress(plan, roots), roots)
    if hint := ran_otherwise(suite, plan, folders):
        note(hint)
    if json:
        as_json(status)
    else:
        _print(status)
    return INCOMPLETE if status["went_wrong"] else 0


def summarize(progress: Progress, roots: Roots) -> dict[str, Any]:
    plan = progress.plan
    titles = _titles(plan, {record.key for record in progress.wrong})
    num_left = sum(progress.left.values())
    return {
        "suite": plan.loaded.suite.name,
        "complete": not num_left,
        "trainings": plan.num_trainings,
        "finished": plan.num_trainings - num_left,
        "left": num_left,
        "time_left": time_left(progress),
        "blocked": progress.blocked,
        "pretrainings": _count([key for key, job in plan.jobs.items() if job.kind == "pretrain"], progress),
        "tasks": _tasks(progress),
        "went_wrong": [
            {"key": r.key, "kind": r.kind, "status": r.status, "title": titles[r.key], "error": _first_line(r)}
            for r in progress.wrong
        ],
        "damaged": [{"file": str(damaged.path), "reason": damaged.reason} for damaged in progress.damaged],
        "running": _running(plan, roots),
    }


def _tasks(progress: Progress) -> list[dict[str, Any]]:
    plan = progress.plan
    searches: dict[str, set[str]] = {}
    finals: dict[str, set[str]] = {}
    for cell in plan.cells:
        searches.setdefault(cell.task, set()).update(cell.searches)
        finals.setdefault(cell.task, set()).update(cell.finals)
    return [
        {
            "task": task,
            "trials": _trials([key for one in searches[task] for key in plan.jobs[one].record_keys], progress),
            "finals": _count(finals[task], progress),
        }
        for task in searches
    ]


def _trials(keys: list[str], progress: Progress) -> dict[str, int]:
    found = [progress.records[key] for key in set(keys) if key in progress.records]
    return {**_count(keys, progress), "left_early": sum(record.left_early is not None for record in found)}


def _count(keys: Iterable[str], progress: Progress) -> dict[str, int]:
    planned = set(keys)
    found = [progress.records[key] for key in planned if key in progress.records]
    return {"finished": len(found), "planned": len(planned), "went_wrong": sum(map(went_wrong, found))}


def _titles(plan: Plan, wanted: set[str]) -> dict[str, str]:
    """Of records."""
    found = {}
    for key, title in titles_of(plan).items() if wanted else ():
        job = plan.jobs[key]
        for number, one in enumerate(job.record_keys):
            if one in wanted:
                found[one] = f"{title} · trial {number}" if job.kind == "search" else title
    return found


def _running(plan: Plan, roots: Roots) -> list[str]:
    """Titles of the jobs that runners are at."""
    places = [store.root / "locks" for store in (roots.store, roots.shared)]
    there = {path.stem for place in places if place.is_dir() for path in place.iterdir()}
    held = [key for key in plan.jobs if key in there and _is_held(places, key)]
    titles = titles_of(plan) if held else {}
    return [titles[key] for key in held]


def _first_line(record: Record) -> str:
    return next(iter((record.error or "").splitlines()), "")


def _is_held(places: list[Path], key: str) -> bool:
    """Whether a runner is at this job. The look itself is a shared lock for an instant, which a runner that comes by
    just then takes for another runner's, and tries again."""
    for place in places:
        try:
            with Path(place, f"{key}.lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # no such lock, or a file system that has none
            continue
    return False


def _print(status: dict[str, Any]) -> None:
    say(f"{status['suite']}: {status['finished']} of {status['trainings']} trainings finished, {left_in_words(status)}")
    say()
    table(["task", "trials", "finals", "went wrong"], [
        [row["task"], _of(row["trials"]), _of(row["finals"]), str(_wrong(row["trials"], row["finals"]))]
        for row in status["tasks"]
    ])
    if status["pretrainings"]["planned"]:
        say(f"pretrainings: {_of(status['pretrainings'])}")
    if status["running"]:
        _listing(f"{len(status['running'])} jobs are being worked on:", status["running"])
    elif not status["complete"]:
        say("incomplete, and nobody is working on it; `python -m bench run` goes on where it stopped")
    if status["went_wrong"]:
        lines = [f"{one['key'][:8]}  {one['status']}  {one['title']}: {one['error']}" for one in status["went_wrong"]]
        refused = all(one["error"].startswith(REFUSED) for one in status["went_wrong"])
        more = "" if refused else "`python -m bench show KEY` says more where a record is not refused, "
        _listing(f"{len(lines)} went wrong ({more}`run --rerun failed` tries again):", lines)
    if status["blocked"]:
        say(f"{status['blocked']} trainings wait for a pretraining that went wrong")
    if status["damaged"]:
        lines = [f"{one['file']}: {one['reason']}" for one in status["damaged"]]
        _listing(f"{len(lines)} damaged files, counted as absent:", lines)


def _listing(title: str, lines: list[str]) -> None:
    say()
    say(title)
    for line in lines[:MANY]:
        say(f"  {line}")
    if len(lines) > MANY:
        say(f"  and {len(lines) - MANY} more (--json has them all)")


def _of(count: dict[str, int]) -> str:
    early = f" ({count['left_early']} left early)" if count.get("left_early") else ""
    return f"{count['finished']} of {count['planned']}{early}"


def _wrong(*counts: dict[str, int]) -> int:
    return sum(count["went_wrong"] for count in counts)
