"""What a final said of every test example: one file beside its record, <key>.<sha256>.predictions, whose digest the
record holds. `records.py` of the engine writes it before the record; `analysis/join.py` gives it away unread.

The file: a line of JSON that names the columns and their types, then the columns, one after another, compressed.
"""

import hashlib
import json
import zlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import metrics
from bench.errors import StoreError
from bench.spec.refs import Metric
from bench.store import atomic
from bench.store.reading import read_regular
from bench.store.store import Store

BEGINNING = b"predictions 1\n"
MOST = 1 << 28  # bytes of all columns: more than there are, and few enough to be unpacked by any machine
LINE = 1 << 12  # bytes of the beginning and the header, at most
Types = tuple[str, ...]
CLASS: Types = ("|u1", "<u2")
# Column -> the types that it may have in the file; `right` is packed, eight examples a byte.
COLUMNS: dict[str, Types] = {
    "right": ("bits",), "truth": CLASS, "classes": CLASS, "log_classes": ("<f2",), "log_truth": ("<f2",),
    "probabilities": ("<f2",), "images": ("<u4",),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a final said of every test example, in the order of its test split. A class that is none of the data set's,
    which a checkpoint's own head may answer, is the number of classes."""

    right: npt.NDArray[np.bool_]  # [M]
    truth: npt.NDArray[np.uint16] | None = None  # [M] true class
    classes: npt.NDArray[np.uint16] | None = None  # [M] predicted class
    log_classes: npt.NDArray[np.float16] | None = None  # [M] log-probability of the predicted class
    log_truth: npt.NDArray[np.float16] | None = None  # [M] of the true class
    probabilities: npt.NDArray[np.float16] | None = None  # [M, K]
    images: npt.NDArray[np.uint32] | None = None  # [M] which of a pool, where the test split is drawn anew per repeat

    def __len__(self) -> int:
        return len(self.right)


@dataclass(frozen=True)
class Claims:
    """What a record says of its test examples. Predictions that contradict it are not those of this record, whatever
    their digest; their size is compared before anything is unpacked."""

    num_test: int
    num_classes: int
    metric: Metric
    score: float

    @property
    def most_bytes(self) -> int:
        """Of a file, which where nothing can be compressed is a little longer than its columns."""
        sizes = (_size(self._shape(name), types[-1]) for name, types in COLUMNS.items())
        return LINE + min(MOST, sum(sizes)) * 101 // 100

    def check_shapes(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Raises ValueError, as `check` does."""
        for name, shape in shapes.items():
            if shape != self._shape(name):
                raise ValueError(f"{name} of {shape}, but its record is of {self._shape(name)}")

    def check(self, told: Predictions) -> None:
        score: float | None = float(told.right.mean()) if self.metric == "accuracy" else None
        if told.truth is not None and told.truth.max() >= self.num_classes:
            raise ValueError(f"a true class {told.truth.max()} of {self.num_classes}")
        if told.classes is not None and told.classes.max() > self.num_classes:
            raise ValueError(f"a predicted class {told.classes.max()} of {self.num_classes}")
        if told.truth is not None and told.classes is not None:
            if (told.right != (told.truth == told.classes)).any():
                raise ValueError("what is right contradicts the classes")
            score = metrics.score_of(self.metric, told.truth, told.classes, self.num_classes)
        if score is not None and not abs(score - self.score) < 1e-6:
            raise ValueError(f"they score {score:.6f}, but its record {self.score:.6f}")

    def _shape(self, name: str) -> tuple[int, ...]:
        return (self.num_test, self.num_classes) if name == "probabilities" else (self.num_test,)


@dataclass(frozen=True)
class Kept:
    """Predictions that are read when somebody asks for them, and then once; all but the probabilities stay in memory,
    which of all finals of a suite would be too many."""

    store: Store = field(compare=False)
    key: str  # of the record
    sha256: str | None  # None: nothing was kept
    claims: Claims | None = None  # of that record; None: not compared

    def load(self) -> Predictions | None:
        """None where nothing was kept, and where it cannot be read: `problem` says why. Without probabilities."""
        return self._slim[0]

    def whole(self) -> Predictions | None:
        """With the probabilities of all classes: read anew every time, where there are any."""
        slim, _, has_probabilities = self._slim
        return self._read()[0] if has_probabilities else slim

    @property
    def problem(self) -> str:
        return self._slim[1]

    @cached_property
    def _slim(self) -> tuple[Predictions | None, str, bool]:
        told, problem = self._read()
        if told is None or told.probabilities is None:
            return told, problem, False
        return replace(told, probabilities=None), problem, True

    def _read(self) -> tuple[Predictions | None, str]:
        if self.sha256 is None:
            return None, ""
        try:
            return get(self.store, self.key, self.sha256, self.claims), ""
        except StoreError as error:
            return None, str(error)


def put(store: Store, key: str, predictions: Predictions) -> str:
    """Beside the record of that key, which is to be written next; returns what it is to hold."""
    data = pack(predictions)
    sha256 = hashlib.sha256(data).hexdigest()
    atomic.write_bytes(store.predictions_path(key, sha256), data)
    return sha256


def get(store: Store, key: str, sha256: str, claims: Claims | None = None) -> Predictions:
    """Raises StoreError: missing, damaged, or not what its record claims."""
    path = store.predictions_path(key, sha256)
    try:
        data = read_regular(path, claims.most_bytes if claims is not None else LINE + MOST)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StoreError(f"predictions damaged: {path}: {len(data)} bytes of another content")
        return unpack(data, claims)
    except FileNotFoundError as error:
        raise StoreError(f"predictions missing: {path}") from error
    except OSError as error:
        raise StoreError(f"cannot read predictions {path}: {atomic.explain(error)}") from error
    except ValueError as error:
        raise StoreError(f"predictions damaged: {path}: {error}") from error


def pack(predictions: Predictions) -> bytes:
    types, parts, width = {}, [], 0
    for name, allowed in COLUMNS.items():
        column = getattr(predictions, name)
        if column is None:
            continue
        if name == "right":
            types[name], stored = "bits", np.packbits(column)
        else:
            is_small = allowed == CLASS and column.max(initial=0) < 256
            types[name] = allowed[0] if is_small else allowed[-1]
            stored = column.astype(types[name])
        width = column.shape[1] if name == "probabilities" else width
        parts.append(stored.tobytes())
    header = {"num": len(predictions), "columns": types, "width": width}
    return BEGINNING + json.dumps(header).encode() + b"\n" + zlib.compress(b"".join(parts), 1)


def unpack(data: bytes, claims: Claims | None = None) -> Predictions:
    """Raises ValueError where this is not what `pack` gives, or not what a record claims."""
    if not data.startswith(BEGINNING):
        raise ValueError("not a file of predictions of this version")
    line, _, body = data.removeprefix(BEGINNING).partition(b"\n")
    num, width, types = _header(line)
    shapes: dict[str, tuple[int, ...]] = {name: (num, width) if name == "probabilities" else (num,) for name in types}
    sizes = {name: _size(shapes[name], types[name]) for name in types}
    if claims is not None:
        claims.check_shapes(shapes)
    if sum(sizes.values()) > MOST:
        raise ValueError("larger than predictions are")
    rest = memoryview(_inflated(body, sum(sizes.values())))
    columns = {}
    for name, size in sizes.items():
        columns[name] = _column(rest[:size], name, types[name], shapes[name])
        rest = rest[size:]
    told = Predictions(**columns)
    if claims is not None:
        claims.check(told)
    return told


def _header(line: bytes) -> tuple[int, int, dict[str, str]]:
    try:
        raw = json.loads(line)
        num, width, types = raw["num"], raw["width"], raw["columns"]
        if not all(type(number) is int and 0 <= number < MOST for number in (num - 1, width)):
            raise ValueError("a size that is none")
        if list(types) != [name for name in COLUMNS if name in types] or "right" not in types:
            raise ValueError("columns that are none")
        if any(types[name] not in COLUMNS[name] for name in types):
            raise ValueError("a type that is none")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"its header cannot be read: {error}") from error
    return num, width, types


def _size(shape: tuple[int, ...], stored: str) -> int:
    num = int(np.prod(shape, dtype=object))
    return -(-num // 8) if stored == "bits" else num * np.dtype(stored).itemsize


def _inflated(body: bytes, size: int) -> bytes:
    """Never more than was promised, whatever the file holds."""
    reader = zlib.decompressobj()
    try:
        found = reader.decompress(body, size + 1)
    except zlib.error as error:
        raise ValueError(f"torn: {error}") from error
    if len(found) != size or not reader.eof or reader.unused_data:
        raise ValueError(f"{len(found)} bytes of columns, expected {size}")
    return found


def _column(data: memoryview, name: str, stored: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    if stored == "bits":
        return np.unpackbits(np.frombuffer(data, np.uint8), count=shape[0]).astype(np.bool_)
    column = np.frombuffer(data, stored).reshape(shape)
    if name == "probabilities":
        return column
    return column.astype(np.uint16 if COLUMNS[name] == CLASS else stored)  # a copy: a view would keep all in memory
