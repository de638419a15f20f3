"""A baseline: the results that somebody accepted, one line for each cell and repeat, to be read in a git diff.

Nights (`history.py`) are files of the same kind. `tonight.py` makes the rows, `accept.py` a baseline of them.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.gate.environment import FIELDS, Environment
from bench.gate.fingerprint import Fingerprint
from bench.gate.verdict import CellName
from bench.metrics import lowest
from bench.store import atomic, sealed

SCHEMA = 2
UNSEALED = 1  # the same rows, before there were checksums
NO_SEAL = "of an older version, which wrote no checksum: nobody can tell whether anything was changed since"
DECIMALS = 9  # of a score: exact for any test set that fits a disk


class BadBaseline(BenchError):
    """The file is not a baseline that this version reads."""


class NoBaseline(BadBaseline):
    """There is no such file."""


@dataclass(frozen=True)
class Row:
    cell: CellName
    repeat: int
    score: float  # share, or a correlation down to -1; rounded to DECIMALS
    metric: str
    num_test: int | None
    fingerprint: Fingerprint
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    # What older files lack. `lr`, `penalty`: the point that the search chose.
    lr: float | None = None
    penalty: float | None = None
    loss: float | None = None  # on the test split: whether two rows are equal to the bit, where scores are coarse
    weights: str | None = None  # of the pretraining inside the suite, the first digits of their digest
    first: float | None = None  # the oldest accepted score of this cell and repeat; None: this row's own

    @property
    def order(self) -> tuple[Any, ...]:
        cell = self.cell
        return cell.dataset, _budget_order(cell.budget), cell.backbone, cell.strategy, self.repeat


@dataclass(frozen=True)
class Baseline:
    suite: str
    accepted: str  # when, UTC, as the caller says it
    environment: Environment  # of most of the records
    device_model: str
    commit: str | None
    code: str | None
    dirty: bool | None
    repeats: int  # as planned
    allowed: tuple[str, ...]  # what would have been refused, and was let through
    rows: tuple[Row, ...]
    since: str | None = None  # when the oldest of the `first` scores was accepted
    is_sealed: bool = True  # False: of an older version, whose files had no checksum

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(sorted(self.rows, key=lambda row: row.order)))

    def cells(self) -> dict[CellName, list[Row]]:
        found: dict[CellName, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.cell, []).append(row)
        return found


def _budget_order(text: str) -> tuple[int, float, str]:
    """Growing numbers, one kind of budget after the other."""
    number = re.search(r"\d+(\.\d+)?", text)
    kind = 0 if text.isdecimal() else 1 if text.endswith("%") else 2 if text.startswith("total ") else 3
    return kind, float(number[0]) if number else math.inf, text


def write(path: Path, baseline: Baseline) -> None:
    atomic.write_bytes(path, encode(baseline))


def encode(baseline: Baseline) -> bytes:
    header = {
        "schema": SCHEMA,
        "suite": baseline.suite,
        "accepted": baseline.accepted,
        "commit": baseline.commit,
        "code": baseline.code,
        "dirty": baseline.dirty,
        "environment": baseline.environment.as_dict(),
        "device_model": baseline.device_model,
        "repeats": baseline.repeats,
        "allowed": list(baseline.allowed),
        **({"since": baseline.since} if baseline.since is not None else {}),
    }
    lines = [f"{_json(name)}: {_json(value)}," for name, value in header.items()]
    rows = ",\n".join(_json(_row_as_dict(row)) for row in baseline.rows)
    text = "\n".join(["{", *lines, '"results": [', *([rows] if rows else []), "]", "}", ""])
    # \udcXX of a file name that is not UTF-8 is its JSON escape too.
    return sealed.seal(text.encode("utf-8", "backslashreplace"))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _row_as_dict(row: Row) -> dict[str, Any]:
    more = {name: getattr(row, name) for name in RESULT_MORE}
    return {
        "dataset": row.cell.dataset, "budget": row.cell.budget, "backbone": row.cell.backbone,
        "strategy": row.cell.strategy, "repeat": row.repeat, "score": row.score, "metric": row.metric,
        "num_test": row.num_test, "fingerprint": str(row.fingerprint), "seconds": row.seconds,
        "peak_memory_bytes": row.peak_memory_bytes,
        **{name: value for name, value in more.items() if value is not None},
    }  # fmt: skip


def read(path: Path) -> Baseline:
    """Raises BadBaseline with one line that says what is wrong with the file."""
    try:
        data = path.read_bytes().replace(b"\r\n", b"\n")  # a checkout may have changed the line ends, and nothing else
    except FileNotFoundError:
        raise NoBaseline(f"{path}: no such baseline") from None
    except OSError as error:
        raise BadBaseline(f"{path}: cannot be read: {atomic.explain(error)}") from None
    try:
        return _decode(sealed.unseal(data, SCHEMA, UNSEALED))
    except ValueError as error:
        raise BadBaseline(f"{path}: {error}") from None


TEXT, OR_TEXT, FLAG, LIST, MAPPING = (str,), (str, type(None)), (bool, type(None)), (list,), (dict,)
COUNT, OR_COUNT, NUMBER, OR_NUMBER = (int,), (int, type(None)), (int, float), (int, float, type(None))
WORDS = {
    TEXT: "text", OR_TEXT: "text or null", FLAG: "true, false or null", LIST: "a list", MAPPING: "a mapping",
    COUNT: "a whole number from 0", OR_COUNT: "a whole number from 0, or null", NUMBER: "a number from 0",
    OR_NUMBER: "a number from 0, or null",
}  # fmt: skip
SIGNED = ("score", "first")  # may be negative: a correlation
Types = Mapping[str, tuple[type, ...]]
HEADER: Types = {
    "schema": COUNT, "suite": TEXT, "accepted": TEXT, "commit": OR_TEXT, "code": OR_TEXT, "dirty": FLAG,
    "environment": MAPPING, "device_model": TEXT, "repeats": COUNT, "allowed": LIST, "results": LIST,
}  # fmt: skip
HEADER_MORE: Types = {"since": TEXT}  # these may be absent, as in older files
RESULT_MORE: Types = {"lr": NUMBER, "penalty": NUMBER, "loss": NUMBER, "weights": TEXT, "first": NUMBER}
ENVIRONMENT: Types = dict.fromkeys(FIELDS, TEXT)
RESULT: Types = {
    "dataset": TEXT, "budget": TEXT, "backbone": TEXT, "strategy": TEXT, "repeat": COUNT, "score": NUMBER,
    "metric": TEXT, "num_test": OR_COUNT, "fingerprint": TEXT, "seconds": OR_NUMBER, "peak_memory_bytes": OR_COUNT,
}  # fmt: skip


def _checked(raw: Any, types: Types, where: str, more: Types | None = None) -> dict[str, Any]:
    """`more`: what may be absent."""
    if not isinstance(raw, dict):
        raise ValueError(f"{where} is no mapping")
    for name in types:
        if name not in raw:
            raise ValueError(f"{where} has no {name!r}")
    known = {**types, **(more or {})}
    for name, value in raw.items():
        if name not in known:
            raise ValueError(f"{where} has {name!r}, which this version does not know")
        if not _fits(value, known[name], name in SIGNED):
            raise ValueError(f"{where}: {name!r} is {value!r}, expected {WORDS[known[name]]}")
    return raw


def _fits(value: Any, types: tuple[type, ...], is_signed: bool) -> bool:
    if isinstance(value, bool):
        return bool in types
    if isinstance(value, int | float):
        return isinstance(value, types) and math.isfinite(value) and (value >= 0 or is_signed)
    return isinstance(value, types)


def _decode(raw: Any) -> Baseline:
    header = _checked(raw, HEADER, "the file", HEADER_MORE)
    environment = Environment.from_dict(_checked(header["environment"], ENVIRONMENT, "environment"))
    if not all(isinstance(one, str) for one in header["allowed"]):
        raise ValueError("the file: 'allowed' is no list of texts")
    rows = tuple(_row(one, f"results[{number}]") for number, one in enumerate(header["results"]))
    _check_rows(rows)
    return Baseline(
        environment=environment,
        allowed=tuple(header["allowed"]),
        rows=rows,
        since=header.get("since"),
        is_sealed=header["schema"] != UNSEALED,
        **{name: header[name] for name in ("suite", "accepted", "device_model", "commit", "code", "dirty", "repeats")},
    )


def _row(raw: Any, where: str) -> Row:
    found = _checked(raw, RESULT, where, RESULT_MORE)
    low = lowest(found["metric"])
    for name in ("score", "first"):
        if not low <= found.get(name, 0) <= 1:
            raise ValueError(f"{where}: {name!r} is {found[name]}, expected a number between {low:g} and 1")
    if found["num_test"] == 0:
        raise ValueError(f"{where}: 'num_test' is 0")
    try:
        mark = Fingerprint.parse(found["fingerprint"])
    except ValueError as error:
        raise ValueError(f"{where}: 'fingerprint': {error}") from None
    return Row(
        cell=CellName(found["dataset"], found["budget"], found["backbone"], found["strategy"]),
        repeat=found["repeat"],
        score=float(found["score"]),
        metric=found["metric"],
        num_test=found["num_test"],
        fingerprint=mark,
        seconds=None if found["seconds"] is None else float(found["seconds"]),
        peak_memory_bytes=found["peak_memory_bytes"],
        **{name: found.get(name) for name in RESULT_MORE},
    )


def _check_rows(rows: tuple[Row, ...]) -> None:
    seen: dict[tuple[CellName, int], int] = {}
    kinds: dict[CellName, tuple[Any, ...]] = {}
    for number, row in enumerate(rows):
        first = seen.setdefault((row.cell, row.repeat), number)
        if first != number:
            raise ValueError(f"results[{number}] stands twice: {row.cell}, repeat {row.repeat}")
        kind = (row.fingerprint, row.metric, row.num_test)
        if kinds.setdefault(row.cell, kind) != kind:
            raise ValueError(f"results[{number}]: {row.cell} differs between its repeats in more than its score")
