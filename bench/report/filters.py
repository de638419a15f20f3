"""What a reader may filter by, and the marks that say which rows, columns and drawings speak of what.

A mark is a letter and a number: `d0` is the first data set. `templates/filter.js` hides what has a mark of a kind that
is filtered and none that was asked for; what has no mark of that kind stays. A column with one of the `TITLES` marks
its rows by itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.analysis.cells import Row
from bench.analysis.words import labels, shortened
from bench.report.view import Column, TableCell

KINDS = {"dataset": "Dataset", "backbone": "Backbone", "strategy": "Strategy", "budget": "Labels"}
LETTERS = {"dataset": "d", "backbone": "b", "strategy": "s", "budget": "l"}
TITLES = {title: kind for kind, title in KINDS.items()} | {"Target": "dataset"}


@dataclass(frozen=True)
class Choice:
    """One box to tick."""

    name: str
    words: str
    mark: str


@dataclass(frozen=True)
class Filters:
    kinds: dict[str, list[Choice]] = field(default_factory=dict)  # those with two names at least
    known: dict[str, dict[str, str]] = field(default_factory=dict)  # kind -> a name, or its words -> the mark

    @staticmethod
    def of(summary: Sequence[Row], budgets: Iterable[str]) -> "Filters":
        """`budgets` in the order in which the page has them."""
        names = {kind: list(dict.fromkeys(row[kind] for row in summary)) for kind in KINDS} | {"budget": list(budgets)}
        kinds = {
            kind: [Choice(name, labels(name) if kind == "budget" else shortened(name), f"{LETTERS[kind]}{number}")
                   for number, name in enumerate(found)]
            for kind, found in names.items() if len(found) > 1
        }  # fmt: skip
        known = {
            kind: {key: one.mark for one in found for key in (one.words, one.name)} for kind, found in kinds.items()
        }
        return Filters(kinds, known)

    def marks(self, **names: str) -> str:
        """`marks(dataset="digits", budget="5")`; nothing for what is not filtered by."""
        found = (self.known.get(kind, {}).get(name, "") for kind, name in names.items())
        return " ".join(filter(None, found))

    def of_row(self, columns: Sequence[Column], row: Sequence[TableCell]) -> str:
        """The marks of all that its cells name."""
        found = [cell.about for cell in row]
        for column, cell in zip(columns, row, strict=True):
            if column.title in TITLES:
                raw = cell.text if cell.value is None else str(cell.value)
                found.append(self.marks(**{TITLES[column.title]: raw}))
        return " ".join(filter(None, found))

    def title(self, kind: str) -> str:
        return KINDS[kind]
