"""Lists of examples in the forms that people publish -> one `Entry` of `split_lists.py`: text files of `name label`, as
VTAB-1k's, or of one index a line; JSON and .npz with `train`, `val` and `test`."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from bench.datasets import npz_file
from bench.datasets.base import Dataset
from bench.datasets.files import DataError, shown
from bench.datasets.split_lists import POOL, Entry, Part, read_text

PARTS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
OF_ALL = (".json", ".npz")  # files that hold all parts
FORMS = "train=FILE, validation=FILE and test=FILE, or one .json or .npz file of all three"


@dataclass(frozen=True)
class Mention:
    """Of one example, as a file has it."""

    where: str  # file and line
    part: str
    what: str | int  # the name of its file, or its index
    label: str = ""  # in the list's own words; "": it tells none


def mentions(files: Sequence[str]) -> list[Mention]:
    """Raises DataError."""
    found: list[Mention] = []
    for given in files:
        part, equals, name = given.partition("=")
        if equals and part in PARTS:
            found += _lines(Path(name), PARTS[part])
        elif Path(given).suffix.lower() in OF_ALL:
            found += _of_all(Path(given))
        else:
            raise DataError(f"{shown(given)}: expected {FORMS}")
    if not any(one.part == "train" for one in found):
        raise DataError(f"no example to learn from; expected {FORMS}")
    return found


def _lines(path: Path, part: str) -> Iterator[Mention]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        where, line = f"{shown(path)}:{number}", line.strip()
        name, _, label = (one.strip() for one in _split(line))
        if line.isdecimal():
            yield Mention(where, part, int(line))
        elif line and name:
            yield Mention(where, part, name, label)
        elif line:
            raise DataError(f"{where}: expected an index, or the name of a file and its label, got {line[:80]!r}")


def _split(line: str) -> tuple[str, str, str]:
    """The label is what stands behind the last space, since names may have some; a tab is as good."""
    return line.rpartition("\t") if "\t" in line else line.rpartition(" ")


def _of_all(path: Path) -> Iterator[Mention]:
    named = _arrays(path) if path.suffix.lower() == ".npz" else _object(path)
    for name, values in named.items():
        for place, value in enumerate(values):
            where = f"{shown(path)}: {name}[{place}]"
            if isinstance(value, bool) or not isinstance(value, int):
                raise DataError(f"{where}: expected an index, got {str(value)[:80]!r}")
            yield Mention(where, PARTS[name], value)


def _object(path: Path) -> dict[str, list[Any]]:
    try:
        found = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{shown(path)}: {error}") from None
    if not isinstance(found, dict) or not found.keys() <= PARTS.keys():
        raise DataError(f"{shown(path)}: expected an object of lists called {', '.join(PARTS)}")
    if strange := [name for name, values in found.items() if not isinstance(values, list)]:
        raise DataError(f"{shown(path)}: {strange[0]!r} is not a list of indices")
    return found


def _arrays(path: Path) -> dict[str, list[Any]]:
    names, arrays = npz_file.read(path, PARTS, _held)
    if strange := [name for name in names if name not in arrays]:
        raise DataError(f"{shown(path)}: holds {strange[0]!r}; expected arrays called {', '.join(PARTS)}")
    if strange := [name for name, array in arrays.items() if array.ndim != 1]:
        raise DataError(f"{shown(path)}: {strange[0]!r} is no plain row of indices")
    return {name: array.tolist() for name, array in arrays.items()}


def _held(heads: Mapping[str, npz_file.Head]) -> int:
    """Bytes: a number of an array becomes one of Python's in a list."""
    return sum(math.prod(shape) * 40 for shape, _ in heads.values())


def entry_of(found: Sequence[Mention], data: Dataset, names: Sequence[str] | None, budget: str | None = None) -> Entry:
    """`names`: of the files of the examples, those of the training split first. `budget`: as a suite has it."""
    finder = _Finder(data, names)
    places: dict[int, Mention] = {}
    for one in found:
        place = finder.place(one)
        if (other := places.setdefault(place, one)) is not one:
            raise DataError(f"{one.where}: {one.what!r} is listed as {one.part}, and as {other.part} in {other.where}")
    labels = np.concatenate([data.train.labels, data.test.labels])
    _check_labels(places, labels, data.classes)
    own = len(data.train.labels)
    tested = sorted(place for place, one in places.items() if one.part == "test")
    learned = sorted(place for place, one in places.items() if one.part != "test")
    is_own = learned[-1] < own and (not tested or tested[0] >= own)
    offset = own if is_own else 0
    return Entry(
        budget or _budget(np.bincount(labels[learned], minlength=len(data.classes))), None, data.sha256,
        "train" if is_own else POOL, "test" if is_own else POOL,
        Part(tuple(learned), tuple(labels[learned].tolist())),
        tuple(0 if places[place].part == "validation" else None for place in learned),
        Part(tuple(place - offset for place in tested), tuple(labels[tested].tolist())),
    )  # fmt: skip


def _budget(counts: Any) -> str:
    return str(counts[0]) if len(set(counts.tolist())) == 1 else f"total {counts.sum()}"


class _Finder:
    """Places in the pool of what lists name."""

    def __init__(self, data: Dataset, names: Sequence[str] | None) -> None:
        self._data = data
        self._names = names is not None
        self._by_path = {name: place for place, name in enumerate(names or ())}
        self._folder_of = {place: PurePosixPath(name).parent.name for name, place in self._by_path.items()}
        self._folders = set(self._folder_of.values()) - {""}
        self._by_name: dict[str, list[int]] = {}
        for name, place in self._by_path.items():
            self._by_name.setdefault(PurePosixPath(name).name, []).append(place)

    def place(self, one: Mention) -> int:
        return self._of_index(one, one.what) if isinstance(one.what, int) else self._of_name(one, one.what)

    def _of_index(self, one: Mention, index: int) -> int:
        if self._data.is_divided:
            raise DataError(f"{one.where}: an index, and this data set comes in one split, whose order is ours; give "
                            "names of files")
        split, offset = (self._data.test, len(self._data.train.labels)) if one.part == "test" else (self._data.train, 0)
        if not 0 <= index < len(split.labels):
            of = "test" if one.part == "test" else "train"
            raise DataError(f"{one.where}: index {index}, and {of!r} has {len(split.labels):,}, counted from 0")
        return offset + index

    def _of_name(self, one: Mention, name: str) -> int:
        """By its path within the data set; else by the name alone, where it is the only one and not said to lie in
        another folder of the set."""
        if not self._names:
            raise DataError(f"{one.where}: {name!r} names a file, and this data set does not tell what its files are "
                            "called")
        if name in self._by_path:
            return self._by_path[name]
        places = self._by_name.get(PurePosixPath(name).name, [])
        folder = PurePosixPath(name).parent.name
        if folder in self._folders:
            places = [place for place in places if self._folder_of[place] == folder]
        if len(places) != 1:
            many = f"{len(places)} files are called so" if places else "no such file"
            raise DataError(f"{one.where}: {name!r}: {many} in this data set")
        return places[0]


def _check_labels(places: dict[int, Mention], labels: Any, classes: Sequence[str]) -> None:
    """A list may number classes in its own way, but one of its labels has to be one class, and the reverse."""
    classes_of: dict[str, tuple[int, Mention]] = {}
    labels_of: dict[int, tuple[str, Mention]] = {}
    for place, one in places.items():
        if not one.label:
            continue
        mine = int(labels[place])
        known, first = classes_of.setdefault(one.label, (mine, one))
        called, other = labels_of.setdefault(mine, (one.label, one))
        if known != mine:
            raise DataError(f"{one.where}: label {one.label!r} of {one.what!r}, which is of class {classes[mine]!r} in "
                            f"this data set; in {first.where} it is class {classes[known]!r}")
        if called != one.label:
            raise DataError(f"{one.where}: label {one.label!r} of {one.what!r}, which is of class {classes[mine]!r} in "
                            f"this data set; in {other.where} that class has label {called!r}")
