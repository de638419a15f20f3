"""Lists of examples that somebody drew elsewhere: which a repeat learns from, validates on and is tested on.

`read` takes what `bench splits export` writes, a table or JSON. `planning/lists.py` holds a list against a data set.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from bench.datasets.base import DatasetFacts
from bench.datasets.files import DataError, listed, shown
from bench.datasets.sampling import Division, Indices
from bench.keys import digest
from bench.spec.refs import LabelBudget, Search

COLUMNS = ["dataset", "sha256", "budget", "repeat", "part", "fold", "of", "index", "label"]
FILE = "file"  # a further column, of data sets whose examples are files
POOL = "pool"  # all examples, those of the training split first: what repeats divide anew
OF = {"train": ("train", POOL), "test": ("test", POOL)}  # what indices of a part may be into
MOST = 256 << 20  # bytes of a list
BY_REPEAT, FOR_ALL = "repeat", "every repeat"


@dataclass(frozen=True)
class Part:
    indices: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()  # that the list gives them; (): it gives none
    lines: tuple[int, ...] = field(default=(), compare=False)  # of its file, counted from 1; () in JSON

    def where(self, place: int) -> str:
        return f":{self.lines[place]}" if self.lines else ""


@dataclass(frozen=True)
class Entry:
    """What a list says of one label budget and one repeat."""

    budget: str  # as `LabelBudget.text` has it
    repeat: int | None  # None: of every repeat
    sha256: str  # of the data that it was made for; "": it does not say
    of_train: str
    of_test: str
    train: Part  # all that is labelled, validation examples too
    folds: tuple[int | None, ...]  # of each labelled example, the fold that validates on it; None: it always trains
    test: Part

    @property
    def text(self) -> str:
        return f"budget {self.budget!r}, {FOR_ALL if self.repeat is None else f'{BY_REPEAT} {self.repeat}'}"

    @property
    def parts(self) -> Iterator[tuple[str, str, Part]]:
        yield "train", self.of_train, self.train
        yield "test", self.of_test, self.test


@dataclass(frozen=True)
class SplitList:
    name: str  # of its file, as a message shows it
    entries: tuple[Entry, ...]

    @property
    def budgets(self) -> list[str]:
        return list(dict.fromkeys(entry.budget for entry in self.entries))

    def find(self, budget: str, repeat: int) -> Entry | None:
        return next((e for e in self.entries if e.budget == budget and e.repeat in (repeat, None)), None)

    @property
    def text(self) -> str:
        """As `read` takes it again, on one line and without what the lines of a table say of labels."""
        return json.dumps([plain(entry) for entry in self.entries], separators=(",", ":"))

    @property
    def digest(self) -> str:
        """Of what it says, in whatever form and order of its rows."""
        said = [plain(entry) for entry in self.entries]
        return digest(sorted(said, key=lambda one: (one["budget"], -1 if one["repeat"] is None else one["repeat"])))


@dataclass(frozen=True)
class Listed:
    """What a list says of the labels of one repeat, by places that do not depend on how it was written."""

    train: tuple[int, ...]  # in the repeat's training split, ascending
    validation: tuple[tuple[int, ...], ...]  # in `train`, ascending, for each fold or a hold-out; (): drawn as ever

    def search(self, asked: Search) -> Search:
        """As it validates then: on each fold, or on a hold-out of some share."""
        if len(self.validation) == 1:
            return replace(asked, folds=0, holdout=len(self.validation[0]) / len(self.train))
        return replace(asked, folds=len(self.validation)) if self.validation else asked


@dataclass(frozen=True)
class TaskList:
    """What a list says of one task, repeat by repeat."""

    name: str  # of the file, as the suite has it
    digest: str  # of all that the file says
    repeats: tuple[Listed, ...]
    parted: tuple[Division | None, ...]  # of each repeat; None: the list leaves the set's own splits as they are

    @cached_property
    def labels(self) -> dict[str, Listed]:
        return {digest(one): one for one in self.repeats}

    @cached_property
    def divisions(self) -> dict[str, Division]:
        return {digest(one): one for one in self.parted if one is not None}

    @property
    def keys(self) -> list[str]:
        """Of each repeat's labels."""
        return [digest(one) for one in self.repeats]

    @property
    def splits(self) -> tuple[int | str, ...]:
        """As `Cell.splits` has them."""
        return tuple(digest(one) for one in self.parted if one is not None)

    @property
    def num_labels(self) -> int:
        return len(self.repeats[0].train)

    @property
    def validates(self) -> bool:
        """Whether searches are scored on what the list says; else that is drawn. One search may serve all repeats."""
        return bool(self.repeats[0].validation)

    @property
    def told(self) -> str:
        parts = {"validation": self.validates, "test": bool(self.splits)}
        what = " and ".join(["labelled", *(name for name, is_there in parts.items() if is_there)])
        rest = "" if parts["validation"] else "; validation examples are drawn from the labelled ones"
        rest += "" if parts["test"] else "; all of the test split is tested on"
        return f"{what} examples of each repeat are those of the list {self.name} (content {self.digest[:12]}){rest}"

    def seen(self, facts: DatasetFacts) -> DatasetFacts:
        """Sizes of the classes within a list are not looked up."""
        first = self.parted[0]
        if first is None:
            return facts
        return replace(facts, num_train=len(first.train), num_test=len(first.test), train_sizes=(), test_sizes=())

    @property
    def label_overlap(self) -> float:
        """Share of the labels that two repeats have in common, on average; NaN of one repeat."""
        pairs = zip(self.repeats, self.parted, strict=True)
        return _common([set(one.train) if part is None else {part.train[place] for place in one.train}
                        for one, part in pairs])  # fmt: skip

    @property
    def test_overlap(self) -> float:
        return _common([set(part.test) for part in self.parted if part is not None]) if self.splits else 1.0


def _common(sets: list[set[int]]) -> float:
    shares = [len(one & other) / len(one) for one, other in combinations(sets, 2)]
    return sum(shares) / len(shares) if shares else math.nan


@dataclass(frozen=True)
class Lists:
    """All that lists say of a plan's examples, by digest of what they say."""

    labels: dict[str, Listed] = field(default_factory=dict)
    divisions: dict[str, Division] = field(default_factory=dict)

    def division(self, split: int | str | None) -> int | Division | None:
        """What `DataRef.split` stands for: a seed stays one."""
        return self.divisions[split] if isinstance(split, str) else split

    def of(self, splits: Iterable[int | str | None]) -> list[int | Division | None]:
        return [self.division(split) for split in splits]


def plain(entry: Entry) -> dict[str, Any]:
    """As JSON has it."""
    numbers = sorted({fold for fold in entry.folds if fold is not None})
    return {
        "sha256": entry.sha256, "budget": entry.budget, "repeat": entry.repeat,
        "of": {"train": entry.of_train, "test": entry.of_test}, "train": sorted(entry.train.indices),
        "validation": [sorted(index for index, fold in zip(entry.train.indices, entry.folds, strict=True)
                              if fold == number) for number in numbers],
        "test": sorted(entry.test.indices),
    }  # fmt: skip


def read(path: Path) -> SplitList:
    """Raises DataError, one line that names the file and, of a table, its line."""
    return parse(read_text(path), shown(path))


def read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST:
            raise DataError(f"{shown(path)}: over {MOST >> 20} MiB, which no list of examples needs")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(path)}: not UTF-8 text (byte {error.start})") from None


def parse(text: str, name: str) -> SplitList:
    entries = _of_json(text, name) if text.lstrip().startswith(("[", "{")) else _of_table(text, name)
    if not entries:
        raise DataError(f"{name}: lists no example")
    for entry in entries:
        _check(entry, name)
    for budget in dict.fromkeys(entry.budget for entry in entries):
        repeats = [entry.repeat for entry in entries if entry.budget == budget]
        if len(set(repeats)) < len(repeats) or (None in repeats and len(repeats) > 1):
            raise DataError(f"{name}: budget {budget!r} has more than one list for the same repeat")
    return SplitList(name, tuple(entries))


def _check(entry: Entry, name: str) -> None:
    """What can be told without the data."""
    try:
        LabelBudget.of(entry.budget)
    except ValueError as error:
        raise DataError(f"{name}: {error}") from None
    if not entry.train.indices:
        raise DataError(f"{name}: {entry.text}: no labelled example (part `train`)")
    for what, of, part in entry.parts:
        if of not in OF[what]:
            raise DataError(f"{name}{part.where(0) if part.indices else ''}: {what} examples of {of!r}; expected "
                            f"{' or '.join(OF[what])}")
        if (place := next(_again(part.indices), None)) is not None:
            raise DataError(f"{name}{part.where(place)}: {entry.text}: {what} example {part.indices[place]} of {of} "
                            "is listed twice")


def _again(indices: Iterable[int]) -> Iterator[int]:
    """Places of what came before."""
    seen: set[int] = set()
    for place, index in enumerate(indices):
        if index in seen:
            yield place
        seen.add(index)


def _of_json(text: str, name: str) -> list[Entry]:
    try:
        found = json.loads(text)
        return [_of_object(one) for one in found]
    except ValueError as error:
        raise DataError(f"{name}: {error}") from None
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{name}: expected a list of objects as `splits export --to json` writes them "
                        f"({type(error).__name__}: {error})") from None


def _of_object(one: dict[str, Any]) -> Entry:
    train, test = (tuple(map(_whole, one[part])) for part in ("train", "test"))
    fold_of: dict[int, int] = {}
    for number, held in enumerate(one["validation"]):
        for index in map(_whole, held):
            if fold_of.setdefault(index, number) != number:
                raise ValueError(f"example {index} is in folds {fold_of[index]} and {number}")
    if absent := sorted(fold_of.keys() - set(train)):
        raise ValueError(f"validation example {listed(absent, 3)} is not in `train`, which holds all that is labelled")
    repeat = one["repeat"] if one["repeat"] is None else _whole(one["repeat"])
    folds = tuple(fold_of.get(index) for index in train)
    return Entry(str(one["budget"]), repeat, str(one.get("sha256") or ""), str(one["of"]["train"]),
                 str(one["of"]["test"]), Part(train), folds, Part(test))  # fmt: skip


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"expected a whole number, got {value!r}")
    return value


@dataclass
class _Rows:
    """Of a table, for one budget and repeat."""

    sha256: str
    of: dict[str, str] = field(default_factory=dict)
    indices: dict[str, list[int]] = field(default_factory=lambda: {"train": [], "test": []})
    labels: dict[str, list[int]] = field(default_factory=lambda: {"train": [], "test": []})
    lines: dict[str, list[int]] = field(default_factory=lambda: {"train": [], "test": []})
    folds: list[int | None] = field(default_factory=list)

    def part(self, name: str) -> Part:
        return Part(tuple(self.indices[name]), tuple(self.labels[name]), tuple(self.lines[name]))


def _of_table(text: str, name: str) -> list[Entry]:
    rows = csv.reader(io.StringIO(text))
    try:
        return _of_rows(rows, name)
    except csv.Error as error:
        raise DataError(f"{name}:{rows.line_num}: {error}") from None


def _of_rows(rows: Any, name: str) -> list[Entry]:
    head: list[str] = next(rows, [])
    if head not in (COLUMNS, [*COLUMNS, FILE]):
        raise DataError(f"{name}:1: expected the columns {','.join(COLUMNS)}, got {','.join(head)[:200]}")
    found: dict[tuple[str, int | None], _Rows] = {}
    for row in rows:
        if row:
            try:
                _add(dict(zip(head, row, strict=True)), rows.line_num, found)
            except ValueError as error:
                raise DataError(f"{name}:{rows.line_num}: {error}") from None
    return [
        Entry(budget, repeat, one.sha256, one.of.get("train", "train"), one.of.get("test", "test"), one.part("train"),
              tuple(one.folds), one.part("test"))
        for (budget, repeat), one in found.items()
    ]  # fmt: skip


def _add(row: dict[str, str], line: int, found: dict[tuple[str, int | None], _Rows]) -> None:
    repeat = _number(row, "repeat") if row["repeat"] else None
    mine = found.setdefault((row["budget"], repeat), _Rows(row["sha256"]))
    part = row["part"]
    if part not in OF:
        raise ValueError(f"part {part!r}; expected train or test, and a `fold` where it validates")
    if row["sha256"] != mine.sha256:
        raise ValueError("another sha256 than the rows before: a list is made for one data set")
    if row["of"] != mine.of.setdefault(part, row["of"]):
        raise ValueError(f"index of {row['of']!r}, and the rows before are of {mine.of[part]!r}")
    mine.indices[part].append(_number(row, "index"))
    mine.labels[part].append(_number(row, "label"))
    mine.lines[part].append(line)
    if part == "train":
        mine.folds.append(_number(row, "fold") if row["fold"] else None)
    elif row["fold"]:
        raise ValueError("a test example in a fold")


def _number(row: dict[str, str], column: str) -> int:
    if not row[column].isdecimal():
        raise ValueError(f"{column}: expected a whole number from 0 on, got {row[column]!r}")
    return int(row[column])


def table_of(dataset: str, entries: Iterable[Entry], files: Mapping[str, Sequence[str]] | None = None) -> str:
    """A row for each example that a repeat learns from or is tested on. `fold`: in which it validates; the others of
    its part train there. Nothing where it never validates. No repeat: of every one. `files`: names by what indices are
    of, for other programs; nothing reads them back."""
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(COLUMNS if files is None else [*COLUMNS, FILE])
    for one in entries:
        head = [dataset, one.sha256, one.budget, "" if one.repeat is None else one.repeat]
        never = (None,) * len(one.test.indices)
        parts = (("train", one.of_train, one.train, one.folds), ("test", one.of_test, one.test, never))
        for name, of, part, folds in parts:
            for fold, index, label in zip(folds, part.indices, part.labels, strict=True):
                named = [] if files is None else [files[of][index]]
                rows.writerow([*head, name, "" if fold is None else fold, of, index, label, *named])
    return stream.getvalue()


def places(entry: Entry, sizes: tuple[int, int]) -> tuple[Indices, Indices]:
    """In the pool: of what is labelled, and of what is tested on, in the list's order. `sizes`: of training and test
    split."""
    offset = 0 if entry.of_test == POOL else sizes[0]
    return np.array(entry.train.indices, np.int64), np.array(entry.test.indices, np.int64) + offset
