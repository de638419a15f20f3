"""What a gate leaves behind: lines on the terminal, files for CI, the pages, and this night in the history."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.output import as_json, note, say, width
from bench.commands.suites import Folders
from bench.errors import INCOMPLETE, REGRESSED, BenchError
from bench.gate.verdict import GateResult
from bench.store.atomic import write_bytes

if TYPE_CHECKING:
    from bench.execute.roots import Roots
    from bench.gate.baseline import Baseline
    from bench.gate.tonight import Tonight
    from bench.planning.plan import Plan

SUMMARY = "GITHUB_STEP_SUMMARY"  # the file that GitHub shows beneath a step


@dataclass(frozen=True)
class Outputs:
    history: Path  # folder
    keep: bool = True  # this night in the history
    junit: Path | None = None
    github: bool = False
    json: bool = False
    verbose: bool = False


def tell(
    result: GateResult, tonight: "Tonight", accepted: "Baseline | None", about: "tuple[Plan, Roots, Folders, Outputs]"
) -> int:
    """The exit code. Where one output cannot be written, the others are, and a regression is still one. `about`: the
    roots hold what was seen of the records."""
    plan, roots, folders, outputs = about
    told: list[Callable[[], None]] = [
        lambda: _keep(tonight, outputs),
        lambda: _junit(result, outputs),
        lambda: _github(result, outputs),
        lambda: _print(result, outputs),
        lambda: _note_pages([_report(plan, roots, folders, result)]),
        lambda: _note_pages(trend(tonight.suite, folders, outputs.history, accepted)),
    ]
    is_whole = True
    for output in told:
        try:
            output()
        except BenchError as error:
            note(str(error))
            is_whole = False
    return result.exit_code if is_whole or result.exit_code == REGRESSED else INCOMPLETE


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _keep(tonight: "Tonight", outputs: Outputs) -> None:
    """A night without any result is none."""
    from bench.gate import history

    if outputs.keep and any(cell.rows for cell in tonight.cells):
        history.keep(outputs.history, tonight, now())


def _junit(result: GateResult, outputs: Outputs) -> None:
    from bench.gate.outputs.junit import junit

    if outputs.junit is not None:
        write_bytes(outputs.junit, junit(result).encode())


def _print(result: GateResult, outputs: Outputs) -> None:
    if outputs.json:
        from bench.gate.outputs.plain import as_json as told

        as_json(told(result))
        return
    from bench.gate.outputs.terminal import lines

    for line in lines(result, width(), outputs.verbose):
        say(line)


def _note_pages(pages: list[Path]) -> None:
    for page in pages:
        note(f"report: {page}")


def _report(plan: "Plan", roots: "Roots", folders: Folders, result: GateResult) -> Path:
    from bench.analysis.join import collect
    from bench.report import write

    results = collect(plan, roots.store, roots.shared, roots.seen)
    return write(results, folders.report(results.name), result)


def trend(suite: str, folders: Folders, history: Path, accepted: "Baseline | None") -> list[Path]:
    """A page of the nights, once there are two."""
    from bench.gate.history import nights
    from bench.gate.trend import series_of
    from bench.report import write_trend

    kept = nights(history, suite)
    for line in kept.damaged:
        note(line)
    if len(kept.nights) < 2:
        return []
    return [write_trend(suite, series_of(kept.nights, accepted), folders.reports / f"{suite}.trend.html")]


def _github(result: GateResult, outputs: Outputs) -> None:
    """Workflow commands are read from the step's output, and must begin their lines."""
    if not outputs.github:
        return
    from bench.gate.outputs.github import annotations, append_summary, summary

    for line in annotations(result):
        say(line)
    if path := os.environ.get(SUMMARY):
        append_summary(Path(path), summary(result))

