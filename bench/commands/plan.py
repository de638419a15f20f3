"""`bench plan`: what a run would do. Nothing is trained, downloaded or written."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Any

from bench.commands.output import as_json, say, table
from bench.commands.progress import read_progress, time_left
from bench.commands.suites import Folders
from bench.plan.plan import Cell, Plan
from bench.plan.spec import FitSpec, Job


def show_plan(plan: Plan, folders: Folders, json: bool) -> int:
    summary = summarize(plan, folders)
    if json:
        as_json(summary)
        return 0
    suite = plan.loaded.suite
    table(["task", "backbone", "strategies", "searched", "finals"], _rows(plan))
    spec = next(job.spec for job in plan.jobs.values() if isinstance(job.spec, FitSpec))
    how = f"{spec.search.folds} folds" if spec.search.folds else f"a hold-out of {spec.search.holdout:.0%}"
    say()
    say(f"{summary['cells']} cells; each searched with {suite.search.trials} trials ({suite.search.sampler}, {how}"
        f" on the first task), then trained {suite.repeats} times")
    say(f"{summary['trainings']} trainings in all, {summary['finished']} records are there, {left_in_words(summary)}")
    if summary["downloads"]:
        say(f"downloads: {', '.join(summary['downloads'])}")
    return 0


def _rows(plan: Plan) -> list[list[str]]:
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in plan.cells:
        groups.setdefault((cell.task, cell.backbone), []).append(cell)
    return [
        [*names, str(len(cells)), str(_distinct(c.searches for c in cells)), str(_distinct(c.finals for c in cells))]
        for names, cells in groups.items()
    ]


def _distinct(keys: Iterable[tuple[str, ...]]) -> int:
    """Strategies that come to the same recipe share their trainings."""
    return len(set(chain.from_iterable(keys)))


def left_in_words(summary: dict[str, Any]) -> str:
    if not summary["left"]:
        return "nothing is left"
    return f"{summary['left']} are left: {summary['time_left'] or 'no estimate before the first records'}"


def summarize(plan: Plan, folders: Folders) -> dict[str, Any]:
    progress = read_progress(plan, folders.roots(plan.loaded.suite.name))
    left = progress.left
    num_left = sum(left.values())
    return {
        "suite": plan.loaded.suite.name,
        "cells": len(plan.cells),
        "trainings": plan.num_trainings,
        "finished": plan.num_trainings - num_left,
        "left": num_left,
        "jobs": dict(Counter(job.kind for job in plan.jobs.values())),
        "downloads": sorted({_download(plan.jobs[key]) for key in left} - {""}),
        "time_left": time_left(progress),
    }


def _download(job: Job) -> str:
    weights = job.spec.backbone.weights
    return weights.identity if weights.origin == "hub" else ""
