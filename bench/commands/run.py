"""`bench run`: suite -> plan -> workers -> records -> table and report."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.commands.missing import explain, get
from bench.commands.output import as_json, note, say, show, width
from bench.commands.progress import read_progress
from bench.commands.suites import Folders, How, machine_here, plan_from_file, remember
from bench.errors import INCOMPLETE, SIGNALLED, BenchError, MissingInputs, StoreError
from bench.execute.ahead import look_ahead, refuse_unfit, unfit_in_words
from bench.execute.ledger import Summary
from bench.execute.placement import choose_placement
from bench.execute.rerun import forget
from bench.execute.roots import Roots
from bench.execute.runner import run_plan
from bench.planning.plan import Plan
from bench.planning.work import Estimator
from bench.provenance import describe
from bench.store.atomic import sweep
from bench.text import printable

if TYPE_CHECKING:
    from bench.analysis.frame import SuiteResults


# Columns that hold objects: the records have them in full.
HANDLES = ["predictions", "projection", "distance", "forecast"]


@dataclass(frozen=True)
class RunOptions:
    suite: Path
    folders: Folders
    overrides: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    dry_run: bool = False
    rerun: str | None = None  # "failed" or "all"
    offline: bool = False
    stand_in: bool = False
    workers: int | None = None
    gpus: int | None = None
    threads: int | None = None
    timeout: float | None = None
    json: bool = False
    text: str | None = None  # of the suite, where it is no file


def most_trainings(max_runs: int | None) -> tuple[str, ...]:
    """--max-runs, as the override that it is short for: it is remembered with the run."""
    return () if max_runs is None else (f"max_runs={max_runs}",)


def run(options: RunOptions) -> int:
    """The exit code. Everything that can be refused is refused before the first training."""
    whole, stand_in_for = plan_with_all_it_needs(options)
    plan = whole.select(options.filters) if options.filters else whole
    if options.dry_run:
        from bench.commands.plan import show_plan

        return show_plan(plan, options.folders, options.json)
    summary = train(whole, plan, options, stand_in_for)
    roots = replace(options.folders.roots(plan.loaded.suite.name), seen=summary.seen)
    roots = replace(roots, seen=roots.look())
    is_written = conclude(whole, roots, options, summary)
    if summary.stopped_by is not None:
        return SIGNALLED + summary.stopped_by
    is_whole = _is_whole(whole, plan, roots)
    return 0 if is_written and is_whole and not summary.failed else INCOMPLETE


def _is_whole(whole: Plan, plan: Plan, roots: Roots) -> bool:
    """As the disk says, not the ledger: all that was asked for has a record, and none of them went wrong, nor is
    contradicted by one of the `whole` suite."""
    progress = replace(read_progress(whole, roots), plan=plan)
    left, blocked = sum(progress.left.values()), progress.blocked
    asked = f"of the {plan.num_trainings} records asked for"
    if left > blocked:
        note(f"{left - blocked} {asked} are not in {roots.results}; run the same command again to make them")
    if blocked:
        note(f"{blocked} {asked} wait for a pretraining that went wrong; `run --rerun failed` tries it again")
    return not left and not progress.wrong


def train(whole: Plan, plan: Plan, options: RunOptions, stand_in_for: tuple[str, ...] = ()) -> Summary:
    """What is missing of `plan`, which may be a part of the `whole` that is remembered."""
    placement = choose_placement(options.workers, options.gpus, options.threads, options.timeout)
    roots = options.folders.roots(plan.loaded.suite.name)
    for store in (roots.store, roots.shared):
        store.check_writable()
    sweep(roots.cache)
    ahead = look_ahead(plan, roots.cache, timed=False)
    refuse_unfit(plan, ahead)
    for line in unfit_in_words(ahead):
        note(line)
    remember(whole, options.overrides, options.folders, stand_in_for)
    if options.rerun is not None:
        looked = replace(roots, seen=roots.look())
        if not forget(whole, plan, looked, everything=options.rerun == "all"):
            roots = looked
    stood_in = {"stand_in": list(plan.loaded.stand_ins)} if plan.loaded.stand_ins else {}
    return run_plan(plan, roots, Estimator.of(plan).work, placement, {**describe(), **stood_in})


def plan_with_all_it_needs(options: RunOptions) -> tuple[Plan, tuple[str, ...]]:
    """And what of it embedded things stand in for. What is missing is fetched where there is a network."""
    if options.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # read by the hub's client when it is imported
    machine = machine_here(options.gpus)

    def made(stand_in_for: tuple[str, ...] = ()) -> Plan:
        how = How(machine, stand_in_for, options.text)
        return plan_from_file(options.suite, options.overrides, options.folders, how)

    try:
        return made(), ()
    except MissingInputs as error:
        if options.stand_in:
            stand_in_for = tuple(one.what for one in error.missing)
            return made(stand_in_for), stand_in_for
        if options.offline or options.dry_run:
            raise BenchError(explain(error, options.suite)) from error
        get(error, options.suite)
        return made(), ()


def conclude(plan: Plan, roots: Roots, options: RunOptions, summary: Summary) -> bool:
    """Table and report of the whole suite, also after an interruption or failures: what is finished is shown. Whether
    the report could be written."""
    from bench.analysis.join import collect
    from bench.analysis.tables import terminal_table
    from bench.report import write

    results = collect(plan, roots.store, roots.shared, roots.seen)
    report: Path | None = options.folders.report(results.name)
    try:
        write(results, options.folders.report(results.name))
    except StoreError as error:
        note(str(error))
        report = None
    finals = results.every_final
    planned, finished = len(finals), int((finals["status"] == "ok").sum())
    if options.json:
        as_json(_json_summary(summary, report, results))
    else:
        show(terminal_table(_printable(results), width()))
        for line in results.overlaps:
            note(line)
        wrong = summary.failed + sum(results.refused.values())
        unfit = int((finals["status"] == "not_applicable").sum())
        say(f"{finished} of {planned} results, {summary.trainings} trainings in this run"
            + (f", {unfit} not applicable" if unfit else "")
            + (f", {wrong} went wrong" if wrong else ""))
        if report is not None:
            say(f"report: {report}")
    for line in results.refusals:
        note(line)
    if summary.blocked:
        note(f"{summary.blocked} jobs were left out because the pretraining they need has failed")
    if summary.stopped_by is not None:
        note("stopped; run the same command again to go on")
    return report is not None


def _printable(results: "SuiteResults") -> "SuiteResults":
    """With names that leave the terminal alone."""
    names = {axis: results.finals[axis].map(printable) for axis in ("dataset", "backbone", "strategy")}
    return replace(results, finals=results.finals.assign(**names))


def _json_summary(summary: Summary, report: Path | None, results: "SuiteResults") -> dict[str, Any]:
    return {
        "trainings": summary.trainings,
        "failed": summary.failed,
        "refused": sum(results.refused.values()),
        "blocked": summary.blocked,
        "report": str(report) if report is not None else None,
        "finals": results.every_final.drop(columns=HANDLES).to_dict("records"),
    }
