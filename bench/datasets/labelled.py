"""Pictures, texts or clips with labels, from a folder or a table: checked once, then facts without decoding and arrays
with it."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from bench.catalogue import LATER, Options
from bench.datasets import pictures
from bench.datasets.base import Dataset, DatasetFacts, Names
from bench.datasets.facts_cache import cached_facts
from bench.datasets.files import DataError, digests_of, listed, shown
from bench.datasets.kinds import KINDS, Kind, Labels, check_settings
from bench.datasets.overlap import twice
from bench.datasets.pictures import Kept
from bench.datasets.sampling import split_holdout
from bench.keys import digest
from bench.modalities import MODALITIES

REVISION = 1  # bump when the same files come to other pixels, labels or splits
SPLITTING = ("test_share", "split_seed")  # options that say how one split is divided


class PictureOptions(Options):
    side: Annotated[int, Field(ge=8, le=1024)] | None = None
    """Side in pixels of the squares that images are kept as. Unset: the median of their shorter sides, 256 at most."""
    fit: pictures.Fit = "crop"
    """How an image becomes a square: its middle, or the whole of it squashed."""
    rate: Annotated[int | None, Field(ge=1_000, le=192_000, json_schema_extra=LATER)] = None
    """Samples a second that clips are kept at, whatever their files have. Unset: 16,000."""
    seconds: Annotated[float | None, Field(ge=0.01, le=60, json_schema_extra=LATER)] = None
    """How long clips are kept: the middle of a longer one, silence around a shorter one. Unset: as the longest one, 10
    at most."""
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of each class that is set aside for testing, where the images come in one split."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Another seed sets other images aside."""


@dataclass(frozen=True)
class Labelled:
    """Files in order, or what is as good as a file, each with its class and split."""

    root: Path  # names are told relative to it
    files: tuple[Kept, ...]
    classes: tuple[str, ...]
    labels: tuple[int, ...]
    splits: tuple[str, ...] | None  # "train", "test" or "shift" of each; None: one split, to be divided
    notes: tuple[str, ...] = ()
    modality: str = "image"

    @property
    def kind(self) -> Kind:
        return KINDS[self.modality]

    @property
    def example(self) -> str:
        return MODALITIES[self.modality].example

    @property
    def is_divided(self) -> bool:
        """Whether no test split comes with it."""
        return self.splits is None or "test" not in self.splits

    def checked(self) -> "Labelled":
        counts, word = Counter(self.labels), f"{self.example}s"
        if len(self.classes) < 2:
            raise DataError(f"{shown(self.root)}: {len(self.classes)} class of {word}; there is nothing to tell apart")
        empty = [repr(name) for label, name in enumerate(self.classes) if not counts[label]]
        if empty:
            raise DataError(f"{shown(self.root)}: no {word} of {listed(empty)}")
        for split in dict.fromkeys(("train", *self.splits) if self.splits else ()):
            here = {label for label, one in zip(self.labels, self.splits or (), strict=True) if one == split}
            lacking = [repr(name) for label, name in enumerate(self.classes) if label not in here]
            if lacking:
                raise DataError(f"{shown(self.root)}: the {split} split has no {word} of {listed(lacking)}; "
                                "all splits need the same classes")
        return self


def facts_of(found: Labelled, options: PictureOptions) -> DatasetFacts:
    check_settings(found.kind, options, shown(found.root))
    sha256s = _digests(found.files)
    content = [
        [_name(one, found.root), sha256, label]
        for one, sha256, label in zip(found.files, sha256s, found.labels, strict=True)
    ]
    settings = options.model_dump(mode="json", include={*found.kind.settings, *SPLITTING})
    identity = digest([REVISION, content, found.classes, found.splits, settings])
    facts = cached_facts(identity, lambda: _facts(found, options, (sha256s, identity)))
    return replace(facts, notes=(*found.notes, *facts.notes))


def _digests(files: Sequence[Kept]) -> list[str]:
    paths = [one for one in files if isinstance(one, Path)]
    known = dict(zip(paths, digests_of(paths), strict=True)) if paths else {}
    return [known[one] if isinstance(one, Path) else hashlib.sha256(one.read()).hexdigest() for one in files]


def _name(one: Kept, root: Path) -> str:
    if not isinstance(one, Path):
        return one.name
    return shown(one.relative_to(root) if one.is_relative_to(root) else one.name)


def _facts(found: Labelled, options: PictureOptions, known: tuple[Sequence[str], str]) -> DatasetFacts:
    sha256s, identity = known
    size = found.kind.size_of(found.files, options)
    train, test, shift = split_of(found, options)
    labels = np.array(found.labels, np.int64)
    per_class, test_sizes, shift_sizes = (
        np.bincount(labels[rows], minlength=len(found.classes)) for rows in (train, test, shift)
    )
    if per_class.min() == 0:
        poorest = found.classes[int(per_class.argmin())]
        raise DataError(f"{shown(found.root)}: {poorest!r} has no training {found.example}")
    seen = {sha256s[i] for i in train}
    again = tuple(
        f"{both} of {len(rows)} {twice(found.example, split)}, byte for byte"
        for split, rows in (("test", test), ("shift", shift))
        if (both := sum(sha256s[i] in seen for i in rows))
    )
    return DatasetFacts(
        num_classes=len(found.classes),
        image_size=size,
        num_train=len(train),
        num_test=len(test),
        smallest_class=int(per_class.min()),
        revision=f"files-{identity}",
        notes=(*found.kind.notes_of(found.files, size, options), *(() if found.is_divided else again)),
        modality=found.modality,
        train_sizes=tuple(per_class),
        test_sizes=tuple(test_sizes),
        classes=found.classes,
        division=(told_of_split(train, test, options), *again) if found.is_divided else None,
        num_shift=len(shift),
        shift_sizes=tuple(shift_sizes) if len(shift) else (),
    )


def names_of(found: Labelled, options: PictureOptions) -> tuple[Names, Names]:
    """As `DatasetEntry.names` gives them: paths below the data set, as lists name them."""
    train, test, _ = split_of(found, options)
    train_names, test_names = ([(_name(found.files[i], found.root), found.labels[i]) for i in rows]
                               for rows in (train, test))  # fmt: skip
    return train_names, test_names


def split_of(found: Labelled, options: PictureOptions) -> tuple[Labels, Labels, Labels]:
    """Places of training examples, of test examples, and of those of a split `shift`."""
    splits = np.array(found.splits or ["train"] * len(found.labels))
    train, test, shift = (np.flatnonzero(splits == name) for name in ("train", "test", "shift"))
    if found.is_divided:
        parts = divided(np.array(found.labels, np.int64)[train], options)
        train, test = train[parts[0]], train[parts[1]]
    return train, test, shift


def divided(labels: Labels, options: PictureOptions) -> tuple[Labels, Labels]:
    """The same, of images that come in one split."""
    parts = split_holdout(labels, options.test_share, options.split_seed)
    return parts.train, parts.validation


def told_of_split(train: Labels, test: Labels, options: PictureOptions) -> str:
    return f"split {len(train)} / {len(test)} by us, stratified, seed {options.split_seed}"


def load(found: Labelled, options: PictureOptions) -> Dataset:
    decoded = found.kind.decode(found.files, facts_of(found, options).image_size, options)
    labels = np.array(found.labels, np.int64)
    train, test, shift = split_of(found, options)
    parts = decoded.split(labels, train), decoded.split(labels, test)
    further = decoded.split(labels, shift) if len(shift) else None
    return Dataset(found.classes, *parts, found.is_divided, further)
