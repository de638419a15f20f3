"""`bench report`: records -> HTML. Reads only; the same records give the same bytes."""

from bench.commands.output import as_json, say
from bench.commands.suites import Folders, names_of_runs, plan_of
from bench.errors import NothingSelected


def write_reports(suite: str | None, folders: Folders, json: bool) -> int:
    from bench.analysis.join import collect
    from bench.report import write

    suites = [suite] if suite is not None else names_of_runs(folders)
    if not suites:
        raise NothingSelected(f"no suite has run here yet (looked in {folders.results})")
    written = []
    for one in suites:
        plan = plan_of(one, (), folders)
        name = plan.loaded.suite.name
        roots = folders.roots(name)
        written.append(str(write(collect(plan, roots.store, roots.shared), folders.report(name))))
    if json:
        as_json(written)
    else:
        for path in written:
            say(f"report: {path}")
    return 0
