"""Plan + records -> `SuiteResults`. The plan says which rows there are, the store which of them have numbers."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.analysis.cells import Row
from bench.analysis.frame import FINALS, PRETRAININGS, TRIALS, UNCHOSEN, SuiteResults
from bench.analysis.rows import Columns, finals_of, pretrainings_of, trials_of, unchosen_of, weights_of
from bench.datasets.overlap import Overlap, twice, worst
from bench.keys import digest
from bench.memory import collection
from bench.modalities import MODALITIES
from bench.planning.agreement import REFUSED, agreeing
from bench.planning.exams import exams_of, sentences
from bench.planning.plan import Cell, Plan
from bench.planning.references import published_of
from bench.planning.stand_in import MARK
from bench.spec.job import FitSpec
from bench.store import Record, Scanned, Store
from bench.store.record import provenances
from bench.store.results import FinalResult
from bench.store.samples import KeptSamples, path_of
from bench.text import encodable

NAN = math.nan


@collection(False)
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
    trials = trials_of(plan, right, records)
    wrong_trials = trials_of(plan, [cell for cell in wrong if not searched.issuperset(cell.searches)], records)
    rates = {key: lr for one in (trials, wrong_trials) for key, lr in zip(one["key"], one["lr"], strict=True)}

    def finals(cells: list[Cell]) -> pd.DataFrame:
        return _frame(FINALS, _by_column(FINALS, [finals_of(plan, cell, records, store, rates) for cell in cells]))

    return SuiteResults(
        name=suite.name,
        description=suite.description,
        suite_text=plan.loaded.text,
        suite=suite.model_dump(mode="json"),
        finals=finals(right),
        trials=_frame(TRIALS, trials),
        pretrainings=_frame(PRETRAININGS, _by_column(PRETRAININGS, [pretrainings_of(plan, records)])),
        unchosen=_frame(UNCHOSEN, _by_column(UNCHOSEN, [unchosen_of(plan, cell, records) for cell in plan.cells])),
        pitfalls=finals(wrong),
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


def _by_column(names: Iterable[str], parts: list[list[Row]]) -> Columns:
    return {name: [row[name] for rows in parts for row in rows] for name in names}


def _frame(columns: dict[str, str], found: Columns) -> pd.DataFrame:
    texts = {name: list(map(encodable, found[name])) for name, kind in columns.items() if kind == "str"}
    return pd.DataFrame(found | texts, columns=list(columns)).astype(columns)


def _samples(plan: Plan, cell: Cell, store: Store) -> KeptSamples:
    spec = plan.jobs[cell.finals[0]].spec
    assert isinstance(spec, FitSpec)
    return KeptSamples(path_of(store.root, spec.data))


def _environments(records: list[Record]) -> list[dict[str, Any]]:
    return [{**provenance, "records": count} for provenance, count in provenances(records)]


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
    return weights_of(plan, cell).origin == "random"
