"""`bench plan`: what a run would do. Nothing is trained, downloaded or written."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any

from bench.analysis.words import plural
from bench.commands.output import as_json, say, table
from bench.commands.progress import guessed, read_progress, time_left
from bench.commands.suites import Folders
from bench.execute.ahead import look_ahead, refuse_unfit, unfit_in_words
from bench.execute.ingest import images_at_hand
from bench.modalities import MODALITIES, example_of
from bench.planning.exams import examine, refuse_overlaps, sentences
from bench.planning.halving import rung_shares, rungs
from bench.planning.pitfalls import in_words
from bench.planning.plan import Cell, Plan
from bench.planning.precision import ASKED, FULL
from bench.planning.work import changes_anew
from bench.spec.job import FitSpec
from bench.spec.refs import Training, arithmetic_key


def show_plan(plan: Plan, folders: Folders, json: bool) -> int:
    if not plan.cells:  # a shard may have none
        if json:
            as_json({"suite": plan.loaded.suite.name, "cells": 0, "trainings": plan.num_trainings})
        else:
            say(f"no cell; pretrainings: {plan.num_trainings}")
        return 0
    summary = summarize(plan, folders)
    if json:
        as_json(summary)
        return 0
    suite = plan.loaded.suite
    table(["task", "backbone", "strategies", "searched", "finals"], _rows(plan))
    say()
    how = f"searched with {_search_in_words(plan)}, then trained {plural(suite.repeats, 'time')}"
    trains = _first_fit(plan).search.trials
    say(f"{summary['cells']} cells; each {how if trains else 'a checkpoint, scored as it came'}")
    for line in [*_options_in_words(plan), *_steps_in_words(plan, summary["equal_steps"]),
                 *in_words(suite.pitfalls, plan.cells, plan.jobs)]:  # fmt: skip
        say(line)
    say(f"precision: {_precision_in_words(plan)}; {_augment_in_words(plan)}")
    say(f"{summary['trainings']} trainings in all, {summary['finished']} records are there, {left_in_words(summary)}")
    for line in summary["notes"]:
        say(f"note: {line}")
    return 0


def _first_fit(plan: Plan) -> FitSpec:
    """Of what is trained, where anything is: closed forms take no steps."""
    specs = [job.spec for job in plan.jobs.values() if isinstance(job.spec, FitSpec)]
    return next((spec for spec in specs if spec.recipe.trains), specs[0])


def _search_in_words(plan: Plan) -> str:
    """`8 trials, halved after 44 and 133 of 200 steps (bracket, 3 folds; on the first task)`. Closed forms aside."""
    spec = _first_fit(plan)
    search, steps = spec.search, spec.training.steps
    is_equal = plan.loaded.suite.training.flops is not None
    specs = [job.spec for job in plan.jobs.values() if isinstance(job.spec, FitSpec)]
    counts = {one.search.trials for one in specs if one.recipe.trains} or {search.trials}
    num = f"{min(counts)} to {max(counts)} trials" if len(counts) > 1 else plural(search.trials, "trial")
    *compared, _ = rungs(search, steps)
    scored = f"{search.folds} folds" if search.folds else f"a hold-out of {search.holdout:.0%}"
    if spec.recipe.labels == "source":
        scored = f"the source's test {_example(plan)}s"
    halved = f"halved after {_listed(compared)} of {steps} steps" if compared else f"each of {steps} steps"
    if is_equal:  # each strategy has its own steps
        shares = [f"{100 * share:.0f} %" for share in rung_shares(search.first_rung)] if compared else []
        halved = f"halved after {_listed(shares)} of its steps" if shares else "each trained to its end"
    return f"{num}, {halved} ({search.sampler}, {scored}; on the first task)"


def _options_in_words(plan: Plan) -> list[str]:
    """Of each strategy some of whose options are searched with the rate."""
    found = {}
    for cell in plan.cells:
        spec = plan.jobs[cell.searches[0]].spec
        if isinstance(spec, FitSpec) and spec.varied is not None:
            spans = [f"{name} {span.text} ({span.scale})" for name, span in spec.varied.spans]
            found[cell.strategy] = f"searched with the rate, of {cell.strategy}: {', '.join(spans)}"
    return list(found.values())


def _equal_steps(plan: Plan, unfit: Collection[tuple[str, str]]) -> list[dict[str, Any]]:
    """Steps of each strategy that is trained, where equal FLOPs decide about them. `unfit`: backbones and strategies
    that do not go together."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for cell in plan.cells if plan.loaded.suite.training.flops is not None else ():
        spec = plan.jobs[cell.finals[0]].spec
        assert isinstance(spec, FitSpec)
        if spec.recipe.trains and not cell.pitfall and (cell.backbone, cell.strategy) not in unfit:
            found.setdefault((cell.task, cell.backbone), {})[cell.strategy] = spec.training.steps
    return [{"task": task, "backbone": backbone, "steps": steps} for (task, backbone), steps in found.items()]


def _steps_in_words(plan: Plan, equal: list[dict[str, Any]]) -> list[str]:
    budget = plan.loaded.suite.training.flops
    named = f"{budget:.3g} FLOPs" if isinstance(budget, float) else f"the FLOPs of {budget}"
    return [f"steps for {named} (on {one['task']}, {one['backbone']}): "
            + ", ".join(f"{strategy} {steps:,}" for strategy, steps in one["steps"].items()) for one in equal]


def _listed(numbers: Sequence[int | str]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last


def _precisions(plan: Plan) -> dict[str, dict[str, list[str]]]:
    """What networks train in, the reasons, and which backbones have each."""
    found: dict[str, dict[str, list[str]]] = {}
    for cell in plan.cells:
        spec = plan.jobs[cell.finals[0]].spec
        assert isinstance(spec, FitSpec)
        choice = FULL if spec.recipe.own_head is not None else plan.arithmetic[arithmetic_key(spec.backbone)]
        backbones = found.setdefault(choice.used, {}).setdefault(choice.why, [])
        backbones += [cell.backbone] if cell.backbone not in backbones else []
    return dict(sorted(found.items()))


def _precision_in_words(plan: Plan) -> str:
    """`bf16 (the CPU computes in bf16 (AMX): resnet18)`: reasons where they are not the suite's own word."""
    several = len({cell.backbone for cell in plan.cells}) > 1
    parts = []
    for used, reasons in _precisions(plan).items():
        told = [f"{why}: {', '.join(names)}" if several else why for why, names in reasons.items() if why != ASKED]
        parts.append(f"{used} ({'; '.join(told)})" if told else used)
    return " and ".join(parts)


def _example(plan: Plan) -> str:
    return example_of(cell.modality for cell in plan.cells)


def _augment_in_words(plan: Plan) -> str:
    """Whether the stem is live or cached, for each modality of the suite."""
    if not plan.loaded.suite.engine.partition:
        return "frozen parts are computed in every step (engine.partition is off)"
    return "; ".join(_changes(MODALITIES[name].example, views) for name, views in _views(plan).items())


def _changes(example: str, views: int | None) -> str:
    if views is None:
        return (f"{example}s change anew in every step, frozen parts are recomputed in each (training.augment.views "
                "caches)")
    shown = f"{example}s are not changed" if views == 0 else f"{views} cached views of each training {example}"
    return f"{shown}, so frozen parts see each of them once"


def _views(plan: Plan) -> dict[str, int | None]:
    """By modality, in the suite's order."""
    found: dict[str, int | None] = {}
    for cell in plan.cells:
        spec = plan.jobs[cell.finals[0]].spec
        assert isinstance(spec, FitSpec)
        found.setdefault(cell.modality, _num_views(spec.training))
    return found


def _num_views(training: Training) -> int | None:
    """Changed views of each example that there can be; 0: they stay as they are, None: no end of them."""
    if not (training.flip or training.shift or training.crop or training.text or training.sound):
        return 0
    return None if changes_anew(training) else training.views or 2


def _rows(plan: Plan) -> list[list[str]]:
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in plan.cells:
        groups.setdefault((cell.task, cell.backbone), []).append(cell)
    return [
        [*names, str(len(cells)), str(_distinct(plan, (c.searches for c in cells))),
         str(_distinct(plan, (c.finals for c in cells)))]
        for names, cells in groups.items()
    ]


def _distinct(plan: Plan, keys: Iterable[tuple[str, ...]]) -> int:
    """Strategies that come to the same recipe share their trainings. A search without trials is none."""
    return sum(bool(plan.jobs[key].record_keys) for key in set(chain.from_iterable(keys)))


def left_in_words(summary: dict[str, Any]) -> str:
    if not summary["left"]:
        return "nothing is left"
    return f"{summary['left']} are left: {summary['time_left'] or 'no estimate before the first records'}"


def summarize(plan: Plan, folders: Folders) -> dict[str, Any]:
    roots = folders.roots(plan.loaded.suite.name)
    progress = read_progress(plan, roots)
    overlaps = examine(plan, images_at_hand(plan.sources, roots.cache, draws=False))  # of what was decoded before
    refuse_overlaps(plan.loaded, overlaps)
    left = progress.left
    num_left = sum(left.values())
    time = time_left(progress)
    ahead = look_ahead(plan, roots.cache, timed=not time)
    refuse_unfit(plan, ahead)
    fit, equal = _first_fit(plan), _equal_steps(plan, ahead.strategies)
    return {
        "suite": plan.loaded.suite.name,
        "cells": len(plan.cells),
        "trainings": plan.num_trainings,
        "finished": plan.num_trainings - num_left,
        "left": num_left,
        "jobs": dict(Counter(job.kind for job in plan.jobs.values())),
        "rungs": None if equal else rungs(fit.search, fit.training.steps),  # of the first task
        "equal_steps": equal,
        "precision": " and ".join(_precisions(plan)),
        "views": _num_views(fit.training),
        "time_left": time or guessed(progress, ahead.seconds),
        "notes": [*unfit_in_words(ahead), *sentences(overlaps), *plan.notes],
    }
