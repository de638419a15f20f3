"""`folder:PATH`: one folder per class, of pictures, texts or clips; or such folders under `train` and `test` (or `val`)
and under `shift`, which is the same classes in other circumstances."""

from collections import Counter
from pathlib import Path

from bench.datasets import labelled
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Names
from bench.datasets.files import DataError, is_suffix_of, listed, shown, visible, walk
from bench.datasets.foreign import CONVERT, counted, pictures_among
from bench.datasets.kinds import most_of
from bench.datasets.labelled import Labelled, PictureOptions
from bench.modalities import MODALITIES

TRAIN, VALIDATION, TEST = ("train", "training"), ("val", "valid", "validation"), ("test", "testing")
SHIFT = "shift"


class FolderOptions(PictureOptions):
    path: str
    """The folder; `folder:PATH` as the dataset's name is the same. Looked for beside the suite, where the command runs,
    and in the folders of BENCH_DATA."""


def facts(options: FolderOptions) -> DatasetFacts:
    return labelled.facts_of(scan(Path(options.path)), options)


def load(options: FolderOptions) -> Dataset:
    return labelled.load(scan(Path(options.path)), options)


def names(options: FolderOptions) -> tuple[Names, Names]:
    return labelled.names_of(scan(Path(options.path)), options)


def scan(root: Path) -> Labelled:
    if not root.is_dir():
        what = "a file, and `folder` takes a folder of class folders" if root.is_file() else "no such folder"
        raise DataError(f"{shown(root)}: {what}")
    below = {path.name.lower(): path for path in visible(root) if path.is_dir()}
    if not below.keys() <= {*TRAIN, *VALIDATION, *TEST, SHIFT}:
        return _gather(root, [(root, None)])  # `valid` beside `invalid` is a class
    parts = {kind: next((below[name] for name in names if name in below), None)
             for kind, names in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST))}
    if parts["train"] is None and (parts["validation"] or parts["test"]):
        raise DataError(f"{shown(root)}: a test split and no `train` beside it; found {listed(below)}")
    if parts["train"] is None:
        return _gather(root, [(root, None)])
    test, shift = parts["test"] or parts["validation"], below.get(SHIFT)
    if test is None and shift is None:
        return _gather(root, [(parts["train"], None)])
    further = (("test", test), ("shift", shift))
    sources: list[tuple[Path, str | None]] = [
        (parts["train"], "train"), *((path, split) for split, path in further if path is not None),
    ]  # fmt: skip
    if parts["test"] is not None and parts["validation"] is not None:
        # Labels for validation come out of the label budget here, so a fixed validation split is more labels.
        sources.insert(1, (parts["validation"], "train"))
        return _gather(root, sources, parts["validation"].name)
    return _gather(root, sources)


def _gather(root: Path, sources: list[tuple[Path, str | None]], added: str = "") -> Labelled:
    """`added`: the split that was added to the training examples."""
    folders = [(one, split, child) for one, split in sources for child in visible(one) if child.is_dir()]
    classes = sorted({child.name for _, _, child in folders})
    number = {name: label for label, name in enumerate(classes)}
    kind = most_of(path.name for _, _, child in folders for path in walk(child))
    rows: list[tuple[Path, int, str | None]] = []
    passed: list[Path] = [path for one, _ in sources for path in visible(one) if path.is_file()]
    for _, split, child in folders:
        for path in walk(child):
            if is_suffix_of(path.name, kind.suffixes):
                rows.append((path, number[child.name], split))
            else:
                passed.append(path)
    foreign = pictures_among(passed)
    convert = f"; found {counted(foreign)}{CONVERT}" if foreign else ""
    # A few texts beside pictures that nobody can read yet are no set of texts.
    if not rows or (kind.modality == "text" and foreign.total() > len(rows)):
        raise DataError(f"{shown(root)}: no pictures in folders named after classes; expected {root.name}/CLASS/*.jpg "
                        f"or {root.name}/train/CLASS/*.jpg, or texts as .txt, or clips as .wav{convert}")
    _refuse_unread(root, [child for _, _, child in folders], {label for _, label, _ in rows}, convert)
    notes: tuple[str, ...] = ()
    if added:
        notes = (f"`{added}` was added to the training {MODALITIES[kind.modality].example}s",)
    if passed:
        notes += (f"files that are no {kind.word}, passed over: {len(passed)}{convert}",)
    splits = None if rows[0][2] is None else tuple(str(split) for _, _, split in rows)
    found = Labelled(
        root=root,
        files=tuple(path for path, _, _ in rows),
        classes=tuple(shown(name) for name in classes),
        labels=tuple(label for _, label, _ in rows),
        splits=splits,
        notes=notes,
        modality=kind.modality,
    )
    try:
        return found.checked()
    except DataError as error:  # a class whose pictures nobody can read looks empty
        raise DataError(f"{error}{convert}") from error


def _refuse_unread(root: Path, folders: list[Path], seen: set[int], convert: str) -> None:
    """A class all of whose files are of a type that is not read is no empty class."""
    for label, name in enumerate(sorted({one.name for one in folders})):
        types = Counter(path.suffix.lower() or "without a suffix"
                        for one in folders if one.name == name and label not in seen for path in walk(one))  # fmt: skip
        if types:
            files = f"{types.total()} file{'s' if types.total() > 1 else ''}"
            raise DataError(f"{shown(root)}: nothing of {name!r} can be read: {files}, {listed(types)}{convert}")


FOLDER = DatasetEntry("folder", "your pictures, texts or clips: one folder per class, with or without train and test",
                      facts, load, FolderOptions, is_read=True, where=("path",), names=names)
