"""torchvision's classification sets, read by its own loaders. Its import takes seconds: facts come from a process of
their own (`python -m bench.datasets.torchvision_sets`), once for each content."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import fork_server
from bench.datasets import pictures
from bench.datasets.base import Dataset, DatasetFacts, print_of
from bench.datasets.facts_cache import cached_facts
from bench.datasets.files import digests_of, shown, walk
from bench.datasets.kinds import KINDS, Labels, check_settings
from bench.datasets.labelled import PictureOptions, divided, told_of_split
from bench.keys import digest

REVISION = 1  # bump when the same files come to other pixels, labels or splits
USUAL_SIDE = 256
LABELS = ("targets", "labels", "_labels", "y")  # where torchvision's classes keep them

Part = dict[str, Any]  # arguments of one split


Splits = tuple[tuple[Part, ...], tuple[Part, ...]]  # to train on, to test on; no test: a stratified one is made

BY_TRAIN: Splits = (({"train": True},), ({"train": False},))
BY_SPLIT: Splits = (({"split": "train"},), ({"split": "test"},))
TRAINVAL: Splits = (({"split": "trainval"},), ({"split": "test"},))
WITH_VAL: Splits = (({"split": "train"}, {"split": "val"}), ({"split": "test"},))  # labels for validation are labels
ONE: Splits = (({},), ())


@dataclass(frozen=True)
class Loader:
    """One class of torchvision, and which of its splits are which."""

    cls: str
    marker: str  # what it leaves under its root
    parts: Splits
    side: int = USUAL_SIDE
    downloads: bool = True  # torchvision can fetch it


LOADERS = {
    "cifar10": Loader("CIFAR10", "cifar-10-batches-py", BY_TRAIN, 32),
    "cifar100": Loader("CIFAR100", "cifar-100-python", BY_TRAIN, 32),
    "svhn": Loader("SVHN", "train_32x32.mat", BY_SPLIT, 32),
    "stl10": Loader("STL10", "stl10_binary", BY_SPLIT, 96),
    "mnist": Loader("MNIST", "MNIST/raw", BY_TRAIN, 28),
    "fashion_mnist": Loader("FashionMNIST", "FashionMNIST/raw", BY_TRAIN, 28),
    "kmnist": Loader("KMNIST", "KMNIST/raw", BY_TRAIN, 28),
    "eurosat": Loader("EuroSAT", "eurosat/2750", ONE, 64),
    "flowers102": Loader("Flowers102", "flowers-102", WITH_VAL),
    "pets": Loader("OxfordIIITPet", "oxford-iiit-pet", TRAINVAL),
    "dtd": Loader("DTD", "dtd/dtd", WITH_VAL),
    "food101": Loader("Food101", "food-101", BY_SPLIT),
    "gtsrb": Loader("GTSRB", "gtsrb", BY_SPLIT, 64),
    "caltech101": Loader("Caltech101", "caltech101/101_ObjectCategories", ONE),
    "aircraft": Loader("FGVCAircraft", "fgvc-aircraft-2013b", TRAINVAL),
    "cars": Loader("StanfordCars", "stanford_cars", BY_SPLIT, downloads=False),
    "pcam": Loader("PCAM", "pcam", WITH_VAL, 96),
    "sun397": Loader("SUN397", "SUN397", ONE),
    "clevr_count": Loader("CLEVRClassification", "clevr", (({"split": "train"},), ({"split": "val"},))),
}


def facts(name: str, root: Path, options: PictureOptions) -> DatasetFacts:
    loader = LOADERS[name]
    check_settings(KINDS["image"], options, name)
    marker = root / loader.marker
    files = list(walk(marker)) if marker.is_dir() else sorted(root.glob(f"*{marker.suffix}"))
    content = [[shown(path.relative_to(root)), sha] for path, sha in zip(files, digests_of(files), strict=True)]
    identity = digest([REVISION, name, dataclasses.asdict(loader), content, options.in_key()])
    revision = f"torchvision-{identity}"
    question = {"name": name, "root": str(root), "revision": revision, "options": options.model_dump(mode="json")}
    return cached_facts(revision, lambda: fork_server.ask(f"reading {name} in {shown(root)}", answer, question))


def _open(loader: Loader, root: Path, parts: Sequence[Part], download: bool = False) -> list[Any]:
    from torchvision import datasets as sets

    make = getattr(sets, loader.cls)
    more = {"download": True} if download and loader.downloads else {}
    opened = [make(str(root), **part, **more) for part in parts]
    for one in opened:
        _sort(one)
    return opened


def _sort(opened: Any) -> None:
    """Some list their files in the order of the disk."""
    files, labels = getattr(opened, "_image_files", None), getattr(opened, "_labels", None)
    if files is not None and labels is not None and len(files) == len(labels):
        order = sorted(range(len(files)), key=lambda i: str(files[i]))
        opened._image_files, opened._labels = [files[i] for i in order], [labels[i] for i in order]


def fetch(name: str, root: Path) -> None:
    loader = LOADERS[name]
    root.mkdir(parents=True, exist_ok=True)
    for parts in loader.parts:
        _open(loader, root, parts, download=True)


def _labels_of(opened: Any) -> Labels:
    for name in LABELS:
        if hasattr(opened, name):
            return np.asarray(getattr(opened, name), np.int64)
    if hasattr(opened, "_samples"):
        return np.array([label for _, label in opened._samples], np.int64)
    return np.array([label for _, label in opened], np.int64)


@dataclass(frozen=True)
class _Opened:
    """A set's parts as torchvision opens them. Labels are counted from 0, `values` are the set's own."""

    train: list[Any]
    test: list[Any]
    train_labels: Labels
    test_labels: Labels | None
    values: Labels

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, or the values where it has none."""
        names = next((getattr(one, "classes", None) or getattr(one, "categories", None) for one in self.train), None)
        return tuple(map(str, names if names and len(names) == len(self.values) else self.values))


def _open_all(loader: Loader, root: Path) -> _Opened:
    train, test = (_open(loader, root, parts) for parts in loader.parts)
    labels = [np.concatenate([_labels_of(one) for one in part]) for part in (train, test) if part]
    values = np.unique(np.concatenate(labels))  # some begin at 1
    coded = [np.searchsorted(values, one).astype(np.int64) for one in labels]
    return _Opened(train, test, coded[0], coded[1] if test else None, values)


def answer(question: dict[str, Any]) -> DatasetFacts:
    """In the process of its own."""
    loader = LOADERS[question["name"]]
    options = PictureOptions.model_validate(question["options"])
    opened = _open_all(loader, Path(question["root"]))
    train, test, values = opened.train_labels, opened.test_labels, opened.values
    notes: tuple[str, ...] = ()
    division = None
    if test is None:
        chosen, rest = divided(train, options)
        train, test = train[chosen], train[rest]
        division = (told_of_split(train, test, options),)
    elif len(loader.parts[0]) > 1:
        notes = ("its validation split was added to the training images",)
    sizes, test_sizes = (np.bincount(labels, minlength=len(values)) for labels in (train, test))
    return DatasetFacts(
        len(values), options.side or loader.side, len(train), len(test), int(sizes.min()), question["revision"], notes,
        train_sizes=tuple(sizes), test_sizes=tuple(test_sizes), classes=opened.classes, division=division,
    )  # fmt: skip


def load(name: str, root: Path, options: PictureOptions) -> Dataset:
    loader = LOADERS[name]
    opened = _open_all(loader, root)
    train_labels, classes = opened.train_labels, opened.classes
    side = options.side or loader.side
    decoded = _decoded(opened.train, side, options.fit)
    if opened.test_labels is not None:
        test = _decoded(opened.test, side, options.fit).split(opened.test_labels)
        return Dataset(classes, decoded.split(train_labels), test)
    chosen, rest = divided(train_labels, options)
    parts = decoded.split(train_labels, chosen), decoded.split(train_labels, rest)
    return Dataset(classes, *parts, is_divided=True)


def _decoded(opened: Sequence[Any], side: int, fit: pictures.Fit) -> pictures.Decoded:
    total = sum(map(len, opened))
    out = pictures.Decoded.blank(total, side)
    for number, image in enumerate(image for one in opened for image, _ in one):
        picture = pictures.to_rgb(image)
        out.pixels[number] = pictures.squared(picture, side, fit)
        out.wholes[number] = print_of(np.asarray(picture, np.uint8))
        pictures.watcher.get()(number + 1, total)
    return out
