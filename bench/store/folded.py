"""Records as short texts: a million of them fit into memory, and into the rows of `index.py`.

What a record's file says beside this (most of its spec, which the plan knows too) is in the file alone: `Store.read`.
"""

import json
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from bench.store.record import Kind, Record, Status
from bench.store.results import (
    Cost,
    Fields,
    FinalResult,
    FitAsked,
    PointAsked,
    PointOf,
    PretrainAsked,
    PretrainResult,
    TrialResult,
    Unscored,
)

F = TypeVar("F", bound=Fields)
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


class Row(NamedTuple):
    """Of a record. JSON, but for the first three. Many records share the last three."""

    key: str
    kind: Kind
    status: Status
    error: str
    point: str  # number and hyper of a trial, or of a point that was not chosen
    result: str
    cost: str
    asked: str  # what readers ask of the rest of its spec
    saw: str
    provenance: str


class Folded(Record):
    """Reads its texts whenever it is asked, and keeps no value. They were a checked record's, so they are sound."""

    def __init__(self, row: Row) -> None:
        self.__dict__.update(row=row, key=row.key, kind=row.kind, status=row.status, error=json.loads(row.error))

    row: Row

    @property
    def spec(self) -> dict[str, Any]:
        """What readers ask of it, no more."""
        return {**_read(self.row.asked), **json.loads(self.row.point)}

    @property
    def result(self) -> dict[str, Any]:
        return dict(json.loads(self.row.result))

    @property
    def cost(self) -> dict[str, Any]:
        return dict(json.loads(self.row.cost))

    @property
    def provenance(self) -> dict[str, Any]:
        return _read(self.row.provenance)

    @property
    def made_by(self) -> str:
        return self.row.provenance

    @property
    def saw(self) -> tuple[str, str]:
        dataset, weights = _parsed(self.row.saw)
        return dataset, weights

    @property
    def trial(self) -> TrialResult | None:
        return self._scored(TrialResult)

    @property
    def final(self) -> FinalResult | None:
        return self._scored(FinalResult)

    @property
    def pretraining(self) -> PretrainResult | None:
        return self._scored(PretrainResult)

    @property
    def unscored(self) -> Unscored:
        return self.final or _made(Unscored, self.row.result)

    @property
    def spent(self) -> Cost:
        return _made(Cost, self.row.cost)

    @property
    def asked(self) -> FitAsked:
        return _fit_asked(self.row.asked)

    @property
    def point(self) -> PointAsked:
        return PointAsked.model_validate(self.spec)

    @property
    def place(self) -> PointOf:
        return _made(PointOf, self.row.point)

    @property
    def learned(self) -> PretrainAsked:
        return PretrainAsked.model_validate(self.spec)

    def failed(self, error: str) -> Record:
        return Folded(self.row._replace(status="failed", result="{}", error=_text(error)))

    def _scored(self, part: type[F]) -> F | None:
        return _made(part, self.row.result) if self.status == "ok" else None


def fold(record: Record) -> Folded:
    """Of a record that was checked (`coherence.py`)."""
    asked = record.learned if record.kind == "pretrain" else record.asked
    told = {name: value for name, value in asked.plain().items() if name not in ("number", "hyper")}
    point = {name: record.spec[name] for name in ("number", "hyper") if record.kind in ("trial", "unchosen")}
    more = {name: record.spec[name] for name in ("rate_factor",) if name in record.spec}
    texts = (record.error, point, record.result, record.cost, {**told, **more}, record.saw, record.provenance)
    return Folded(Row(record.key, record.kind, record.status, *map(_text, texts)))


def _made(part: type[F], text: str) -> F:
    try:
        return part.model_validate_json(text)
    except ValidationError:  # its reader takes no half characters, which names of files have
        return part.model_validate(json.loads(text))


def _text(value: Any) -> str:
    return _ENCODER.encode(value)


@lru_cache(maxsize=1024)
def _fit_asked(text: str) -> FitAsked:
    return FitAsked.model_validate(_parsed(text))


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Any:
    return json.loads(text)


def _read(text: str) -> dict[str, Any]:
    """Of a text that many records share."""
    return dict(_parsed(text))
