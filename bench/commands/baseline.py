"""`bench baseline accept`: tonight's results become what later nights are held against; `bench baseline history`: the
nights that were kept.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.analysis.words import plural
from bench.commands.gate import baseline_file, chosen
from bench.commands.gate_outputs import now, trend
from bench.commands.measure import planned
from bench.commands.output import as_json, note, say, table
from bench.commands.run import RunOptions
from bench.commands.suites import Folders
from bench.errors import BenchError
from bench.gate.accept import ALLOWANCES, Before, baseline_of

if TYPE_CHECKING:
    from bench.gate.baseline import Baseline

MOVED = 1e-9  # of a score, beyond rounding


@dataclass(frozen=True)
class AcceptOptions:
    run: RunOptions
    baseline: Path | None = None
    allow: tuple[str, ...] = ()
    reuse: bool = False


def accept(options: AcceptOptions) -> int:
    """Runs what this code has not measured yet, and writes the file."""
    from bench.gate import baseline
    from bench.gate.pairs import Rule

    allow = chosen("--allow", options.allow, ALLOWANCES)
    asked = planned(options.run, options.reuse)
    path = baseline_file(asked.suite, options.run.folders.results, options.baseline)
    _refuse_to_lose(path, asked.suite)
    asked.trained()
    before = _read(path)
    gate = asked.plan.loaded.suite.gate
    follows = Before(before, Rule(gate.margin, gate.must_see)) if before is not None else None
    made = baseline_of(asked.plan, asked.records, now(), allow, follows)
    path.parent.mkdir(parents=True, exist_ok=True)
    baseline.write(path, made)
    say(f"{path}: {len(made.cells())} cells, {len(made.rows)} results; {_moved(before, made)}; {_lineage(made)}")
    return 0


def _refuse_to_lose(path: Path, suite: str) -> None:
    """A file that is no baseline of this suite is somebody's."""
    if not path.exists():
        return
    try:
        found = json.loads(path.read_bytes())["suite"]
    except (OSError, ValueError, KeyError, TypeError):
        raise BenchError(f"{path}: no baseline, so it is not written over; remove it, or give another file") from None
    if found != suite:
        raise BenchError(f"{path}: the baseline of {found!r}, so it is not written over; give another file")


def _read(path: Path) -> "Baseline | None":
    from bench.gate import baseline

    try:
        found = baseline.read(path)
    except baseline.NoBaseline:
        return None
    except baseline.BadBaseline as error:
        note(f"{error}; none of it is compared or handed on")
        return None
    if not found.is_sealed:
        note(f"{path}: {baseline.NO_SEAL}")
    return found


def _moved(before: "Baseline | None", after: "Baseline") -> str:
    if before is None:
        return "there was none before"
    old = {(row.cell, row.repeat): row.score for row in before.rows}
    new = {(row.cell, row.repeat): row.score for row in after.rows}
    both = old.keys() & new.keys()
    moved = sum(abs(old[one] - new[one]) > MOVED for one in both)
    return f"{moved} of {len(both)} scores moved, {len(new) - len(both)} are new, {len(old) - len(both)} are gone"


def _lineage(made: "Baseline") -> str:
    goes_on = len({row.cell for row in made.rows if row.first is not None})
    anew = len(made.cells()) - goes_on
    old = f"{plural(goes_on, 'cell')} held against the scores of {made.since} too" if goes_on else ""
    return ", ".join(filter(None, [old, f"{plural(anew, 'cell')} a new lineage" if anew else ""]))


def history(suite: str, folders: Folders, place: Path, is_json: bool) -> int:
    """`suite`: its name."""
    from bench.gate.history import nights
    from bench.gate.trend import series_of, stepped

    kept = nights(place, suite)
    for line in kept.notes:
        note(line)
    if not kept.nights:
        known = sorted(path.name for path in place.iterdir() if path.is_dir()) if place.is_dir() else []
        raise BenchError(f"no nights of {suite!r} in {place}" + (f"; there are: {', '.join(known)}" if known else ""))
    steps = stepped(series_of(kept.nights))
    if is_json:
        as_json({
            "nights": [
                {"file": str(path), "when": night.accepted, "commit": night.commit, "code": night.code,
                 "environment": str(night.environment), "results": len(night.rows)}
                for path, night in zip(kept.files, kept.nights, strict=True)
            ],
            "steps": [{"cell": str(cell), "points": points} for cell, points in steps.items()],
        })  # fmt: skip
        return 0
    rows = [
        [night.accepted, (night.commit or "no commit")[:12] + (" + changes" if night.dirty else ""),
         str(len(night.cells())), str(len(night.rows)), str(night.environment)]
        for night in kept.nights
    ]  # fmt: skip
    table(["when", "commit", "cells", "results", "environment"], rows)
    for cell, points in steps.items():
        say(f"a step of {points:.1f} points: {cell}")
    for page in trend(suite, folders, place, _read(baseline_file(suite, folders.results))):
        say(f"report: {page}")
    return 0
