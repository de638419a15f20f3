"""Plan + records -> what this night came to, cell by cell. `accept.py` makes a baseline of it, `compare.py` holds it
against one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.gate.baseline import DECIMALS, Row
from bench.gate.environment import Environment, device_model
from bench.gate.fingerprint import DIGITS, Fingerprint, fingerprint
from bench.gate.verdict import CellName
from bench.keys import digest
from bench.planning.agreement import agreeing
from bench.planning.plan import Cell, Plan
from bench.store.record import Record, provenances

UNFIT = "not_applicable"
T = TypeVar("T")


@dataclass(frozen=True)
class MadeBy:
    """What made a record."""

    environment: Environment
    device_model: str
    commit: str | None
    code: str | None
    dirty: bool | None

    @staticmethod
    def of(provenance: Mapping[str, Any]) -> "MadeBy":
        return MadeBy(
            environment=Environment.of(provenance),
            device_model=device_model(provenance),
            commit=provenance.get("commit"),
            code=provenance.get("code"),
            dirty=provenance.get("dirty"),
        )


@dataclass(frozen=True)
class TonightCell:
    name: CellName
    fingerprint: Fingerprint
    rows: tuple[Row, ...]  # of the repeats that finished
    failures: dict[int, str]  # what went wrong, by repeat
    absent: tuple[int, ...]  # repeats without a record
    unfit: str = ""  # why the strategy does not fit here; empty where it does
    environments: tuple[Environment, ...] = ()  # of its finals, commonest first
    searches_once: bool = False  # all of its repeats have the rate of one search

    @property
    def went_wrong(self) -> bool:
        """A training failed, or left no record because what it needs had failed."""
        return bool(self.failures or self.absent)

    @property
    def scores(self) -> dict[int, float]:
        return {row.repeat: row.score for row in self.rows}


@dataclass(frozen=True)
class Tonight:
    suite: str
    repeats: int
    cells: tuple[TonightCell, ...]  # in the order of the suite
    origins: tuple[MadeBy, ...]  # of all records that were used, trials and pretrainings too; commonest first
    stand_ins: tuple[str, ...] = ()


def tonight_of(plan: Plan, records: Mapping[str, Record]) -> Tonight:
    """`records`: by key, those of the suite and of the pretrainings that it shares."""
    records = agreeing(plan, records)
    made = provenances(records[key] for job in plan.jobs.values() for key in job.record_keys if key in records)
    told = [*plan.loaded.stand_ins, *(str(one) for provenance, _ in made for one in provenance.get("stand_in", ()))]
    return Tonight(
        suite=plan.loaded.suite.name,
        repeats=plan.loaded.suite.repeats,
        cells=tuple(_cell(plan, cell, records) for cell in plan.cells if not cell.pitfall),
        origins=_commonest(MadeBy.of, made),
        stand_ins=tuple(dict.fromkeys(told)),
    )


def _cell(plan: Plan, cell: Cell, records: Mapping[str, Record]) -> TonightCell:
    mark = fingerprint(plan, cell)
    found = {repeat: records[key] for repeat, key in enumerate(cell.finals) if key in records}
    name = CellName(cell.dataset, cell.budget.text, cell.backbone, cell.strategy)
    source = plan.sources.get(digest(cell.declared.data))
    num_test = plan.facts_of(cell).num_test if source is not None else None
    unfit = [record.error or "it does not fit" for record in found.values() if record.status == UNFIT]
    return TonightCell(
        name=name,
        fingerprint=mark,
        rows=tuple(_row(name, repeat, record, (mark, num_test, _weights(cell, repeat, records)))
                   for repeat, record in found.items() if record.status == "ok"),
        failures={repeat: _failure(one) for repeat, one in found.items() if one.status not in ("ok", UNFIT)},
        absent=tuple(repeat for repeat in range(len(cell.finals)) if repeat not in found),
        unfit=unfit[0] if unfit else "",
        environments=_commonest(Environment.of, provenances(found.values())),
        searches_once=len(cell.finals) > 1 and len(set(cell.searches)) == 1,
    )  # fmt: skip


def _weights(cell: Cell, repeat: int, records: Mapping[str, Record]) -> str | None:
    learned = records.get(cell.pretrainings[repeat]) if cell.pretrainings else None
    return learned.pretraining.weights_sha256[:DIGITS] if learned is not None and learned.pretraining else None


def _row(
    name: CellName, repeat: int, record: Record, of_cell: tuple[Fingerprint, int | None, str | None]
) -> Row:
    mark, num_test, weights = of_cell
    measured, final = record.spent.measured, record.final
    assert final is not None
    return Row(
        cell=name,
        repeat=repeat,
        score=round(final.score, DECIMALS),
        metric=final.metric,
        num_test=num_test,
        fingerprint=mark,
        seconds=None if measured.seconds is None else round(measured.seconds, 4),
        peak_memory_bytes=measured.peak_memory_bytes,
        lr=final.lr,
        penalty=final.penalty,
        loss=final.loss,
        weights=weights,
    )


def _failure(record: Record) -> str:
    """One line."""
    first = next(iter((record.error or "").splitlines()), "")
    return f"{record.status}: {first}" if first else record.status


def _commonest(told_by: Callable[[dict[str, Any]], T], made: Iterable[tuple[dict[str, Any], int]]) -> tuple[T, ...]:
    """What provenances tell, of which each has made so many records."""
    counts: Counter[T] = Counter()
    for provenance, count in made:
        counts[told_by(provenance)] += count
    return tuple(one for one, _ in counts.most_common())
