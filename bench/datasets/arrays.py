"""`npz:PATH`: images and labels as numpy arrays, under Keras's names (x_train, y_train ...) or MedMNIST's; x_shift and
y_shift show the same classes in other circumstances."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.catalogue import Options
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Split
from bench.datasets.facts_cache import cached_facts
from bench.datasets.files import DataError, digests_of, listed, shown
from bench.datasets.npz_file import Head, read
from bench.datasets.overlap import twice
from bench.datasets.pictures import scaled
from bench.keys import digest

REVISION = 1  # bump when the same file comes to other pixels or labels
# Names of images and labels: of the training split, of one that is added to it, of the test split, of a further one.
NAMES = (
    (("x_train", "y_train"), ("x_val", "y_val"), ("x_test", "y_test"), ("x_shift", "y_shift")),
    (("train_images", "train_labels"), ("val_images", "val_labels"), ("test_images", "test_labels"),
     ("shift_images", "shift_labels")),
)  # fmt: skip
CLASSES = "classes"  # their names, where the file has them


class ArrayOptions(Options):
    path: str
    """The file; `npz:PATH` as the dataset's name is the same."""


def facts(options: ArrayOptions) -> DatasetFacts:
    path = Path(options.path)
    if not path.is_file():
        raise DataError(f"{shown(path)}: no such file")
    sha256 = digests_of([path])[0]
    identity = digest([REVISION, sha256])
    return cached_facts(f"npz-{identity}", lambda: _facts(path, identity))


def _facts(path: Path, identity: str) -> DatasetFacts:
    loaded = load(ArrayOptions(path=str(path)))
    splits = loaded.splits.items()
    sizes = {name: np.bincount(split.labels, minlength=len(loaded.classes)) for name, split in splits}
    seen = set(loaded.train.prints[:, 0].tolist())
    again = {name: sum(one in seen for one in split.prints[:, 0].tolist()) for name, split in splits}
    return DatasetFacts(
        num_classes=len(loaded.classes),
        image_size=min(loaded.train.images.shape[1:3]),
        num_train=len(loaded.train.labels),
        num_test=len(loaded.test.labels),
        smallest_class=int(sizes["train"].min()),
        # Arrays of that name were passed over once: what was learned of such a file then keeps its own keys.
        revision=f"npz-{identity}" + ("-shift" if loaded.shift is not None else ""),
        notes=tuple(f"{both} of {sizes[name].sum()} {twice('image', name)}, pixel by pixel"
                    for name, both in again.items() if both and name != "train"),
        train_sizes=tuple(sizes["train"]),
        test_sizes=tuple(sizes["test"]),
        classes=loaded.classes,
        num_shift=int(sizes["shift"].sum()) if "shift" in sizes else 0,
        shift_sizes=tuple(sizes.get("shift", ())),
    )


def load(options: ArrayOptions) -> Dataset:
    path = Path(options.path)
    names_in_file, found = read(path, (CLASSES, *(name for names in NAMES for pair in names for name in pair)), _held)
    (train_x, train_y), validation, scored = _names(names_in_file, path)
    train = (found[train_x], found[train_y])
    if validation is not None:
        train = tuple(np.concatenate([a, found[b]]) for a, b in zip(train, validation, strict=True))  # type: ignore[assignment]
    parts = [(train_x, *train), *((x, found[x], found[y]) for x, y in scored)]
    for _, images, labels in parts:
        if len(images) != len(labels):
            raise DataError(f"{shown(path)}: {len(images)} images with {len(labels)} labels")
    values = _label_values([labels for _, _, labels in parts], path)
    names = [str(name) for name in found[CLASSES].ravel()] if CLASSES in found else [str(value) for value in values]
    if len(names) != len(values):
        raise DataError(f"{shown(path)}: {len(names)} names in `classes`, but {len(values)} labels")
    if len(set(names)) < len(names):
        raise DataError(f"{shown(path)}: `classes` has one name several times: {listed(names)}")
    most = _largest([images for _, images, _ in parts], path)
    train_split, test_split, *shift = (
        Split.of_images(_images(images, most, path, name), np.searchsorted(values, labels.ravel()).astype(np.int64))
        for name, images, labels in parts
    )
    return Dataset(tuple(names), train_split, test_split, shift=shift[0] if shift else None)


def _held(heads: Mapping[str, Head]) -> int:
    """Bytes, at most: arrays as they are read, once more where validation images are joined, and as they are kept."""
    is_joined = any(validation in heads for _, (validation, _), *_ in NAMES)
    found = 0
    for shape, dtype in heads.values():
        numbers = math.prod(shape)
        found += numbers * dtype.itemsize * (1 + is_joined)
        if len(shape) > 2:
            is_colour = len(shape) == 4 and shape[3] != 1 and 3 in (shape[1], shape[3])
            found += numbers * ((shape[3] != 3 if is_colour else 3) + (dtype != np.uint8))
    return found


Pair = tuple[str, str]


def _names(found: Sequence[str], path: Path) -> tuple[Pair, Pair | None, list[Pair]]:
    """Of the training split, of what is added to it, of the splits to be scored."""
    for train, validation, test, shift in NAMES:
        if all(name in found for name in (*train, *test)):
            scored = [pair for pair in (test, shift) if all(name in found for name in pair)]
            return train, validation if all(name in found for name in validation) else None, scored
    raise DataError(f"{shown(path)}: holds {listed(found)}; expected x_train, y_train, x_test, y_test "
                    "or train_images, train_labels, test_images, test_labels")


def _label_values(parts: Sequence[npt.NDArray[Any]], path: Path) -> npt.NDArray[np.int64]:
    """`parts`: labels of each split, those of the training images first."""
    for labels in parts:
        if not np.issubdtype(labels.dtype, np.integer) or labels.size != len(labels):
            raise DataError(f"{shown(path)}: labels of shape {labels.shape} and type {labels.dtype}; "
                            "expected one whole number for each image")
    values = np.unique(parts[0])
    for labels, split in zip(parts[1:], ("test", "shift"), strict=False):
        if len(strange := np.setdiff1d(labels, values)):
            raise DataError(f"{shown(path)}: {split} labels {listed(strange)} stand for no training image")
    if len(values) < 2:
        raise DataError(f"{shown(path)}: all labels are the same")
    return values


def _images(array: npt.NDArray[Any], most: float, path: Path, name: str) -> npt.NDArray[np.uint8]:
    """[N, H, W], [N, H, W, 1 or 3] or [N, 1 or 3, H, W] -> uint8 [N, H, W, 3]"""
    shape = array.shape
    if array.ndim == 3:
        array = array[..., None]
    elif array.ndim == 4 and shape[3] not in (1, 3) and shape[1] in (1, 3):
        array = np.moveaxis(array, 1, 3)
    if array.ndim != 4 or array.shape[3] not in (1, 3) or not array.size:
        raise DataError(f"{shown(path)}: {name} has the shape {shape}; expected [N, H, W], [N, H, W, 3] "
                        "or [N, 3, H, W]")
    if array.dtype != np.uint8:
        array = scaled(array, most)
    return np.ascontiguousarray(np.repeat(array, 3, axis=3) if array.shape[3] == 1 else array)


def _largest(splits: Sequence[npt.NDArray[Any]], path: Path) -> float:
    """What white is, in all splits alike: 1 for fractions and truth values, 255, or 65535 for larger whole numbers."""
    if all(images.dtype == np.uint8 for images in splits) or not all(images.size for images in splits):
        return 255.0
    kinds = {images.dtype.kind for images in splits}
    if "U" in kinds:
        raise DataError(f"{shown(path)}: pixels are text, expected numbers")
    low, high = min(float(images.min()) for images in splits), max(float(images.max()) for images in splits)
    if kinds == {"b"} or (kinds == {"f"} and high <= 1):
        most = 1.0
    else:
        most = 65535.0 if kinds <= {"i", "u"} and high > 255 else 255.0
    if not (low >= 0 and high <= most):  # NaN fails too
        raise DataError(f"{shown(path)}: pixels have values from {low:g} to {high:g}; expected 0 to 255, fractions "
                        "from 0 to 1, or 16 bits")
    return most


NPZ = DatasetEntry(
    "npz", "numpy arrays: x_train, y_train, x_test, y_test", facts, load, ArrayOptions, is_read=True, where=("path",)
)
