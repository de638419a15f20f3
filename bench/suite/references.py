"""A file of published values -> checked references, or every problem of the file at once. `references_schema.py` says
what may stand in one; `planning/references.py` finds the cells that each value speaks of.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import SuiteError
from bench.suite import refusals
from bench.suite.files import Kind, mapping, read_text
from bench.suite.positions import Loc, Node, Problem
from bench.suite.references_schema import PartSpec, ProtocolSpec, ReferencesSpec, RowSpec, TableSpec
from bench.suite.shipped import HOME as SUITES

HOME = SUITES / "references"
A_FILE = Kind("reference", "a file of published values is a mapping with source, address and tables", HOME)


@dataclass(frozen=True)
class Reference:
    """One published value, and what it is of. What is not said, because a study has none, is empty or None."""

    value: float  # percent
    dataset: tuple[str, ...]  # patterns, any of which may fit
    labels: str  # budget, as tables show it
    backbone: tuple[str, ...]
    strategy: tuple[str, ...]
    pair: str
    treatment: str
    keep: int
    protocol: ProtocolSpec
    source: str
    table: str
    checked: str
    called: str


@dataclass(frozen=True)
class ReferenceFile:
    name: str  # its path, as the suite writes it
    text: str
    source: str
    address: str
    values: tuple[Reference, ...]


def load_references(path: Path, name: str, text: str | None = None) -> ReferenceFile:
    """Raises SuiteError with all problems. `text`: where it is known, it is not read from `path`."""
    text = read_text(path, A_FILE) if text is None else text
    tree, problems = mapping(text, path, A_FILE)
    spec: ReferencesSpec | None = None
    try:
        spec = ReferencesSpec.model_validate(tree.plain())
    except ValidationError as error:
        problems += refusals.problems_of(error, tree, ReferencesSpec)
    if spec is not None:
        problems += _mismatches(spec, tree)
    if problems or spec is None:
        raise SuiteError(str(problem) for problem in sorted(problems, key=lambda one: one.order))
    values = tuple(one for table in spec.tables for one in _values(spec, table))
    return ReferenceFile(name, text, spec.source, spec.address, values)


def _columns(table: TableSpec) -> tuple[PartSpec, ...]:
    return table.columns or (PartSpec(),)


def _values(spec: ReferencesSpec, table: TableSpec) -> Iterator[Reference]:
    for row in table.rows:
        for column, value in zip(_columns(table), row.values, strict=True):
            told = {**table.said, **column.said, **row.said}
            yield Reference(
                value, told["dataset"], told["labels"], told["backbone"], told.get("strategy", ()),
                told.get("pair", ""), told.get("treatment", ""), told.get("keep", 0),
                _protocol(table, column, row), spec.source, table.table, table.checked, row.called,
            )  # fmt: skip


def _protocol(*parts: PartSpec) -> ProtocolSpec:
    """What a later part says goes before; notes add up."""
    told: dict[str, Any] = {}
    for part in parts:
        told |= {name: getattr(part.protocol, name) for name in part.protocol.model_fields_set}
    notes = tuple(note for part in parts for note in part.protocol.notes)
    return ProtocolSpec(**{**told, "notes": notes})


def _mismatches(spec: ReferencesSpec, tree: Node) -> Iterator[Problem]:
    """Rows that do not fit their columns; values of which too little is said, or something twice."""
    for number, table in enumerate(spec.tables):
        for place, row in enumerate(table.rows):
            loc: Loc = ("tables", number, "rows", place)
            columns = _columns(table)
            if len(row.values) != len(columns):
                text = f"expected {len(columns)}, one for each column, got {len(row.values)}"
                yield Problem(tree.nearest((*loc, "values")).place, (*loc, "values"), text)
            for text in dict.fromkeys(text for column in columns for text in _wrong(table, column, row)):
                yield Problem(tree.nearest(loc).place, loc, text)


def _wrong(table: TableSpec, column: PartSpec, row: RowSpec) -> Iterator[str]:
    parts = (table.said, column.said, row.said)
    said = {name for part in parts for name in part}
    twice = [name for name in sorted(said) if sum(name in part for part in parts) > 1]
    if twice:
        yield f"{', '.join(twice)}: said twice, by two of table, column and row"
    if any(sum(bool(one) for one in (part.labels_per_class, part.fraction, part.total)) > 1
           for part in (table, column, row)):  # fmt: skip
        yield "labels: give one of labels_per_class, fraction and total"
    missing = [name for name in ("dataset", "labels", "backbone") if name not in said]
    if missing:
        yield f"{', '.join(missing)}: said nowhere, neither by the table nor by a column nor by this row"
    in_study = said & {"pair", "treatment", "keep"}
    if in_study and not {"pair", "treatment"} <= said:
        yield "a value of a study needs a pair and a treatment"
    if bool(in_study) == ("strategy" in said):
        yield "a value is of a strategy, or of a pair and a treatment in a study: say one of them"
