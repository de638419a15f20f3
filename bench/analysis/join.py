"""Plan + records -> `SuiteResults`. The plan says which rows there are, the store which of them have numbers."""

import json
import math
from collections import Counter
from typing import Any

import pandas as pd

from bench.analysis.frame import FINALS, OWN_HEAD, PRETRAININGS, TRIALS, UNCHOSEN, SuiteResults
from bench.datasets.overlap import TWICE, Overlap
from bench.keys import digest
from bench.plan.exams import exams_of, sentences
from bench.plan.halving import cohorts
from bench.plan.plan import Cell, Plan
from bench.plan.stand_in import MARK
from bench.spec.job import FitSpec, PretrainSpec, trial_key
from bench.spec.recipe import Recipe
from bench.store import Record, Store

NAN = math.nan


def collect(plan: Plan, store: Store, shared: Store) -> SuiteResults:
    records, damaged = store.scan()
    pretrained, damaged_shared = shared.scan()
    suite = plan.loaded.suite
    wanted = {key for job in plan.jobs.values() for key in job.record_keys}
    used = [r for key, r in {**records, **pretrained}.items() if key in wanted]
    return SuiteResults(
        name=suite.name,
        description=suite.description,
        suite_text=plan.loaded.text,
        suite=suite.model_dump(mode="json"),
        finals=_frame(FINALS, [row for cell in plan.cells for row in _finals(plan, cell, records)]),
        trials=_frame(TRIALS, [row for cell in plan.cells for row in _trials(plan, cell, records)]),
        pretrainings=_frame(PRETRAININGS, _pretrainings(plan, pretrained)),
        unchosen=_frame(UNCHOSEN, [row for cell in plan.cells for row in _unchosen(plan, cell, records)]),
        planned=len(wanted),
        provenance=_environments(used),
        damaged=sorted(str(d) for d in [*damaged, *damaged_shared]),
        overlaps=_overlaps(plan, records),
        notes=[*_notes(plan), *_twice(plan, records)],
    )


def _frame(columns: dict[str, str], rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


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


def _instead_of_training(recipe: Recipe) -> str:
    if recipe.own_head is not None:
        return OWN_HEAD
    return recipe.solve.form if recipe.solve is not None else ""


def _finals(plan: Plan, cell: Cell, records: dict[str, Record]) -> list[dict[str, Any]]:
    rows = []
    for repeat, key in enumerate(cell.finals):
        record = records.get(key)
        search = plan.jobs[cell.searches[repeat]]
        spec = search.spec
        assert isinstance(spec, FitSpec)
        result = record.result if record is not None else {}
        logical = record.cost.get("logical", {}) if record is not None else {}
        measured = record.cost.get("measured", {}) if record is not None else {}
        ok = record is not None and record.status == "ok"
        rows.append({
            **_cell_columns(cell, spec),
            **_axis_columns(cell),
            "num_units": cell.num_units,
            "repeat": repeat,
            "status": "missing" if record is None else record.status,
            "error": (record.error or "") if record is not None else "",
            "metric": result.get("metric", "accuracy"),
            "score": result.get("score", NAN) if ok else NAN,
            "best_on_test": result.get("best_on_test", NAN) if ok else NAN,
            "train_loss_end": _number(result.get("train_loss_end")),
            "collapsed": float(result.get("collapsed", NAN)),
            "lr": result.get("lr", NAN),
            "weight_decay": result.get("weight_decay", NAN),
            "options": _options_text(result),
            "lr_edge": result.get("lr_edge", ""),
            "penalty_edge": result.get("penalty_edge", ""),
            **_search_columns([records[one] for one in search.record_keys if one in records]),
            **{name: logical.get(name, NAN) for name in _LOGICAL},
            **_source_columns(result),
            "seconds": measured.get("seconds", NAN),
            "peak_memory_bytes": measured.get("peak_memory_bytes", NAN),
            **_engine_columns(record),
            "key": key,
        })
    return rows


def _options_text(point: dict[str, Any]) -> str:
    """`alpha=0.0316, beta=0.01`"""
    found = point.get("options", {})
    return ", ".join(f"{name}={format(v, '.3g') if isinstance(v, float) else v}" for name, v in sorted(found.items()))


def _search_columns(trials: list[Record]) -> dict[str, Any]:
    rates = [trial.spec["hyper"]["lr"] for trial in trials]
    rates = [rate for rate in rates if rate is not None]  # closed forms have none
    return {
        "lr_low": min(rates, default=NAN),
        "lr_high": max(rates, default=NAN),
        "num_trials": len(trials),
    }


def _unchosen(plan: Plan, cell: Cell, records: dict[str, Record]) -> list[dict[str, Any]]:
    rows = []
    for repeat, job_key in enumerate(cell.unchosen):
        job = plan.jobs[job_key]
        assert isinstance(job.spec, FitSpec)
        for key in job.record_keys:
            record = records.get(key)
            point = record.spec["hyper"] if record is not None else {}
            rows.append({
                **_cell_columns(cell, job.spec),
                "repeat": repeat,
                "number": -1 if record is None else record.spec["number"],
                "status": "missing" if record is None else record.status,
                "lr": point.get("lr", NAN),
                "weight_decay": point.get("weight_decay", NAN),
                "options": _options_text(point),
                "score": record.result["score"] if record is not None and record.status == "ok" else NAN,
                "key": key,
            })
    return rows


_LOGICAL = ("steps", "samples", "flops", "trainable_params", "added_params", "total_params")


def _source_columns(result: dict[str, Any]) -> dict[str, float]:
    found = result.get("source") or {"before": {}, "after": {}}
    return {
        f"{column}_{when}": found[when].get(kind, NAN)
        for column, kind in (("source", "original"), ("refitted", "refitted"))
        for when in ("before", "after")
    }


def _trials(plan: Plan, cell: Cell, records: dict[str, Record]) -> list[dict[str, Any]]:
    rows = []
    for repeat, search_key in enumerate(cell.searches):
        if search_key in cell.searches[:repeat]:
            continue  # one search serves several repeats
        spec = plan.jobs[search_key].spec
        assert isinstance(spec, FitSpec)
        final = records.get(cell.finals[repeat])
        chosen = final.result.get("trial") if final is not None else None
        cohort = {number: place for place, asked in enumerate(_cohorts(spec)) for number in asked}
        for number in range(spec.search.trials):
            record = records.get(trial_key(search_key, number))
            if record is None:
                continue
            ok = record.status == "ok"
            rows.append({
                **_cell_columns(cell, spec),
                "repeat": spec.repeat,
                "number": number,
                "status": record.status,
                "lr": record.spec["hyper"]["lr"],
                "weight_decay": record.spec["hyper"]["weight_decay"],
                "options": _options_text(record.spec["hyper"]),
                "score": record.result["score"] if ok else NAN,
                "loss": _number(record.result.get("loss")),
                "collapsed": float(record.result.get("collapsed", NAN)),
                "num_validation": record.result.get("num_validation", NAN),
                "cohort": cohort[number],
                "planned": spec.search.trials,
                **_course(record, spec),
                "chosen": number == chosen,
                "seconds": record.cost.get("measured", {}).get("seconds", NAN),
                **_engine_columns(record),
                "key": record.key,
            })
    return rows


def _cohorts(spec: FitSpec) -> list[range]:
    return [range(spec.search.trials)] if spec.recipe.solve is not None else cohorts(spec.search)


def _number(value: float | None) -> float:
    return NAN if value is None else value


def _course(record: Record, spec: FitSpec) -> dict[str, Any]:
    """How far a trial came. Where its record does not say, it is from before halving and ran to its end."""
    full = spec.training.steps
    spent = record.cost.get("logical", {}).get("steps", NAN)
    course = {"steps": NAN, "spent_steps": spent, "full_steps": full, "rungs": (), "pruned": False,
              "first_step": NAN, "first_score": NAN}  # fmt: skip
    if spec.recipe.solve is not None:
        return {**course, "full_steps": NAN}
    if record.status != "ok":
        return {**course, "steps": spent / max(1, spec.search.folds)}
    steps = record.result.get("steps", full)
    last = {"step": steps, "score": record.result["score"], "loss": record.result.get("loss")}
    rungs = tuple((one["step"], one["score"], _number(one["loss"])) for one in record.result.get("rungs") or [last])
    course |= {"rungs": rungs, "first_step": rungs[0][0], "first_score": rungs[0][1]}
    return {**course, "steps": steps, "pruned": steps < full}


def _engine_columns(record: Record | None) -> dict[str, Any]:
    engine = record.cost.get("engine", {}) if record is not None else {}
    measured = record.cost.get("measured", {}) if record is not None else {}
    return {
        "precision": record.spec.get("training", {}).get("precision", "") if record is not None else "",
        "precision_why": record.cost.get("precision", {}).get("why", "") if record is not None else "",
        "frozen": "/".join(dict.fromkeys(engine.get("frozen", []))),
        "replicas": engine.get("replicas", NAN),
        "whole": engine.get("whole", ""),
        "feature_seconds": measured.get("feature_seconds", NAN),
    }


def _pretrainings(plan: Plan, records: dict[str, Record]) -> list[dict[str, Any]]:
    rows = []
    for key, (backbone, dataset) in plan.pretrain_labels.items():
        record = records.get(key)
        job = plan.jobs.get(key)
        spec = job.spec if job is not None else None
        result = record.result if record is not None else {}
        cost = record.cost if record is not None else {}
        rows.append({
            "backbone": backbone,
            "dataset": dataset,
            "status": "missing" if record is None else record.status,
            "epochs": spec.epochs if isinstance(spec, PretrainSpec) else NAN,
            "score": result.get("score", NAN),
            "seconds": cost.get("measured", {}).get("seconds", NAN),
            "flops": cost.get("logical", {}).get("flops", NAN),
            "weights_sha256": result.get("weights_sha256", ""),
            "key": key,
        })
    return rows


def _environments(records: list[Record]) -> list[dict[str, Any]]:
    """Distinct provenances with the number of records each made, most first."""
    counts = Counter(json.dumps(record.provenance, sort_keys=True) for record in records)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{**json.loads(text), "records": count} for text, count in ordered]


def _notes(plan: Plan) -> list[str]:
    """What a reader must know of this suite, in full sentences."""
    notes = [f"{MARK}: nothing on this page was measured on what the suite names. {one[0].upper()}{one[1:]}."
             for one in ["; ".join(plan.loaded.stand_ins)] if one]
    notes += plan.data_notes
    if not any(cell.baseline for cell in plan.cells):
        notes.append("This suite has no scratch baseline, so nothing here says whether transfer helps at all.")
    controls = {c.backbone for c in plan.cells if not c.baseline and _starts_random(plan, c)}
    if controls and len(controls) < len({c.backbone for c in plan.cells}):
        notes.append(
            f"Controls with random weights: {', '.join(sorted(controls))}. What a strategy gains over scratch on these "
            "is no transfer; leave them out when you read the summary."
        )
    if plan.loaded.suite.repeats < 3:
        notes.append("Fewer than 3 repeats: intervals are very wide or cannot be given.")
    return notes


def _overlaps(plan: Plan, records: dict[str, Record]) -> list[str]:
    """As records tell; before there are any, as far as planning knows."""
    known: dict[Any, Overlap] = {}
    for cell in plan.cells:
        found: list[Any] = next((one for key in cell.finals if (one := _told(records.get(key), "overlap"))), [])
        for exam, counts in zip(exams_of([cell]), found, strict=False):
            known[exam.pair] = Overlap(**{name: counts[name] for name in ("test", "num_test", "train", "num_train")})
    return sentences((exam, known.get(exam.pair)) for exam in exams_of(plan.cells))


def _twice(plan: Plan, records: dict[str, Record]) -> list[str]:
    """Of sets that cannot tell so without their pixels."""
    silent = {
        cell.dataset: cell
        for cell in plan.cells
        if not any(TWICE in note for note in plan.sources[digest(cell.declared.data)].facts.notes)
    }
    found = []
    for label, cell in sorted(silent.items()):
        counts = [_told(records.get(key), "test_in_train") for key in cell.finals]
        if most := max((count for count in counts if count), default=0):
            num_test = plan.sources[digest(cell.declared.data)].facts.num_test
            found.append(f"{label}: {most} of {num_test} {TWICE}, pixel by pixel.")
    return found


def _told(record: Record | None, name: str) -> Any:
    return record.result.get(name) if record is not None else None


def _starts_random(plan: Plan, cell: Cell) -> bool:
    return plan.jobs[cell.finals[0]].spec.backbone.weights.origin == "random"
