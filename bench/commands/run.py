"""`bench run`: suite -> plan -> workers -> records -> table and report."""

import math
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.commands.budget import Budgeted, read_budget, seconds_of
from bench.commands.missing import explain, get
from bench.commands.output import as_json, note, say, show, width
from bench.commands.progress import Progress, read_progress, time_left
from bench.commands.suites import Folders, How, limited, machine_here, plan_from_file, remember
from bench.errors import INCOMPLETE, SIGNALLED, BenchError, MissingInputs, StoreError
from bench.execute.ahead import look_ahead, refuse_unfit, unfit_in_words
from bench.execute.gpus import in_words, usable_gpus
from bench.execute.ledger import Summary
from bench.execute.placement import Placement, choose_placement
from bench.execute.rerun import forget
from bench.execute.roots import Roots
from bench.execute.runner import run_plan
from bench.planning.plan import Plan
from bench.planning.precision import Machine
from bench.planning.shards import part_of, read_shard
from bench.planning.work import Estimator
from bench.provenance import describe
from bench.store.atomic import sweep
from bench.text import printable

if TYPE_CHECKING:
    from bench.analysis.frame import SuiteResults
    from bench.execute.ray_cluster import Cluster


# Columns that hold objects: the records have them in full.
HANDLES = ["predictions", "projection", "distance", "forecast"]


@dataclass(frozen=True)
class RunOptions:
    suite: Path
    folders: Folders
    overrides: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    dry_run: bool = False
    shard: str | None = None  # `3/16`
    budget: str | None = None  # `2h`
    rerun: str | None = None  # "failed" or "all"
    offline: bool = False
    stand_in: bool = False
    workers: int | None = None
    gpus: int | None = None
    threads: int | None = None
    timeout: float | None = None
    executor: Literal["local", "ray"] = "local"
    ray_address: str = "auto"
    json: bool = False
    text: str | None = None  # of the suite, where it is no file
    began: float = field(default_factory=time.monotonic)


def most_trainings(max_runs: int | None) -> tuple[str, ...]:
    """--max-runs, as the override that it is short for: it is remembered with the run."""
    return () if max_runs is None else (f"max_runs={max_runs}",)


def run(options: RunOptions) -> int:
    """The exit code. Everything that can be refused is refused before the first training."""
    if options.budget is not None:
        _check_budget(options.budget, options)
    whole, stand_in_for = plan_with_all_it_needs(options)
    plan = part_taken(whole, options)
    if options.dry_run:
        from bench.commands.plan import show_plan

        return show_plan(plan, options.folders, options.json)
    if options.executor == "local" and options.gpus != 0:
        _tell_of_gpus()
    roots = options.folders.roots(plan.loaded.suite.name)
    if options.budget is not None:
        summary, repeats = _train_within(whole, plan, options, stand_in_for)
        plan = plan.repeats(max(1, repeats))
        if repeats:
            remember(whole, options.overrides, options.folders, stand_in_for, repeats)
            whole = limited(whole, repeats)
    else:
        summary = train(whole, plan, options, stand_in_for)
    roots = replace(roots, seen=summary.seen)
    roots = replace(roots, seen=roots.look())
    progress = read_progress(whole, roots)
    own, left_to_others = replace(progress, plan=plan), 0
    if options.shard is not None:
        asked = replace(progress, plan=_selected(whole, options))
        left_to_others = asked.num_left - own.num_left
    if left_to_others:
        _tell_of_shard(own, left_to_others, options, summary)
    is_written = left_to_others > 0 or conclude(whole, roots, options, summary)
    _tell_of_end(summary)
    if summary.stopped_by is not None:
        return SIGNALLED + summary.stopped_by
    return 0 if is_written and _is_whole(own, roots) and not summary.failed else INCOMPLETE


def _tell_of_gpus() -> None:
    found = usable_gpus()
    if found.names:
        note(in_words(found.names))
    elif found.trouble:
        note(f"{found.trouble}; the CPU is used")


def part_taken(whole: Plan, options: RunOptions) -> Plan:
    """What of the suite this run is about."""
    asked = _selected(whole, options)
    return part_of(asked, read_shard(options.shard)) if options.shard is not None else asked


def _selected(whole: Plan, options: RunOptions) -> Plan:
    return whole.select(options.filters) if options.filters else whole


def _tell_of_shard(own: Progress, left_to_others: int, options: RunOptions, summary: Summary) -> None:
    """A page of what one shard has done would be a page of gaps."""
    planned = own.plan.num_trainings
    if options.json:
        as_json({"trainings": summary.trainings, "failed": summary.failed, "blocked": summary.blocked, "report": None,
                 "shard": options.shard, "left": own.num_left, "left_to_others": left_to_others})  # fmt: skip
        return
    say(f"shard {options.shard}: {planned - own.num_left} of {planned} records, {summary.trainings} trainings in this "
        f"run; {left_to_others} records are left to other shards, and the last one to end writes the page")


def _is_whole(progress: Progress, roots: Roots) -> bool:
    """As the disk says, not the ledger: all that was asked for has a record, and none of them went wrong, nor is
    contradicted by another of the suite."""
    left, blocked = progress.num_left, progress.blocked
    asked = f"of the {progress.plan.num_trainings} records asked for"
    if left > blocked:
        note(f"{left - blocked} {asked} are not in {roots.results}; run the same command again to make them")
    if blocked:
        note(f"{blocked} {asked} wait for a pretraining that went wrong; `run --rerun failed` tries it again")
    return not left and not progress.wrong


def _check_budget(budget: str, options: RunOptions) -> None:
    read_budget(budget)
    if options.shard is not None:
        raise BenchError("--budget goes without --shard: each shard would end with other repeats")
    if options.rerun is not None:
        raise BenchError("--budget goes without --rerun: forget the records first, with --rerun alone")


def _train_within(
    whole: Plan, plan: Plan, options: RunOptions, stand_in_for: tuple[str, ...]
) -> tuple[Summary, int]:
    """What was done, and how many repeats are whole."""
    assert options.budget is not None
    roots = options.folders.roots(plan.loaded.suite.name)
    placement = _placement(plan, roots, options)
    deadline = options.began + seconds_of(options.budget, placement)
    is_measured = bool(time_left(read_progress(plan, roots)))
    budgeted = Budgeted(
        plan, len(placement.devices), deadline,
        look=lambda part: read_progress(part, roots),
        train=lambda part: train(whole, part, options, stand_in_for, deadline),
        paces=look_ahead(plan, roots.cache, timed=not is_measured).seconds,
    )  # fmt: skip
    return budgeted.run()


def train(
    whole: Plan, plan: Plan, options: RunOptions, stand_in_for: tuple[str, ...] = (), deadline: float = math.inf
) -> Summary:
    """What is missing of `plan`, which may be a part of the `whole` that is remembered."""
    roots = options.folders.roots(plan.loaded.suite.name)
    placement = replace(_placement(plan, roots, options), deadline=deadline)
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
    machine = _machine(options)

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


def _machine(options: RunOptions) -> Machine:
    if options.executor == "local":
        return machine_here(options.gpus)
    return _cluster(options).machine(options.gpus)


def _placement(plan: Plan, roots: Roots, options: RunOptions) -> Placement:
    workers, gpus, threads = options.workers, options.gpus, options.threads
    if options.executor == "local":
        return choose_placement(workers, gpus, threads, options.timeout)
    placement = _cluster(options).placement(workers, gpus, threads)
    from bench.execute.parcels import Parcels
    from bench.execute.ray_executor import RayPool

    return replace(placement, timeout=options.timeout, executor=RayPool(Parcels(plan, roots), workers or 1))


def _cluster(options: RunOptions) -> "Cluster":
    try:
        from bench.execute.ray_cluster import join
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise BenchError("--executor ray needs Ray: pip install 'transfer-bench[ray]'") from None
    return join(options.ray_address)


def conclude(plan: Plan, roots: Roots, options: RunOptions, summary: Summary) -> bool:
    """Table and report of the whole suite, also after an interruption or failures: what is finished is shown. Whether
    the report could be written."""
    from bench.analysis.join import collect
    from bench.analysis.tables import terminal_table
    from bench.report import replace_page
    from bench.report.facts import Facts
    from bench.report.page import build

    results = collect(plan, roots.store, roots.shared, roots.seen)
    facts = Facts.of(results)
    report: Path | None = options.folders.report(results.name)
    try:
        replace_page(options.folders.report(results.name), build(facts))
    except StoreError as error:
        note(str(error))
        report = None
    finals = results.every_final
    planned, finished = len(finals), int((finals["status"] == "ok").sum())
    if options.json:
        as_json(_json_summary(summary, report, results))
    else:
        show(terminal_table(results.name, _printable(facts.summary), width()))
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
    return report is not None


def _tell_of_end(summary: Summary) -> None:
    if summary.blocked:
        note(f"{summary.blocked} jobs were left out because the pretraining they need has failed")
    if summary.stopped_by is not None:
        note("stopped; run the same command again to go on")


def _printable(summary: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With names that leave the terminal alone."""
    return [row | {name: printable(row[name]) for name in ("dataset", "backbone", "strategy")} for row in summary]


def _json_summary(summary: Summary, report: Path | None, results: "SuiteResults") -> dict[str, Any]:
    return {
        "trainings": summary.trainings,
        "failed": summary.failed,
        "refused": sum(results.refused.values()),
        "blocked": summary.blocked,
        "report": str(report) if report is not None else None,
        "finals": results.every_final.drop(columns=HANDLES).to_dict("records"),
    }
