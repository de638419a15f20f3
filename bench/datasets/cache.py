"""Loaded datasets on disk: drawn, decoded or unpacked once, then opened by any number of processes without copying.

An entry is a folder of plain .npy files and `about.json`. It appears whole, under its final name, or not at all; a
damaged one is built again. Images that came in one split lie in one file, those of the training split first, so that
repeats which divide them anew share it. `load` is all that others need.
"""

import json
import logging
import os
import shutil
from dataclasses import dataclass
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
from bench.store import atomic

FORMAT = 3  # of the folder; a change makes old entries unknown, not wrong
ABOUT = "about.json"
SPLITS = ("train", "test")
POOL = "pool"

log = logging.getLogger(__name__)


def load(name: str, options: Options, cache_dir: Path, revision: str | None = None) -> Dataset:
    """The dataset, its arrays read-only and mapped from `cache_dir`, its `sha256` known without touching a pixel.

    Where the folder cannot be written, the arrays come straight from the loader. `revision`: where it is known.
    """
    entry = find(name)
    revision = revision or entry.facts(options).revision
    shelf = _shelf(entry, options, cache_dir, revision)
    known = shelf.open()
    if known is not None:
        return known
    fresh = entry.load(options)
    if entry.is_read and entry.facts(options).revision != revision:
        raise BenchError(f"dataset {name!r} was changed after this run was planned; start it again")
    try:
        shelf.put(fresh)
    except OSError as error:
        log.warning("dataset %s is not kept in %s: %s", name, cache_dir, error)
        return fresh
    return shelf.open() or fresh


def kept(name: str, options: Options, cache_dir: Path, revision: str) -> Dataset | None:
    """The dataset if it lies in `cache_dir`."""
    return _shelf(find(name), options, cache_dir, revision).open()


def _shelf(entry: DatasetEntry, options: Options, cache_dir: Path, revision: str) -> "_Shelf":
    settings = options.model_dump(mode="json", exclude=set(entry.where))
    identity = [FORMAT, entry.name, settings, revision]
    return _Shelf(cache_dir, digest(identity), identity, entry.modality)


@dataclass(frozen=True)
class _Shelf:
    root: Path
    key: str
    identity: list[Any]  # what the key is made of, kept in the entry so that a person can tell what it is
    modality: str

    @property
    def columns(self) -> tuple[str, ...]:
        return MODALITIES[self.modality].columns

    @property
    def parts(self) -> tuple[str, ...]:
        """Files of each split."""
        return (*self.columns, "labels", "prints")

    @property
    def place(self) -> Path:
        return self.root / self.key

    def open(self) -> Dataset | None:
        """None if there is no entry, or none that can be trusted. Sizes are checked, pixels are not read."""
        try:
            about = json.loads((self.place / ABOUT).read_text(encoding="utf-8"))
            if about["identity"] != self.identity:
                return None
            num_train, arrays = about.get("num_train"), about["arrays"]
            if num_train is None:
                train, test = (self._open_split(self._opened(split, arrays)) for split in SPLITS)
            else:
                whole = self._opened(POOL, arrays)
                rows = slice(None, num_train), slice(num_train, None)
                train, test = (self._open_split({part: array[own] for part, array in whole.items()}) for own in rows)
            dataset = Dataset(tuple(about["classes"]), train, test, is_divided=num_train is not None)
            sha256 = str(about["sha256"])
        except (OSError, ValueError, TypeError, KeyError, AssertionError):
            return None
        # `Dataset.sha256` is computed once and then kept here: hand it the value that was computed when it was built.
        vars(dataset)["sha256"] = sha256
        if num_train is not None:
            vars(dataset)["pool"] = self._open_split(whole)  # likewise: no copy
        return dataset

    def _opened(self, split: str, arrays: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
        opened = {}
        for part in self.parts:
            name = f"{split}_{part}.npy"
            path = self.place / name
            if path.stat().st_size != arrays[name]["bytes"]:
                raise ValueError(f"{path} is not as long as it was")
            opened[part] = _map(path)
            if [list(opened[part].shape), str(opened[part].dtype)] != [arrays[name]["shape"], arrays[name]["dtype"]]:
                raise ValueError(f"{path} holds another array")
        return opened

    def _open_split(self, opened: dict[str, npt.NDArray[Any]]) -> Split:
        found = Split({name: opened[name] for name in self.columns}, opened["labels"], modality=self.modality)
        vars(found)["prints"] = opened["prints"]  # likewise
        return found

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
        arrays: dict[str, Any] = {}
        about: dict[str, Any] = {
            "identity": self.identity, "classes": dataset.classes, "sha256": dataset.sha256, "arrays": arrays,
        }  # fmt: skip
        if dataset.is_divided:
            files = {f"{POOL}_{part}": [own[part] for own in parts.values()] for part in self.parts}
            about["num_train"] = len(dataset.train.labels)
        for name, pieces in files.items():
            path = folder / f"{name}.npy"
            shape = _save(path, pieces)
            size = path.stat().st_size
            arrays[path.name] = {"shape": list(shape), "dtype": str(pieces[0].dtype), "bytes": size}
        with (folder / ABOUT).open("w", encoding="utf-8") as file:
            json.dump(about, file, indent=1)
            _settle(file)

    def _publish(self, building: Path) -> None:
        """Give the finished folder its name. If another process was quicker and its entry is sound, ours is dropped."""
        try:
            building.rename(self.place)
        except OSError:
            if self.open() is not None:
                return
            # Renamed before it is deleted: whoever has the damaged files open keeps them until it closes them.
            damaged = atomic.temporary_in(self.root)
            self.place.rename(damaged)
            building.rename(self.place)
            _discard(damaged)


def _parts(split: Split) -> dict[str, npt.NDArray[Any]]:
    return {**split.columns, "labels": split.labels, "prints": split.prints}


def _save(path: Path, pieces: list[npt.NDArray[Any]]) -> tuple[int, ...]:
    """As one array, whose shape is given back. They are not put together in memory."""
    shape = sum(map(len, pieces)), *pieces[0].shape[1:]
    head = {"descr": np.lib.format.dtype_to_descr(pieces[0].dtype), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, head)
        for piece in pieces:
            file.write(np.ascontiguousarray(piece).data)
        _settle(file)
    return shape


def _map(path: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _settle(file: Any) -> None:
    """On the disk, not in a buffer: a name must not outlive a power cut that its content does not."""
    file.flush()
    os.fsync(file.fileno())
