"""`bench plan`: what a run would do. Nothing is trained, downloaded or written."""

from collections import Counter
from typing import Any

from bench.commands.output import as_json, say, table
from bench.commands.suites import Folders
from bench.execute.display import duration
from bench.execute.roots import finished_jobs
from bench.plan.plan import Plan
from bench.plan.spec import FitSpec, Job
from bench.plan.work import Estimator
from bench.provenance import num_cores
from bench.store import Record, Store


def show_plan(plan: Plan, folders: Folders, json: bool) -> int:
    summary = summarize(plan, folders)
    if json:
        as_json(summary)
        return 0
    suite = plan.loaded.suite
    axes = {axis: list(dict.fromkeys(getattr(cell, axis) for cell in plan.cells)) for axis in ("task", "backbone")}
    table(["task", "backbone", "strategies", "searched", "finals"], [
        [task, backbone, *_counts(plan, task, backbone)]
        for task in axes["task"] for backbone in axes["backbone"] if any(_counts(plan, task, backbone))
    ])
    spec = next(job.spec for job in plan.jobs.values() if isinstance(job.spec, FitSpec))
    how = f"{spec.search.folds} folds" if spec.search.folds else f"a hold-out of {spec.search.holdout:.0%}"
    say()
    say(f"{summary['cells']} cells; each searched with {suite.search.trials} trials ({suite.search.sampler}, {how}"
        f" on the first task), then trained {suite.repeats} times")
    say(f"{summary['trainings']} trainings in all, {summary['finished']} records are there, "
        f"{summary['left']} are left: {summary['time_left'] or 'no estimate before the first records'}")
    if summary["downloads"]:
        say(f"downloads: {', '.join(summary['downloads'])}")
    return 0


def _counts(plan: Plan, task: str, backbone: str) -> list[str]:
    cells = [cell for cell in plan.cells if cell.task == task and cell.backbone == backbone]
    searches = {key for cell in cells for key in cell.searches}
    return [str(len(cells)), str(len(searches)), str(len({key for cell in cells for key in cell.finals}))]


def summarize(plan: Plan, folders: Folders) -> dict[str, Any]:
    roots = folders.roots(plan.loaded.suite.name)
    done = finished_jobs(plan, roots)
    records, _ = roots.store.scan()
    left = [job for key, job in plan.jobs.items() if key not in done]
    missing = {job.key: sum(key not in records for key in job.record_keys) for job in left}
    return {
        "suite": plan.loaded.suite.name,
        "cells": len(plan.cells),
        "trainings": plan.num_trainings,
        "finished": plan.num_trainings - sum(missing.values()),
        "left": sum(missing.values()),
        "jobs": dict(Counter(job.kind for job in plan.jobs.values())),
        "downloads": sorted({_download(job) for job in left} - {""}),
        "time_left": _time_left(left, missing, roots.store),
    }


def _download(job: Job) -> str:
    weights = job.spec.backbone.weights
    return weights.identity if weights.origin == "hub" else ""


def _time_left(left: list[Job], missing: dict[str, int], store: Store) -> str:
    """From the speed of this suite's own records, spread over the cores; other hardware would be a guess."""
    records, _ = store.scan()
    estimator = Estimator()
    speed = _speed(list(records.values()))
    if speed is None or not left:
        return "" if left else "nothing"
    seconds = sum(estimator.work(job) * missing[job.key] for job in left) / speed / num_cores()
    return f"about {duration(seconds)} on this machine"


def _speed(records: list[Record]) -> float | None:
    """Images forward and backward per second of one worker, in forward passes."""
    samples = sum(r.cost["logical"]["samples"] for r in records if "logical" in r.cost)
    seconds = sum(r.cost["measured"]["seconds"] for r in records if "measured" in r.cost)
    return 3 * samples / seconds if seconds else None
