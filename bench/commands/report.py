"""`bench report`: records -> HTML. Reads only; the same records give the same bytes."""

from bench.commands.output import as_json, note, say
from bench.commands.suites import Folders, names_of_runs, plan_of, ran_otherwise, reads_no_record
from bench.errors import BenchError, NothingSelected


def write_reports(suite: str | None, folders: Folders, json: bool) -> int:
    suites = [suite] if suite is not None else names_of_runs(folders)
    if not suites:
        raise NothingSelected(f"no suite has run here yet (looked in {folders.results})")
    written = []
    exit_code = 0
    for one in suites:
        try:
            written.append(_write(one, folders))
        except BenchError as error:
            if suite is not None:
                raise
            note(f"{one}: no report: {next(iter(str(error).splitlines()), '')}")  # the others get theirs
            exit_code = max(exit_code, error.exit_code)
    if json:
        as_json(written)
    else:
        for path in written:
            say(f"report: {path}")
    return exit_code


def _write(suite: str, folders: Folders) -> str:
    from bench.analysis.join import collect
    from bench.report import write

    plan = plan_of(suite, (), folders)
    if hint := ran_otherwise(suite, plan, folders):
        note(hint)
    name = plan.loaded.suite.name
    roots = folders.roots(name)
    if folders.report(name).exists() and (reason := reads_no_record(plan, roots.store)):
        raise BenchError(f"{folders.report(name)} stays as it is: {reason}")
    return str(write(collect(plan, roots.store, roots.shared), folders.report(name)))
