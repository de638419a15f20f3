"""Records on disk: one file per attempt, under <root>/runs. Written by execute/, read by analysis/ through `scan`."""

import logging
import os
import re
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.errors import StoreError
from bench.memory import collection
from bench.store import atomic, coherence, encoding, index, locks
from bench.store.index import Index
from bench.store.reading import KEY, Damaged, load, load_all, misnamed
from bench.store.record import Record

logger = logging.getLogger(__name__)

DAMAGED = "damaged"
UNNAMED_SECONDS = 3600.0  # between a final's predictions and its record lies a moment
_PREDICTIONS = re.compile(r"[0-9a-f]{32}\.[0-9a-f]{64}\.predictions")


@dataclass(frozen=True)
class Scanned:
    """What lay in a suite's store and in the one that suites share, when somebody looked. A command looks once, and
    again where it changed something."""

    own: dict[str, Record]
    shared: dict[str, Record]
    damaged: tuple[Damaged, ...]
    damaged_shared: tuple[Damaged, ...]

    @property
    def records(self) -> dict[str, Record]:
        return {**self.own, **self.shared}


class Store:
    """The records of one suite. Any number of processes may share the folder."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._reported: set[str] = set()

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def damaged(self) -> Path:
        """What stood in the way of records, under its old name with a few digits."""
        return self.root / DAMAGED

    def path(self, key: str) -> Path:
        _check_key(key)
        return self.runs / key[:2] / f"{key}.json"

    def predictions_path(self, key: str, sha256: str) -> Path:
        """Beside the record whose predictions these are; `predictions.py` writes and reads them."""
        name = f"{key}.{sha256}.predictions"
        if not _PREDICTIONS.fullmatch(name):  # digests become a path
            raise ValueError(f"a key is 32 lower-case hex digits and a sha256 64, got {key!r} and {sha256!r}")
        return self.runs / key[:2] / name

    def write(self, record: Record) -> None:
        """On return the record outlives a crash. An older one of that key stays until the new one is whole; what that
        one had predicted goes then, and nothing else: another runner may be about to name its own. What is damaged is
        never written over. Raises ValueError where the record would not be read again."""
        path, data = self.path(record.key), encoding.encode(record)
        coherence.check(record)
        older = load(path)
        if isinstance(older, Damaged):
            self._set_aside(older)
        atomic.write_bytes(path, data)
        predictions = self._named_by(older)
        if predictions is not None and predictions.name != (
            f"{record.key}.{record.result.get('predictions')}.predictions"
        ):
            _drop(predictions)

    def _set_aside(self, damaged: Damaged) -> None:
        """It may be all that is left of somebody's work, or of another version's."""
        place = self.damaged / f"{damaged.path.stem}.{secrets.token_hex(4)}{damaged.path.suffix}"
        try:
            atomic.make_folder(self.damaged)
            damaged.path.rename(place)
            atomic.sync_folder(self.damaged)
        except FileNotFoundError:  # another runner was first
            return
        except OSError as error:
            raise StoreError(f"cannot move {damaged.path} to {place}: {atomic.explain(error)}") from error
        self._report(f"moved to {place}: {damaged}")

    def forget(self, key: str) -> None:
        """The record and its predictions."""
        path = self.path(key)
        predictions = self._named_by(load(path))
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot remove {path}: {atomic.explain(error)}") from error
        if predictions is not None:
            _drop(predictions)

    def _named_by(self, record: Record | Damaged | None) -> Path | None:
        """Predictions."""
        if not isinstance(record, Record) or record.kind != "final" or record.final is None:
            return None
        sha256 = record.final.predictions
        return self.predictions_path(record.key, sha256) if sha256 is not None else None

    def read(self, key: str) -> Record | None:
        """None where there is no record, or a damaged one, which is reported once."""
        record = load(self.path(key))
        if isinstance(record, Damaged):
            self._report(f"damaged record, counted as absent: {record}")
            return None
        return record

    def scan(self) -> tuple[dict[str, Record], list[Damaged]]:
        """All records by key, folded, and whatever else lies under runs/, hidden files and predictions apart. Every
        byte of every file is read, and held against its checksum."""
        records: dict[str, Record] = {}
        damaged: list[Damaged] = []
        new: list[str] = []  # paths of records that the index does not know as they are
        with collection(False), closing(Index(self.root / index.NAME)) as known:
            for key, path in self._paths(damaged):
                folded = known.get(key, path)
                if folded is not None:
                    records[key] = folded
                else:
                    new.append(path)
            for path, found in zip(new, load_all(new), strict=True):
                if isinstance(found, str):
                    damaged.append(Damaged(Path(path), found))
                elif found is not None:
                    records[found[0].key] = known.add(*found)
            known.keep()
        return dict(sorted(records.items())), sorted(damaged, key=lambda one: one.path)

    def _paths(self, damaged: list[Damaged]) -> Iterator[tuple[str, str]]:
        """Keys and files of what may be records, in order."""
        for folder in self._folders():
            try:
                names = _names(folder)
            except OSError as error:
                damaged.append(Damaged(folder, f"cannot be read: {atomic.explain(error)}"))
                continue
            for name in names:
                why = misnamed(folder.name, name)
                if not why:
                    yield name[:32], f"{folder}/{name}"
                elif not _PREDICTIONS.fullmatch(name):
                    damaged.append(Damaged(folder / name, why))

    def scan_with(self, shared: "Store") -> Scanned:
        (records, damaged), (pretrained, damaged_shared) = self.scan(), shared.scan()
        return Scanned(records, pretrained, tuple(damaged), tuple(damaged_shared))

    @contextmanager
    def lock(self, key: str) -> Iterator[bool]:
        """Whether this job is now ours alone; does not wait. Always True where the file system has no locks:
        keys are deterministic, so work done twice does no harm."""
        _check_key(key)
        path = self.root / "locks" / f"{key}.lock"
        descriptor, ours = None, True
        try:
            atomic.make_folder(path.parent)
            descriptor = locks.acquire(path)
            ours = descriptor is not None
        except locks.Unsupported as error:
            self._report(f"no file locks in {path.parent} ({error}): two runners may do the same job")
        except OSError as error:
            raise StoreError(f"cannot lock {path}: {atomic.explain(error)}") from error
        try:
            yield ours
        finally:
            if descriptor is not None:
                locks.release(path, descriptor)

    def check_writable(self) -> None:
        """Call before any run. Raises StoreError where nothing could be stored; removes what dead writers left."""
        atomic.sweep(self.root)  # first: what these remove may be what fills the disk
        with suppress(OSError):  # what cannot be read is told by others
            self._drop_unnamed()
        for folder in (self.root, self.runs, self.root / "locks"):
            atomic.probe(folder)

    def _drop_unnamed(self) -> None:
        """Predictions whose writer died before it wrote their record. Those that a damaged record may have named stay,
        wherever it lies now."""
        damaged = {path.name[:32] for path in _listing(self.damaged)}
        for folder in _listing(self.runs):
            names = _names(folder)
            predictions = [folder / name for name in names if _PREDICTIONS.fullmatch(name)]
            keys = Counter(path.name[:32] for path in predictions)
            keys.subtract(name.removesuffix(".json") for name in names if name.endswith(".json"))
            for path in predictions:
                key = path.name[:32]
                if key in damaged or not keys[key]:  # one of one record: none is read
                    continue
                record = load(folder / f"{key}.json")
                is_old = time.time() - path.stat().st_mtime > UNNAMED_SECONDS
                if is_old and not isinstance(record, Damaged) and path != self._named_by(record):
                    _drop(path)

    def _folders(self) -> list[Path]:
        try:
            return _listing(self.runs)
        except OSError as error:
            raise StoreError(f"cannot read {self.runs}: {atomic.explain(error)}") from error

    def _report(self, line: str) -> None:
        if line not in self._reported:
            self._reported.add(line)
            logger.warning(line)


def _check_key(key: str) -> None:
    if not KEY.fullmatch(key):  # a key becomes a path
        raise ValueError(f"a key is 32 lower-case hex digits, got {key!r}")


def _drop(predictions: Path) -> None:
    """What cannot be removed harms nobody: no record names it."""
    with suppress(OSError):
        predictions.unlink()


def _listing(folder: Path) -> list[Path]:
    return [folder / name for name in _names(folder)]


def _names(folder: Path) -> list[str]:
    """What lies in a folder, in order; hidden files, temporary ones among them, are nobody's records."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208 (no paths)
    except FileNotFoundError:
        return []
