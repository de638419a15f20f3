"""Loaded datasets on disk: drawn, decoded or unpacked once, then opened by any number of processes without copying.

An entry is a folder of plain .npy files and `about.json`. It appears whole, under its final name, or not at all. Each
process that trains on it reads all of it once, when it opens it, and holds it against the digests in `about.json`: an
entry that holds anything else is told of and built again, by one process while others wait. Images that came in one
split lie in one file, those of the training split first, so that repeats which divide them anew share it. Others need
`load`, and for a look at what sets have in common `kept_prints`.
"""

import functools
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.catalogue import Options
from bench.datasets import find
from bench.datasets.base import Dataset, DatasetEntry, Split
from bench.errors import BenchError
from bench.keys import digest
from bench.modalities import MODALITIES
from bench.store import atomic, locks

FORMAT = 5  # of the folder; a change makes old entries unknown, not wrong
ABOUT = "about.json"
SPLITS = ("train", "test")
POOL = "pool"
SHIFT = "shift"  # a further split, of sets that have one
REMEMBERED = 8  # entries that a process keeps mapped, and need not read again

log = logging.getLogger(__name__)

Tell = Callable[[str], None]


def load(
    name: str, options: Options, cache_dir: Path, revision: str | None = None, tell: Tell = log.warning
) -> Dataset:
    """The dataset, its arrays read-only and mapped from `cache_dir`, as they were put there.

    Where the folder cannot be written, the arrays come straight from the loader. `revision`: where it is known. `tell`:
    how a person learns that an entry was damaged.
    """
    entry = find(name)
    revision = revision or entry.facts(options).revision
    shelf = _shelf(entry, options, cache_dir, revision)
    known = shelf.sound()
    if known is not None:
        return known
    with locks.taking_turns(cache_dir / f".{shelf.key}.lock", tell):
        try:
            if (known := shelf.open()) is not None:  # another process was quicker
                return known
        except _Damaged as damage:
            tell(f"dataset {name}: {damage}; it is built anew")
        fresh = entry.load(options)
        if entry.is_read and entry.facts(options).revision != revision:
            raise BenchError(f"dataset {name!r} was changed after this run was planned; start it again")
        try:
            shelf.put(fresh)
        except OSError as error:
            tell(f"dataset {name} is not kept in {cache_dir}: {error}")
            return fresh
    return shelf.sound() or fresh


def kept(name: str, options: Options, cache_dir: Path, revision: str) -> Dataset | None:
    """The dataset if it lies in `cache_dir`, and whole. Where it does not, `load` says so and builds it."""
    return _shelf(find(name), options, cache_dir, revision).sound()


def kept_prints(name: str, options: Options, cache_dir: Path, revision: str) -> Dataset | None:
    """The same where prints, labels and classes are whole. Nobody has looked at the examples: not to train on."""
    return _shelf(find(name), options, cache_dir, revision).sound(prints_alone=True)


def folder_of(name: str, options: Options, cache_dir: Path, revision: str) -> Path:
    """Where its entry lies, or would lie."""
    return _shelf(find(name), options, cache_dir, revision).place


def _shelf(entry: DatasetEntry, options: Options, cache_dir: Path, revision: str) -> "_Shelf":
    identity = [FORMAT, entry.name, options.in_key(entry.where), revision]
    return _Shelf(cache_dir, digest(identity), identity, entry.modality)


class _Damaged(ValueError):
    """An entry that holds something else than was put there."""


@dataclass(frozen=True)
class _Shelf:
    root: Path
    key: str
    # What the key is made of, kept in the entry so that a person can tell what it is.
    identity: list[Any] = field(compare=False)
    modality: str  # where an entry does not say

    @property
    def place(self) -> Path:
        return self.root / self.key

    def sound(self, prints_alone: bool = False) -> Dataset | None:
        try:
            return self.open(prints_alone)
        except _Damaged:
            return None

    def open(self, prints_alone: bool = False) -> Dataset | None:
        """None where there is no entry. Raises _Damaged."""
        try:
            return _opened(self, tuple(map(_mark, sorted(self.place.iterdir()))), prints_alone)
        except Exception as error:  # numpy and a modality's own check meet damage in many ways
            if not self.place.exists():
                return None
            why = next(iter(str(error).splitlines()), "")
            raise _Damaged(f"what {self.place} keeps of it is damaged ({type(error).__name__}: {why})") from error

    def read(self, prints_alone: bool) -> Dataset:
        """All of it, once, or all but the examples. Raises whatever damage makes of that."""
        about = json.loads((self.place / ABOUT).read_text(encoding="utf-8"))
        if about["identity"] != self.identity:
            raise ValueError(f"{ABOUT} is of another set")
        num_train, modality = about["num_train"], about.get("modality", self.modality)
        parts = (*MODALITIES[modality].columns, "labels", "prints")
        if num_train is None:
            arrays = [{part: self._map(split, part) for part in parts} for split in SPLITS]
        else:
            whole = {part: self._map(POOL, part) for part in parts}
            rows = slice(None, num_train), slice(num_train, None)
            arrays = [{part: array[own] for part, array in whole.items()} for own in rows]
        if (self.place / f"{SHIFT}_labels.npy").exists():  # what is missing, or too much, has another digest
            arrays.append({part: self._map(SHIFT, part) for part in parts})
        train, test, *shift = (_split(one, modality) for one in arrays)
        dataset = Dataset(
            tuple(about["classes"]), train, test, num_train is not None, shift[0] if shift else None
        )  # fmt: skip
        if num_train is not None:
            vars(dataset)["pool"] = _split(whole, modality)  # a cached property: no copy
        if _sha256_of_prints(dataset) != about["prints_sha256"]:
            raise ValueError("other prints, labels or classes than were put there")
        if not prints_alone and dataset.sha256 != about["sha256"]:
            raise ValueError("other examples than were put there")
        return dataset

    def _map(self, split: str, part: str) -> npt.NDArray[Any]:
        array: npt.NDArray[Any] = np.load(self.place / f"{split}_{part}.npy", mmap_mode="r", allow_pickle=False)
        return array

    def put(self, dataset: Dataset) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        building = atomic.temporary_in(self.root)
        try:
            building.mkdir()
            self._write(dataset, building)
            self._publish(building)
        finally:
            _discard(building)

    def _write(self, dataset: Dataset, folder: Path) -> None:
        parts = {split: _parts(getattr(dataset, split)) for split in SPLITS}
        files = {f"{split}_{part}": [array] for split, own in parts.items() for part, array in own.items()}
        if dataset.is_divided:
            files = {f"{POOL}_{part}": [own[part] for own in parts.values()] for part in parts[SPLITS[0]]}
        if dataset.shift is not None:
            files |= {f"{SHIFT}_{part}": [array] for part, array in _parts(dataset.shift).items()}
        for name, pieces in files.items():
            _save(folder / f"{name}.npy", pieces)
        about = {
            "identity": self.identity,
            "classes": dataset.classes,
            "modality": dataset.train.modality,
            "num_train": len(dataset.train.labels) if dataset.is_divided else None,
            "sha256": dataset.sha256,
            "prints_sha256": _sha256_of_prints(dataset),
        }
        with (folder / ABOUT).open("w", encoding="utf-8") as file:
            json.dump(about, file, indent=1)
            _settle(file)

    def _publish(self, building: Path) -> None:
        """Give the finished folder its name. If another process was quicker and its entry is sound, ours is dropped."""
        try:
            building.rename(self.place)
        except OSError:
            if self.sound() is not None:
                return
            # Renamed before it is deleted: whoever has the damaged files open keeps them until it closes them.
            damaged = atomic.temporary_in(self.root)
            self.place.rename(damaged)
            building.rename(self.place)
            _discard(damaged)


def _split(arrays: dict[str, npt.NDArray[Any]], modality: str) -> Split:
    columns = {name: arrays[name] for name in MODALITIES[modality].columns}
    found = Split(columns, arrays["labels"], modality=modality)
    vars(found)["prints"] = arrays["prints"]  # a cached property too: they are not computed again
    return found


@functools.lru_cache(maxsize=REMEMBERED)
def _opened(shelf: _Shelf, marks: tuple[tuple[str | int, ...], ...], prints_alone: bool) -> Dataset:
    """`marks`: of the entry's files. While they stay, the entry is not read again."""
    return shelf.read(prints_alone)


def _mark(path: Path) -> tuple[str | int, ...]:
    found = path.stat()
    return path.name, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _sha256_of_prints(dataset: Dataset) -> str:
    """With labels and classes: all that is asked of examples before anybody trains on them. And of the types of the
    columns, which no other digest holds."""
    found = hashlib.sha256(repr(dataset.classes).encode())
    for split in dataset.splits.values():
        for array in (split.prints, *split.columns.values()):
            found.update(f"{array.dtype.str} {array.shape}".encode())
        for array in (split.prints, split.labels):
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _parts(split: Split) -> dict[str, npt.NDArray[Any]]:
    return {**split.columns, "labels": split.labels, "prints": split.prints}


def _save(path: Path, pieces: list[npt.NDArray[Any]]) -> None:
    """As one array. They are not put together in memory."""
    shape = sum(map(len, pieces)), *pieces[0].shape[1:]
    head = {"descr": np.lib.format.dtype_to_descr(pieces[0].dtype), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, head)
        for piece in pieces:
            file.write(np.ascontiguousarray(piece).data)
        _settle(file)


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _settle(file: Any) -> None:
    """On the disk, not in a buffer: a name must not outlive a power cut that its content does not."""
    file.flush()
    os.fsync(file.fileno())
