"""What a dataset is to the rest of the house: a catalogue entry that is cheap to ask, and arrays once it is loaded.

No torch here: `plan` and `list` read entries. The catalogue itself is `bench/datasets/__init__.py`.
"""

import hashlib
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.catalogue import Options
from bench.datasets.sampling import Division, Indices, split_counts
from bench.modalities import MODALITIES
from bench.modalities.base import Columns
from bench.spec.refs import Metric

__all__ = ["Dataset", "DatasetEntry", "DatasetFacts", "Options", "Split"]


Prints = npt.NDArray[np.uint64]
Names = list[tuple[str, int]]


@dataclass(frozen=True)
class Split:
    columns: Columns  # what the modality stores of each example, by name: each [N, ...]
    labels: npt.NDArray[np.int64]  # [N], 0 .. classes - 1
    wholes: Prints | None = None  # [N], of the pictures before they were cut to squares; None: nothing was cut
    modality: str = "image"

    @staticmethod
    def of_images(
        images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], wholes: Prints | None = None
    ) -> "Split":
        """`images`: [N, H, W, 3]"""
        return Split({"images": images}, labels, wholes)

    @property
    def images(self) -> npt.NDArray[np.uint8]:
        return self.columns["images"]

    @cached_property
    def prints(self) -> Prints:
        """[N, 2]: each example as it is kept, and as it was before. Equal ones have equal prints."""
        stored = np.fromiter((print_of(*row) for row in zip(*self.columns.values(), strict=True)), np.uint64)
        return np.stack([stored, stored if self.wholes is None else self.wholes], 1)

    def of_classes(self, chosen: Sequence[int]) -> "Split":
        rows = np.flatnonzero(np.isin(self.labels, chosen))
        labels = np.searchsorted(np.asarray(chosen, np.int64), self.labels[rows]).astype(np.int64)
        columns = {name: column[rows] for name, column in self.columns.items()}
        part = Split(columns, labels, modality=self.modality)
        vars(part)["prints"] = self.prints[rows]  # `wholes` may be known of the whole set alone
        return part

    def __post_init__(self) -> None:
        modality = MODALITIES[self.modality]
        assert tuple(self.columns) == modality.columns
        modality.check(self.columns)
        assert self.labels.dtype == np.int64
        assert all(self.labels.shape == column.shape[:1] for column in self.columns.values())
        assert self.wholes is None or self.wholes.shape == self.labels.shape


def print_of(*contents: npt.NDArray[Any] | bytes) -> int:
    """64 bits of a digest: of an example's columns, their shapes included, or of a file."""
    found = hashlib.blake2b(digest_size=8)
    for content in contents:
        if isinstance(content, bytes):
            found.update(content)
        else:
            found.update(repr(content.shape).encode())
            found.update(np.ascontiguousarray(content).data)
    return int.from_bytes(found.digest(), "little")


@dataclass(frozen=True)
class Dataset:
    classes: tuple[str, ...]
    train: Split
    test: Split
    is_divided: bool = False  # the images came in one split, and we divided them
    shift: Split | None = None  # the same classes in other circumstances: scored at the end, nothing is chosen on it

    @property
    def splits(self) -> dict[str, Split]:
        """By name, those that are there."""
        own = {"train": self.train, "test": self.test}
        return own if self.shift is None else {**own, "shift": self.shift}

    @cached_property
    def pool(self) -> Split:
        """All images, those of `train` first: what repeats divide anew."""
        parts = self.train, self.test
        columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in self.train.columns}
        labels = np.concatenate([part.labels for part in parts])
        return Split(columns, labels, modality=self.train.modality)

    def divided(self, split: int | Division) -> tuple[Indices, Indices]:
        """Places in the pool of training and of test images: as a list says, or others by a seed, as many of each class
        as in `train` and `test`."""
        if isinstance(split, Division):
            return np.array(split.train, np.int64), np.array(split.test, np.int64)
        labels = np.concatenate([self.train.labels, self.test.labels])
        parts = split_counts(labels, np.bincount(self.test.labels, minlength=len(self.classes)), split)
        return parts.train, parts.validation

    def prints(self, split: int | Division | None = None) -> tuple[Prints, Prints]:
        """Of training and of test images, as they are or as `split` divides them."""
        if split is None:
            return self.train.prints, self.test.prints
        every = np.concatenate([self.train.prints, self.test.prints])
        train, test = self.divided(split)
        return every[train], every[test]

    def of_classes(self, chosen: Sequence[int] | None) -> "Dataset":
        """The part of these classes, which are 0, 1 ... then; None: all of it."""
        if chosen is None:
            return self
        names = tuple(self.classes[number] for number in chosen)
        train, test = self.train.of_classes(chosen), self.test.of_classes(chosen)
        shift = self.shift.of_classes(chosen) if self.shift is not None else None
        return Dataset(names, train, test, self.is_divided, shift if shift is not None and len(shift.labels) else None)

    @cached_property
    def sha256(self) -> str:
        """Digest of every example and label; two copies that differ are two datasets."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for split in self.splits.values():
            for column in split.columns.values():
                digest.update(repr(column.shape).encode())
                digest.update(np.ascontiguousarray(column).data)
            digest.update(np.ascontiguousarray(split.labels).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class DatasetFacts:
    """What planning needs without loading a pixel."""

    num_classes: int
    image_size: int  # of the shorter side, pixels; of texts, bytes of the longest; of clips, milliseconds
    num_train: int
    num_test: int
    smallest_class: int  # training images of the class that has fewest
    revision: str  # part of every key; changes when the pixels do
    notes: tuple[str, ...] = ()  # what a reader of the results should know of these images
    metric: Metric = "accuracy"
    # Training and test images of each class, in their order, and what they are called; (): nothing is known of them.
    train_sizes: tuple[int, ...] = ()
    test_sizes: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    modality: str | None = None  # None: the entry's
    # Of a set that comes in one split, which we divided: what holds of this division alone. None: it brings its own.
    division: tuple[str, ...] | None = None
    num_shift: int = 0  # images of the split `shift`; 0: there is none
    shift_sizes: tuple[int, ...] = ()  # of each class

    def __post_init__(self) -> None:
        """numpy's numbers are welcome, but a key takes plain ones only. Lists are what a file makes of tuples."""
        for name in ("num_classes", "image_size", "num_train", "num_test", "smallest_class", "num_shift"):
            object.__setattr__(self, name, operator.index(getattr(self, name)))
        for name in ("train_sizes", "test_sizes", "shift_sizes"):
            object.__setattr__(self, name, tuple(map(operator.index, getattr(self, name))))
        for name in ("notes", "division", "classes"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, tuple(getattr(self, name)))


    def of_classes(self, chosen: Sequence[int]) -> "DatasetFacts":
        """Of the part of these classes. The sizes must be known."""
        every = self.train_sizes, self.test_sizes, self.shift_sizes
        train, test, shift = (tuple(sizes[number] for number in chosen) if sizes else () for sizes in every)
        return replace(
            self, num_classes=len(chosen), num_train=sum(train), num_test=sum(test), smallest_class=min(train),
            train_sizes=train, test_sizes=test, num_shift=sum(shift), shift_sizes=shift,
            classes=tuple(self.classes[number] for number in chosen) if self.classes else (),
        )  # fmt: skip


@dataclass(frozen=True)
class PublicSize:
    """How large a set is as its publisher gives it away; a fixed validation split counts as training images."""

    num_classes: int
    num_train: int
    num_test: int | None = None  # None: there is no test split, and `num_train` counts all images

    def difference(self, num_classes: int, num_train: int, num_test: int, example: str = "image") -> str:
        """`25,000 of 50,000 training images`; "" where all of it is there, and nothing else. `example`: what people
        call one."""
        if self.num_test is None:
            counts = [(num_train + num_test, self.num_train, f"{example}s")]
        else:
            counts = [(num_train, self.num_train, f"training {example}s"),
                      (num_test, self.num_test, f"test {example}s")]
        told = [
            f"{there:,} of {public:,} {what}" if there < public else f"{there:,} {what} instead of {public:,}"
            for there, public, what in [(num_classes, self.num_classes, "classes"), *counts]
            if there != public
        ]
        return ", ".join(told)


@dataclass(frozen=True)
class DatasetEntry:
    """One line of the catalogue."""

    name: str
    summary: str
    facts: Callable[[Any], DatasetFacts]  # options -> facts, fast and pure
    load: Callable[[Any], Dataset]  # options -> arrays
    options: type[Options] = Options
    is_read: bool = False  # from files of others: before the first training, with a progress bar
    where: tuple[str, ...] = ()  # options that say where the data lie: in no key, which has the content's digest
    is_hub: bool = False  # what they say is a hub's name where no file is called so
    public: PublicSize | None = None  # of the set that it is named after
    modality: str = "image"
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of classes, by their names
    # Options -> file's name and label of each training example, and of each test example; None: there are no files.
    names: Callable[[Any], tuple[Names, Names]] | None = None
