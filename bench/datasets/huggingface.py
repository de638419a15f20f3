"""`hf:NAME`: sets of pictures or texts of the Hugging Face hub, read by its own library where they lie in its cache; or
a folder that `save_to_disk` wrote. The library is an extra and slow to import, so facts come from a process of their
own.

What is opened is what was hashed: the Arrow files themselves, never whatever the library would choose to load.
"""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from bench import fork_server
from bench.catalogue import LATER
from bench.datasets import pictures, texts
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts
from bench.datasets.facts_cache import cached_facts
from bench.datasets.files import DataError, digests_of, listed, shown, visible, walk
from bench.datasets.kinds import KINDS, Kind, Labels, check_settings
from bench.datasets.labelled import PictureOptions, divided, told_of_split
from bench.datasets.overlap import twice
from bench.errors import Missing
from bench.keys import digest
from bench.modalities import MODALITIES

REVISION = 1  # bump when the same files come to other pixels, labels or splits
PREFIX = "hf:"
NEEDED = "Hugging Face's library is not installed: pip install 'transfer-bench[hf]'"
PART = re.compile(r"-([^-]+?)(?:-\d{5}-of-\d{5})?$")  # of NAME-SPLIT.arrow and NAME-SPLIT-00000-of-00004.arrow
TEXT = "text"  # the usual name of a column
SPLITS = {"train": ("train", "training"), "validation": ("validation", "valid", "val"), "test": ("test", "testing")}
SHIFT = "shift"  # a further split by this name is scored, too


FEATURES: dict[str, Callable[[Any], bool]] = {
    "Image": lambda feature: type(feature).__name__ == "Image",
    "ClassLabel": lambda feature: type(feature).__name__ == "ClassLabel",
    "text": lambda feature: getattr(feature, "dtype", None) in ("string", "large_string"),
}


class HubOptions(PictureOptions):
    path: str
    """The set's name on the hub, with its configuration after an @ where it has several; or a folder of your own."""
    image: str = ""
    """The column of pictures; unset, the only one there is."""
    text: Annotated[str | None, Field(json_schema_extra=LATER)] = None
    """The column of texts, instead of pictures; unset, where there are no pictures, `text` or the only one there is."""
    second: Annotated[str | None, Field(json_schema_extra=LATER)] = None
    """The column of second texts, where a text is a pair: a premise and a hypothesis, say."""
    label: str = ""
    """The column of classes; unset, the only one that the set declares as such."""
    train: str = ""
    """The split to train on; unset, `train`, and `validation` with it where there is a `test`."""
    test: str = ""
    """The split to test on; unset, `test`, else `validation`, else a share of the training images."""


def facts(options: HubOptions) -> DatasetFacts:
    root = _folder(options)
    files = [path for path in walk(root) if path.suffix == ".arrow"]
    content = [[path.name, sha256] for path, sha256 in zip(files, digests_of(files), strict=True)]
    identity = digest([REVISION, content, options.in_key(("path",))])
    question = {"root": str(root), "revision": f"hf-{identity}", "options": options.model_dump(mode="json")}
    what = f"reading {options.path} in {shown(root)}"
    return cached_facts(f"hf-{identity}", lambda: fork_server.ask(what, answer, question))


def _folder(options: HubOptions) -> Path:
    """Of Arrow files."""
    given = Path(options.path)
    if given.is_dir():
        if not any(path.suffix == ".arrow" for path in walk(given)):
            raise DataError(f"{shown(given)}: no Arrow files, which `save_to_disk` writes; folders of pictures are "
                            "`folder:`, tables `parquet:`")
        return given
    name, _, configuration = options.path.partition("@")
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface")
    cache = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets").expanduser()
    own = cache / name.replace("/", "___")
    every = [one for one in visible(own) if one.is_dir()] if own.is_dir() else []
    found = [one for one in every if one.name == configuration] if configuration else every
    if len(found) > 1:
        raise DataError(f"hf:{name} has several configurations: {listed(one.name for one in found)}; name one, as in "
                        f"`hf:{name}@{found[0].name}`")
    complete = [info.parent for one in found for info in one.glob("*/*/dataset_info.json")]
    if not complete:
        raise Missing("dataset", f"{PREFIX}{options.path}", "it is read from Hugging Face's cache of data sets",
                      can_fetch=True)
    return max(complete, key=lambda folder: folder.stat().st_mtime_ns)


@dataclass(frozen=True)
class _Opened:
    train: list[Any]  # of `datasets.Dataset`, pictures as bytes
    test: list[Any]
    contents: tuple[str, ...]  # columns: of pictures; or of texts, and of second ones
    kind: Kind
    classes: tuple[str, ...]
    train_labels: Labels
    test_labels: Labels | None
    shift: list[Any]
    shift_labels: Labels | None


def _open(root: Path, options: HubOptions) -> _Opened:
    splits = _splits(root)
    train, test = _chosen(splits, options, root)
    shift = [SHIFT] if SHIFT in splits and SHIFT not in (*train, *test) else []
    contents, label, kind = _columns(splits[train[0]].features, options, root)
    check_settings(kind, options, shown(root))
    parts = [[_undecoded(splits[name], contents, kind) for name in names] for names in (train, test, shift)]
    raw = [np.concatenate([np.asarray(part[label]) for part in one]) if one else None for one in parts]
    declared = getattr(splits[train[0]].features[label], "names", None)
    told = [one for one in raw if one is not None]
    example = MODALITIES[kind.modality].example
    values = np.arange(len(declared)) if declared else np.unique(np.concatenate(told))
    for one in told:
        if not np.isin(one, values).all():
            raise DataError(f"{shown(root)}: labels outside the classes, as of {example}s without a label "
                            f"({listed(sorted(set(one.tolist()) - set(values.tolist())))}); name another `test` split")
    coded = [np.searchsorted(values, one).astype(np.int64) if one is not None else None for one in raw]
    assert coded[0] is not None
    names = tuple(map(str, declared or values.tolist()))
    return _Opened(parts[0], parts[1], contents, kind, names, coded[0], coded[1], parts[2], coded[2])


def _splits(root: Path) -> dict[str, Any]:
    try:
        import datasets as hub
    except ImportError:
        raise DataError(NEEDED) from None
    hub.disable_progress_bars()
    if (root / "dataset_dict.json").exists() or (root / "state.json").exists():
        saved = hub.load_from_disk(str(root))
        return dict(saved) if isinstance(saved, hub.DatasetDict) else {"train": saved}
    parts: dict[str, list[Any]] = {}
    for path in sorted(root.glob("*.arrow")):
        split = PART.search(path.stem)
        if split is not None:
            parts.setdefault(split[1], []).append(hub.Dataset.from_file(str(path)))
    return {split: hub.concatenate_datasets(part) for split, part in parts.items()}


def _chosen(splits: dict[str, Any], options: HubOptions, root: Path) -> tuple[list[str], list[str]]:
    """Names of the splits to train and to test on."""
    usual = {kind: next((name for name in names if name in splits), None) for kind, names in SPLITS.items()}
    alone = [name for name in splits if name != SHIFT]
    for wanted in (options.train, options.test):
        if wanted and wanted not in splits:
            raise DataError(f"{shown(root)}: no split {wanted!r}; found {listed(splits)}")
    train = options.train or usual["train"] or (alone[0] if len(alone) == 1 else None)
    if train is None:
        raise DataError(f"{shown(root)}: no split `train`; found {listed(splits)}; name one with the option `train`")
    test = options.test or usual["test"] or usual["validation"]
    if test == train:
        raise DataError(f"{shown(root)}: {train!r} cannot be trained and tested on")
    more = [name for name in (usual["validation"],) if not options.train and name not in (None, train, test)]
    return [train, *(name for name in more if name)], [test] if test else []


def _columns(features: Any, options: HubOptions, root: Path) -> tuple[tuple[str, ...], str, Kind]:
    """Names of the columns of pictures or texts, and of classes."""
    by_kind = {cls: [name for name, feature in features.items() if is_one(feature)] for cls, is_one in FEATURES.items()}
    is_text = options.text is not None or options.second is not None
    if is_text and options.image:
        raise DataError(f"{shown(root)}: `image` and `text` (or `second`) are both given; leave out one of them")
    is_text |= not options.image and not by_kind["Image"] and bool(by_kind["text"])
    content = ("text", options.text or (TEXT if TEXT in by_kind["text"] else ""), "text") if is_text else \
              ("image", options.image, "Image")
    chosen = []
    for kind, wanted, cls in (content, ("label", options.label, "ClassLabel"), ("second", options.second or "", "")):
        fitting = by_kind.get(cls, [])
        if wanted and wanted not in features:
            raise DataError(f"{shown(root)}: no column {wanted!r}; found {listed(features)}")
        if cls and not wanted and len(fitting) != 1:
            told = f"columns of {cls}: {listed(fitting) or 'none'}; all columns: {listed(features)}"
            raise DataError(f"{shown(root)}: which column is the {kind}? {told}; name it with the option `{kind}`")
        chosen.append(wanted or next(iter(fitting), ""))
    first, label, second = chosen
    return (first, second) if second else (first,), label, KINDS["text" if is_text else "image"]


def _undecoded(part: Any, contents: tuple[str, ...], kind: Kind) -> Any:
    import datasets as hub

    return part.cast_column(contents[0], hub.Image(decode=False)) if kind.modality == "image" else part


def _kept(parts: Sequence[Any], opened: _Opened) -> list[pictures.Packed]:
    if opened.kind.modality == "image":
        return [pictures.Packed(f"picture {row}", partial(_bytes, part, row, opened.contents[0]))
                for part in parts for row in range(len(part))]  # fmt: skip
    rows = [row for part in parts for row in zip(*(part[name] for name in opened.contents), strict=True)]
    return [pictures.Packed(f"row {place}", partial(texts.joined, *(text or "" for text in row)))
            for place, row in enumerate(rows, 1)]  # fmt: skip


def _bytes(part: Any, row: int, image: str) -> bytes:
    cell = part[row][image]
    packed: bytes | None = cell["bytes"]
    return packed if packed is not None else Path(cell["path"]).read_bytes()


def _sha256s(kept: Sequence[pictures.Packed]) -> list[bytes]:
    return [hashlib.sha256(one.read()).digest() for one in kept]


def answer(question: dict[str, Any]) -> DatasetFacts:
    """In the process of its own."""
    options = HubOptions.model_validate(question["options"])
    opened = _open(Path(question["root"]), options)
    train, test, notes = opened.train_labels, opened.test_labels, []
    is_divided = test is None
    kept, example = _kept(opened.train, opened), MODALITIES[opened.kind.modality].example
    packed = _sha256s(kept)
    if test is None:
        chosen, rest = divided(train, options)
        notes.append(told_of_split(chosen, rest, options))
        seen, others = {packed[i] for i in chosen}, [packed[i] for i in rest]
        train, test = train[chosen], train[rest]
    else:
        seen, others = set(packed), _sha256s(_kept(opened.test, opened))
        if len(opened.train) > 1:
            notes.append(f"its validation split was added to the training {example}s")
    further = _sha256s(_kept(opened.shift, opened))
    for split, rows in (("test", others), ("shift", further)):
        if both := sum(one in seen for one in rows):
            notes.append(f"{both} of {len(rows)} {twice(example, split)}, byte for byte")
    counts = np.bincount(train, minlength=len(opened.classes))
    if counts.min() == 0:
        raise DataError(f"{options.path}: {opened.classes[int(counts.argmin())]!r} has no training {example}")
    # No text is cut; pictures are as large as those that are learned.
    every = kept if example == "image" else [*kept, *_kept(opened.test, opened), *_kept(opened.shift, opened)]
    size = opened.kind.size_of(every, options)
    told = (*opened.kind.notes_of(every, size, options), *notes)
    shift = opened.shift_labels
    # A split of that name was passed over once: what was learned of such a set then keeps its own keys.
    revision = question["revision"] + ("-shift" if shift is not None else "")
    return DatasetFacts(
        len(opened.classes), size, len(train), len(test), int(counts.min()), revision,
        notes=() if is_divided else told,
        train_sizes=tuple(counts),
        test_sizes=tuple(np.bincount(test, minlength=len(opened.classes))),
        classes=tuple(opened.classes), division=told if is_divided else None, modality=opened.kind.modality,
        num_shift=len(further),
        shift_sizes=() if shift is None else tuple(np.bincount(shift, minlength=len(opened.classes))),
    )


def load(options: HubOptions) -> Dataset:
    size = facts(options).image_size
    opened = _open(_folder(options), options)
    decoded = opened.kind.decode(_kept(opened.train, opened), size, options)
    labels = opened.train_labels
    test, shift = (
        opened.kind.decode(_kept(part, opened), size, options).split(own) if own is not None else None
        for part, own in ((opened.test, opened.test_labels), (opened.shift, opened.shift_labels))
    )
    if test is not None:
        return Dataset(opened.classes, decoded.split(labels), test, shift=shift)
    chosen, rest = divided(labels, options)
    return Dataset(opened.classes, decoded.split(labels, chosen), decoded.split(labels, rest), True, shift)


def fetch(name: str) -> None:
    """Into the library's own cache."""
    try:
        import datasets as hub
    except ImportError:
        raise DataError(NEEDED) from None
    path, _, configuration = name.partition("@")
    hub.load_dataset(path, configuration or None)


HUGGING_FACE = DatasetEntry("hf", "pictures or texts of the Hugging Face hub (extra `hf`), or saved by its library",
                            facts, load, HubOptions, is_read=True, where=("path",), is_hub=True)
