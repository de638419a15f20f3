"""Plan + records -> the values of the frames (`frame.py` says what each column means)."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any, NamedTuple

from bench.analysis.cells import Row
from bench.analysis.frame import OWN_HEAD, TRIALS
from bench.analysis.sharing import label_overlap, test_overlap
from bench.keys import digest
from bench.modalities import of as modality_of
from bench.planning.halving import cohorts
from bench.planning.plan import Cell, Plan, Role
from bench.spec.job import FitSpec, Job, PretrainSpec
from bench.spec.recipe import Recipe
from bench.spec.refs import Weights
from bench.store import Record, Store
from bench.store.predictions import Claims, Kept
from bench.store.results import Cost, Fields, FinalResult, Logical, Measured, Rung, TrialResult, Unscored

NAN = math.nan
Columns = dict[str, list[Any]]


def _cell_columns(cell: Cell, spec: FitSpec) -> dict[str, Any]:
    return {
        "dataset": cell.dataset,
        "budget": cell.budget.text,
        "labels_per_class": cell.num_labels / cell.num_classes,
        "backbone": cell.backbone,
        "strategy": cell.strategy,
        "baseline": cell.baseline,
        "solved": _instead_of_training(spec.recipe),
    }


def _axis_columns(cell: Cell) -> dict[str, Any]:
    if cell.axis is None:
        return {"axis": "", "axis_value": NAN, "axis_kind": ""}
    return {"axis": cell.axis.name, "axis_value": cell.axis.value, "axis_kind": cell.axis.kind}


def _role_columns(cell: Cell) -> dict[str, Any]:
    role = cell.role or Role("", "", "", 0)
    return {**asdict(role), "classes": cell.declared.data.classes}


def _data_columns(plan: Plan, cell: Cell, spec: FitSpec) -> dict[str, Any]:
    facts = plan.facts_of(cell)
    return {"modality": cell.modality, "seen_as": modality_of(spec.pipeline).in_words(spec.pipeline),
            "num_train": facts.num_train, "num_test": facts.num_test}


def _sharing_columns(plan: Plan, cell: Cell) -> dict[str, float]:
    if cell.listed is not None:
        return {"label_overlap": cell.listed.label_overlap, "test_overlap": cell.listed.test_overlap}
    facts, is_resplit = plan.sources[digest(cell.declared.data)].facts, bool(cell.splits)
    return {"label_overlap": label_overlap(cell.budget, facts, is_resplit),
            "test_overlap": test_overlap(facts, is_resplit)}  # fmt: skip


def _instead_of_training(recipe: Recipe) -> str:
    if recipe.own_head is not None:
        return OWN_HEAD
    return recipe.solve.form if recipe.solve is not None else ""


def finals_of(
    plan: Plan, cell: Cell, records: dict[str, Record], store: Store, rates: dict[str, float]
) -> list[Row]:
    """A row for each repeat, whether its record exists or not. `rates`: of trials, by key."""
    rows = []
    shared = _sharing_columns(plan, cell)
    for repeat, key in enumerate(cell.finals):
        record = records.get(key)
        search = plan.jobs[cell.searches[repeat]]
        spec = search.spec
        assert isinstance(spec, FitSpec)
        final = record.final if record is not None else None
        chosen = final or (record.unscored if record is not None else Unscored())
        source = final.source if final is not None else None
        cost = record.spent if record is not None else None
        told = (("source", "original"), ("refitted", "refitted"))
        rows.append({
            **_cell_columns(cell, spec),
            **_data_columns(plan, cell, spec),
            **shared,
            **_axis_columns(cell),
            **_role_columns(cell),
            "pitfall": cell.pitfall,
            "right": cell.right,
            "control": cell.declared.weights.origin == "random",
            "from_random": spec.recipe.init == "random",
            "labels": spec.recipe.labels or "target",
            "num_classes": cell.num_classes,
            "num_units": cell.num_units,
            "repeat": repeat,
            "status": "missing" if record is None else record.status,
            "error": (record.error or "") if record is not None else "",
            "metric": spec.data.metric,
            **_numbers(final, "score", "best_on_test", "train_loss_end", "collapsed"),
            "shift_score": _number(final and final.shift, "score"),
            "curve": tuple((point.step, point.accuracy) for point in final.curve) if final is not None else (),
            "similarity": tuple((final.similarity if final is not None else None) or ()),
            "projection": final.projection if final is not None else None,
            "mix": tuple((final.mix if final is not None else None) or ()),
            **_numbers(chosen, "lr", "weight_decay", "penalty"),
            "options": _options_text(chosen.options),
            "lr_edge": chosen.lr_edge,
            "penalty_edge": final.penalty_edge if final is not None else "",
            **_search_columns([rates[one] for one in search.record_keys if one in rates]),
            **_numbers(cost and cost.logical, *Logical.model_fields),
            **{f"{column}_before": _number(source and source.before, name) for column, name in told},
            **{f"{column}_after": _number(source and source.after, name) for column, name in told},
            "distance": final.distance if final is not None else None,
            "forecast": final.forecast if final is not None else None,
            "lesson": ", then ".join(one.label for one in cell.lessons),
            "weights": weights_of(plan, cell).identity,
            **{name: one for name, (one,) in _cost_columns([cost], spec).items()},
            "predictions": _predictions(store, key, final, cell.num_classes),
            "key": key,
        })
    return rows


def _predictions(store: Store, key: str, final: FinalResult | None, num_classes: int) -> Kept:
    if final is None:
        return Kept(store, key, None)
    return Kept(store, key, final.predictions, Claims(final.num_test, num_classes, final.metric, final.score))


def _columns(parts: Sequence[Fields | None], *names: str) -> Columns:
    return {name: [_number(part, name) for part in parts] for name in names}


def _number(part: Fields | None, name: str) -> float:
    """NaN where the record does not say."""
    value = None if part is None else getattr(part, name)
    return NAN if value is None else float(value)


def _numbers(part: Fields | None, *names: str) -> dict[str, float]:
    return {name: _number(part, name) for name in names}


def _options_text(options: dict[str, Any]) -> str:
    """`alpha=0.0316, beta=0.01`"""
    return ", ".join(f"{name}={format(v, '.3g') if isinstance(v, float) else v}" for name, v in sorted(options.items()))


def _search_columns(rates: list[float]) -> dict[str, Any]:
    """Of its trials."""
    known = [lr for lr in rates if not math.isnan(lr)]  # closed forms have none
    return {"lr_low": min(known, default=NAN), "lr_high": max(known, default=NAN), "num_trials": len(rates)}


def unchosen_of(plan: Plan, cell: Cell, records: dict[str, Record]) -> list[Row]:
    rows = []
    for repeat, job_key in enumerate(cell.unchosen):
        job = plan.jobs[job_key]
        assert isinstance(job.spec, FitSpec)
        for key in job.record_keys:
            record = records.get(key)
            place = record.place if record is not None else None
            point = place.hyper if place is not None else None
            rows.append({
                **_cell_columns(cell, job.spec),
                "repeat": repeat,
                "number": -1 if place is None else place.number,
                "status": "missing" if record is None else record.status,
                **_numbers(point, "lr", "weight_decay", "penalty"),
                "options": _options_text(point.options if point is not None else {}),
                **_numbers(record.final if record is not None else None, "score"),
                "key": key,
            })
    return rows


def trials_of(plan: Plan, cells: Sequence[Cell], records: dict[str, Record]) -> Columns:
    """By columns from the beginning: there are ten times as many as finals."""
    parts = []
    for cell in cells:
        for repeat, key in enumerate(cell.searches):
            if key not in cell.searches[:repeat]:  # one search serves several repeats
                final = records.get(cell.finals[repeat])
                chosen = final.result.get("trial") if final is not None else None
                parts.append(_trials_of_search(cell, plan.jobs[key], chosen, records))
    return {name: list(chain.from_iterable(part[name] for part in parts)) for name in TRIALS}


def _trials_of_search(cell: Cell, search: Job, chosen: int | None, records: dict[str, Record]) -> Columns:
    spec = search.spec
    assert isinstance(spec, FitSpec)
    found = [(number, records[key]) for number, key in enumerate(search.record_keys) if key in records]
    own = [record for _, record in found]
    points, scores, costs = ([one.place.hyper for one in own], [one.trial for one in own], [one.spent for one in own])
    cohort = {number: place for place, asked in enumerate(_cohorts(spec)) for number in asked}
    same = {**_cell_columns(cell, spec), "repeat": spec.repeat, "planned": spec.search.trials}
    courses = [_course(score, cost, spec) for score, cost in zip(scores, costs, strict=True)]
    return {
        **{name: [value] * len(own) for name, value in same.items()},
        "number": [number for number, _ in found],
        "status": [record.status for record in own],
        **_columns(points, "lr", "weight_decay", "penalty"),
        "options": [_options_text(point.options) for point in points],
        **_columns(scores, "score", "loss", "collapsed", "num_validation"),
        "cohort": [cohort[number] for number, _ in found],
        **{name: [getattr(one, name) for one in courses] for name in Course._fields},
        "chosen": [number == chosen for number, _ in found],
        **_cost_columns(costs, spec),
        "key": [record.key for record in own],
    }


def _cohorts(spec: FitSpec) -> list[range]:
    return [range(spec.search.trials)] if spec.recipe.solve is not None else cohorts(spec.search)


class Course(NamedTuple):
    """How far a trial came. Where its record does not say, it is from before halving and ran to its end."""

    steps: float
    spent_steps: float
    full_steps: float
    rungs: tuple[tuple[int, float, float], ...] = ()
    pruned: bool = False
    first_step: float = NAN
    first_score: float = NAN


def _course(trial: TrialResult | None, cost: Cost, spec: FitSpec) -> Course:
    full, spent = spec.training.steps, _number(cost.logical, "steps")
    if spec.recipe.solve is not None:
        return Course(NAN, spent, NAN)
    if trial is None:
        return Course(spent / max(1, spec.search.folds), spent, full)
    steps = full if trial.steps is None else trial.steps
    rungs = tuple(
        (one.step, one.score, NAN if one.loss is None else one.loss)
        for one in trial.rungs or [Rung(steps, trial.score, trial.loss)]
    )
    return Course(steps, spent, full, rungs, steps < full, rungs[0][0], rungs[0][1])


def _cost_columns(given: Sequence[Cost | None], spec: FitSpec) -> Columns:
    """What it took here, and how it was done."""
    costs = [cost or Cost() for cost in given]
    engines = [cost.engine for cost in costs]
    return {
        "precision": [spec.training.precision if cost is not None else "" for cost in given],
        "precision_why": [cost.precision.why if cost.precision is not None else "" for cost in costs],
        "frozen": ["/".join(dict.fromkeys(engine.frozen)) for engine in engines],
        **_columns(engines, "replicas"),
        "whole": [engine.whole for engine in engines],
        **_columns([cost.measured for cost in costs], *Measured.model_fields),
    }


def pretrainings_of(plan: Plan, records: dict[str, Record]) -> list[Row]:
    rows = []
    for key, (backbone, dataset) in plan.pretrain_labels.items():
        record = records.get(key)
        job = plan.jobs.get(key)
        spec = job.spec if job is not None else None
        made = record.pretraining if record is not None else None
        cost = record.spent if record is not None else Cost()
        rows.append({
            "backbone": backbone,
            "dataset": dataset,
            "status": "missing" if record is None else record.status,
            "epochs": spec.epochs if isinstance(spec, PretrainSpec) else NAN,
            "objective": (spec.objective if isinstance(spec, PretrainSpec) else None) or "labels",
            "score": _number(made, "score"),
            "seconds": _number(cost.measured, "seconds"),
            "flops": _number(cost.logical, "flops"),
            "weights_sha256": made.weights_sha256 if made is not None else "",
            "key": key,
        })
    return rows


def weights_of(plan: Plan, cell: Cell) -> Weights:
    return plan.jobs[cell.finals[0]].spec.backbone.weights
