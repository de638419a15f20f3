"""`bench report`: records -> HTML. Reads only; the same records give the same bytes."""

from pathlib import Path

from bench.commands.endings import ending
from bench.commands.output import as_json, note, say
from bench.commands.suites import Folders, names_of_runs, plan_of, ran_otherwise, reads_no_record
from bench.errors import FAULT, INCOMPLETE, BenchError, NothingSelected


def write_reports(suite: str | None, folders: Folders, figures: Path | None, json: bool) -> int:
    """`figures`: a folder that gets the figures of all pages as files."""
    suites = [suite] if suite is not None else names_of_runs(folders)
    if not suites:
        raise NothingSelected(f"no suite has run here yet (looked in {folders.results})")
    written = []
    exit_code = 0
    for one in suites:
        try:
            written.append(_write(one, folders, figures))
        except Exception as error:  # the others get theirs
            if suite is not None:
                raise
            said, code = ending(error)
            note(f"{one}: no report: {next(iter(said.splitlines()), '')}")
            exit_code = max(exit_code, FAULT if code == FAULT else INCOMPLETE)
    if json:
        as_json(written)
    else:
        for path in written:
            say(f"report: {path}")
        if figures is not None:
            say(f"figures: {figures}")
    return exit_code


def _write(suite: str, folders: Folders, figures: Path | None) -> str:
    from bench.analysis.join import collect
    from bench.report import write

    plan = plan_of(suite, (), folders)
    if hint := ran_otherwise(suite, plan, folders):
        note(hint)
    name = plan.loaded.suite.name
    roots = folders.roots(name)
    seen = roots.look()
    if folders.report(name).exists() and (reason := reads_no_record(plan, roots, seen)):
        raise BenchError(f"{folders.report(name)} stays as it is: {reason}")
    results = collect(plan, roots.store, roots.shared, seen)
    del seen  # a third of the memory, where there are very many
    return str(write(results, folders.report(name), figures=figures))
