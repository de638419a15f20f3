"""Plan + records -> `SuiteResults`. The plan says which rows there are, the store which of them have numbers."""

import json
import math
from collections import Counter
from dataclasses import asdict
from typing import Any

import pandas as pd

from bench.analysis.frame import FINALS, OWN_HEAD, PRETRAININGS, TRIALS, UNCHOSEN, SuiteResults
from bench.analysis.sharing import label_overlap, test_overlap
from bench.datasets.overlap import Overlap, twice, worst
from bench.keys import digest
from bench.memory import no_collection
from bench.modalities import MODALITIES
from bench.modalities import of as modality_of
from bench.planning.agreement import REFUSED, agreeing
from bench.planning.exams import exams_of, sentences
from bench.planning.halving import cohorts
from bench.planning.plan import Cell, Plan, Role
from bench.planning.references import published_of
from bench.planning.stand_in import MARK
from bench.spec.job import FitSpec, PretrainSpec
from bench.spec.recipe import Recipe
from bench.spec.refs import Weights
from bench.store import Record, Scanned, Store
from bench.store.predictions import Claims, Kept
from bench.store.results import Cost, Fields, FinalResult, Logical, Measured, Rung, TrialResult, Unscored
from bench.store.samples import KeptSamples, path_of
from bench.text import encodable

NAN = math.nan


@no_collection()
def collect(plan: Plan, store: Store, shared: Store, seen: Scanned | None = None) -> SuiteResults:
    """`seen`: their records, where somebody looked a moment ago."""
    seen = seen or store.scan_with(shared)
    records = agreeing(plan, seen.records)
    suite = plan.loaded.suite
    right = [cell for cell in plan.cells if not cell.pitfall]
    wrong = [cell for cell in plan.cells if cell.pitfall]
    searched = {key for cell in right for key in cell.searches}
    wanted = {key for job in plan.jobs.values() for key in job.record_keys}
    used = [r for key, r in records.items() if key in wanted]
    trials = [row for cell in right for row in _trials(plan, cell, records)]
    wrong_trials = [row for cell in wrong if not searched.issuperset(cell.searches)
                    for row in _trials(plan, cell, records)]  # fmt: skip
    rates = {row["key"]: row["lr"] for row in (*trials, *wrong_trials)}
    return SuiteResults(
        name=suite.name,
        description=suite.description,
        suite_text=plan.loaded.text,
        suite=suite.model_dump(mode="json"),
        finals=_frame(FINALS, [row for cell in right for row in _finals(plan, cell, records, store, rates)]),
        trials=_frame(TRIALS, trials),
        pretrainings=_frame(PRETRAININGS, _pretrainings(plan, records)),
        unchosen=_frame(UNCHOSEN, [row for cell in plan.cells for row in _unchosen(plan, cell, records)]),
        pitfalls=_frame(FINALS, [row for cell in wrong for row in _finals(plan, cell, records, store, rates)]),
        pitfall_trials=_frame(TRIALS, wrong_trials),
        planned=len(wanted),
        provenance=_environments(used),
        damaged=sorted(str(d) for d in [*seen.damaged, *seen.damaged_shared]),
        overlaps=_overlaps(plan, records),
        lists=plan.told_of_lists,
        notes=[*_notes(plan), *_twice(plan, records)],
        claims=suite.claims,
        references=published_of(plan),
        refused=_refused(records),
        samples={cell.dataset: _samples(plan, cell, store) for cell in plan.cells} if suite.records.samples else {},
        classes={cell.dataset: plan.sources[digest(cell.declared.data)].facts.classes for cell in plan.cells},
    )


def _frame(columns: dict[str, str], rows: list[dict[str, Any]]) -> pd.DataFrame:
    found: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in columns}
    texts = {name: list(map(encodable, found[name])) for name, kind in columns.items() if kind == "str"}
    return pd.DataFrame(found | texts, columns=list(columns)).astype(columns)


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


def _finals(
    plan: Plan, cell: Cell, records: dict[str, Record], store: Store, rates: dict[str, float]
) -> list[dict[str, Any]]:
    """`rates`: of trials, by key."""
    rows = []
    shared = _sharing_columns(plan, cell)
    for repeat, key in enumerate(cell.finals):
        record = records.get(key)
        search = plan.jobs[cell.searches[repeat]]
        spec = search.spec
        assert isinstance(spec, FitSpec)
        final = record.final if record is not None else None
        chosen = record.unscored if record is not None else Unscored()
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
            "weights": _weights(plan, cell).identity,
            **_cost_columns(cost, spec),
            "predictions": _predictions(store, key, final, cell.num_classes),
            "key": key,
        })
    return rows


def _predictions(store: Store, key: str, final: FinalResult | None, num_classes: int) -> Kept:
    if final is None:
        return Kept(store, key, None)
    return Kept(store, key, final.predictions, Claims(final.num_test, num_classes, final.metric, final.score))


def _samples(plan: Plan, cell: Cell, store: Store) -> KeptSamples:
    spec = plan.jobs[cell.finals[0]].spec
    assert isinstance(spec, FitSpec)
    return KeptSamples(path_of(store.root, spec.data))


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


def _unchosen(plan: Plan, cell: Cell, records: dict[str, Record]) -> list[dict[str, Any]]:
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


def _trials(plan: Plan, cell: Cell, records: dict[str, Record]) -> list[dict[str, Any]]:
    rows = []
    for repeat, search_key in enumerate(cell.searches):
        if search_key in cell.searches[:repeat]:
            continue  # one search serves several repeats
        search = plan.jobs[search_key]
        spec = search.spec
        assert isinstance(spec, FitSpec)
        final = records.get(cell.finals[repeat])
        chosen = final.unscored.trial if final is not None else None
        of_cell = _cell_columns(cell, spec)
        cohort = {number: place for place, asked in enumerate(_cohorts(spec)) for number in asked}
        for number, key in enumerate(search.record_keys):
            record = records.get(key)
            if record is None:
                continue
            hyper, trial, cost = record.place.hyper, record.trial, record.spent
            rows.append({
                **of_cell,
                "repeat": spec.repeat,
                "number": number,
                "status": record.status,
                **_numbers(hyper, "lr", "weight_decay", "penalty"),
                "options": _options_text(hyper.options),
                **_numbers(trial, "score", "loss", "collapsed", "num_validation"),
                "cohort": cohort[number],
                "planned": spec.search.trials,
                **_course(trial, cost, spec),
                "chosen": number == chosen,
                **_cost_columns(cost, spec),
                "key": record.key,
            })
    return rows


def _cohorts(spec: FitSpec) -> list[range]:
    return [range(spec.search.trials)] if spec.recipe.solve is not None else cohorts(spec.search)


def _course(trial: TrialResult | None, cost: Cost, spec: FitSpec) -> dict[str, Any]:
    """How far a trial came. Where its record does not say, it is from before halving and ran to its end."""
    full, spent = spec.training.steps, _number(cost.logical, "steps")
    course = {"steps": NAN, "spent_steps": spent, "full_steps": full, "rungs": (), "pruned": False,
              "first_step": NAN, "first_score": NAN}  # fmt: skip
    if spec.recipe.solve is not None:
        return {**course, "full_steps": NAN}
    if trial is None:
        return {**course, "steps": spent / max(1, spec.search.folds)}
    steps = full if trial.steps is None else trial.steps
    rungs = tuple(
        (one.step, one.score, NAN if one.loss is None else one.loss)
        for one in trial.rungs or [Rung(steps, trial.score, trial.loss)]
    )
    course |= {"rungs": rungs, "first_step": rungs[0][0], "first_score": rungs[0][1]}
    return {**course, "steps": steps, "pruned": steps < full}


def _cost_columns(given: Cost | None, spec: FitSpec) -> dict[str, Any]:
    """What it took here, and how it was done."""
    cost = given or Cost()
    return {
        "precision": spec.training.precision if given is not None else "",
        "precision_why": cost.precision.why if cost.precision is not None else "",
        "frozen": "/".join(dict.fromkeys(cost.engine.frozen)),
        "replicas": _number(cost.engine, "replicas"),
        "whole": cost.engine.whole,
        **_numbers(cost.measured, *Measured.model_fields),
    }


def _pretrainings(plan: Plan, records: dict[str, Record]) -> list[dict[str, Any]]:
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


def _environments(records: list[Record]) -> list[dict[str, Any]]:
    """Distinct provenances with the number of records each made, most first."""
    counts = Counter(json.dumps(record.provenance, sort_keys=True) for record in records)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{**json.loads(text), "records": count} for text, count in ordered]


def _refused(records: dict[str, Record]) -> dict[str, int]:
    return Counter(record.error for record in records.values() if record.error and record.error.startswith(REFUSED))


def _notes(plan: Plan) -> list[str]:
    """What a reader must know of this suite, in full sentences."""
    notes = [f"{MARK}: nothing on this page was measured on what the suite names. {one[0].upper()}{one[1:]}."
             for one in ["; ".join(plan.loaded.stand_ins)] if one]
    notes += [*([plan.loaded.left_out] if plan.loaded.left_out else []), *plan.notes]
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
        told = [one.overlap for one in _scored(cell, records) if one.overlap]  # of each repeat
        for exam, counts in zip(exams_of([cell]), zip(*told, strict=False), strict=False):
            known[exam.pair] = worst([Overlap(**one.model_dump(exclude={"dataset"})) for one in counts])
    return sentences((exam, known.get(exam.pair)) for exam in exams_of(plan.cells))


def _twice(plan: Plan, records: dict[str, Record]) -> list[str]:
    """Of sets that cannot tell so without their pixels."""
    found = []
    for label, cell in sorted({cell.dataset: cell for cell in plan.cells}.items()):
        facts, told = plan.facts_of(cell), plan.told_of_data(cell)
        scored, example = _scored(cell, records), MODALITIES[cell.modality].example
        how = ", pixel by pixel" if cell.modality == "image" else ""
        splits = (
            ("test", facts.num_test, [one.test_in_train for one in scored]),
            ("shift", facts.num_shift, [one.shift_in_train for one in scored]),
        )
        if most := max((one.in_two_classes for one in scored), default=0):
            every = facts.num_train + facts.num_test
            found.append(f"{label}: {most} of {every} {example}s stand in more than one class{how}.")
        for split, num, counts in splits:
            words = twice(example, split)
            if (most := max(counts, default=0)) and not any(words in note for note in told):
                found.append(f"{label}: {most} of {num} {words}{how}.")
    return found


def _scored(cell: Cell, records: dict[str, Record]) -> list[FinalResult]:
    found = [records[key].final for key in cell.finals if key in records]
    return [final for final in found if final is not None]


def _starts_random(plan: Plan, cell: Cell) -> bool:
    return _weights(plan, cell).origin == "random"


def _weights(plan: Plan, cell: Cell) -> Weights:
    return plan.jobs[cell.finals[0]].spec.backbone.weights
