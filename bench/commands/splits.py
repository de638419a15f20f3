"""`bench splits export`: which examples each repeat learns from, validates on and is tested on, for other programs."""

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.commands.export import put
from bench.commands.output import as_json, say
from bench.commands.suites import Folders
from bench.datasets.base import Dataset
from bench.datasets.sampling import Indices
from bench.errors import NothingSelected
from bench.keys import digest
from bench.places import cache_of
from bench.planning.plan import Cell, Plan
from bench.spec.job import FitSpec
from bench.spec.refs import DataRef

COLUMNS = ["dataset", "sha256", "budget", "repeat", "part", "fold", "of", "index", "label"]
POOL = "pool"  # all examples, those of the training split first: what repeats divide anew


@dataclass(frozen=True)
class Drawn:
    """Of one repeat. Indices are into what `of_train` and `of_test` name: "train", "test", or POOL."""

    dataset: str
    sha256: str  # of every example and label of the set
    budget: str
    repeat: int
    of_train: str
    of_test: str
    train: Indices
    validation: list[Indices]  # parts of `train`, one for each fold or a hold-out; none where it searches nothing
    test: Indices
    labels: Mapping[str, Indices]  # of every example, by what they are of


def export_splits(plan: Plan, folder: Path, to: Literal["csv", "json"], folders: Folders, json: bool) -> int:
    files: dict[str, bytes] = {}
    for label in dict.fromkeys(cell.dataset for cell in plan.cells):
        found = drawn(plan, label, cache_of(folders.results))
        name = f"{re.sub(r'[^A-Za-z0-9_.+-]+', '_', label)}-{digest(label)[:6]}.{to}"
        if found:
            files[name] = (csv_of(found) if to == "csv" else json_of(found)).encode()
    if not files:
        raise NothingSelected("no cell of this suite learns labels of its target")
    written = [str(path) for path in put(files, folder)]
    if json:
        as_json(written)
    else:
        for path in written:
            say(f"splits: {path}")
    return 0


def drawn(plan: Plan, dataset: str, cache: Path) -> list[Drawn]:
    """Of each budget and repeat, as the engine draws them: cells of one task learn the same examples."""
    tasks: dict[tuple[str, str], Cell] = {}
    for cell in plan.cells:
        if cell.dataset == dataset and _learns_target(_spec(plan, cell.finals[0])):
            tasks.setdefault((cell.budget.text, digest(cell.declared.data)), cell)
    loaded: dict[str, Dataset] = {}
    found = []
    for cell in tasks.values():
        for final, search in zip(cell.finals, cell.searches, strict=True):
            ref = _spec(plan, final).data.as_read
            data = loaded.setdefault(digest(ref), _load(plan, ref, cache))
            found.append(_drawn(cell, _spec(plan, final), _spec(plan, search), data))
    return found


def _spec(plan: Plan, key: str) -> FitSpec:
    spec = plan.jobs[key].spec
    assert isinstance(spec, FitSpec)
    return spec


def _learns_target(spec: FitSpec) -> bool:
    return spec.recipe.labels is None and spec.recipe.own_head is None


def _load(plan: Plan, ref: DataRef, cache: Path) -> Dataset:
    from bench import datasets
    from bench.datasets import cache as dataset_cache

    source = plan.sources[digest(ref)].options if digest(ref) in plan.sources else ref.options
    options = datasets.find(ref.name).options.model_validate(source)
    return dataset_cache.load(ref.name, options, cache, ref.revision).of_classes(ref.classes)


def _drawn(cell: Cell, final: FitSpec, search: FitSpec, data: Dataset) -> Drawn:
    """A search that serves all repeats splits the labels of its own one alone."""
    from bench.engine.common.labels import labelled, splits

    own = {"train": data.train.labels, "test": data.test.labels}
    labels = {POOL: np.concatenate(list(own.values()))} if final.data.split is not None else own
    if final.data.split is None:
        of_train, of_test = "train", "test"
        train, test = np.arange(len(own["train"])), np.arange(len(own["test"]))
    else:
        of_train = of_test = POOL
        train, test = data.divided(final.data.split)
    chosen = train[labelled(final, labels[of_train][train])]
    validation = []
    if search.repeat == final.repeat:
        validation = [chosen[held] for _, held in splits(search, labels[of_train][chosen])]
    return Drawn(cell.dataset, data.sha256, cell.budget.text, final.repeat, of_train, of_test, chosen, validation, test,
                 labels)  # fmt: skip


def csv_of(found: list[Drawn]) -> str:
    """A row for each example that a repeat learns from or is tested on. `fold`: in which it validates; the others of
    its part train there. Nothing where it never validates."""
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(COLUMNS)
    for one in found:
        folds = {int(index): number for number, held in enumerate(one.validation) for index in held}
        head = [one.dataset, one.sha256, one.budget, one.repeat]
        for index in map(int, one.train):
            label = one.labels[one.of_train][index]
            rows.writerow([*head, "train", folds.get(index, ""), one.of_train, index, label])
        rows.writerows([*head, "test", "", one.of_test, index, one.labels[one.of_test][index]]
                       for index in map(int, one.test))  # fmt: skip
    return stream.getvalue()


def json_of(found: list[Drawn]) -> str:
    return json.dumps([_plain(one) for one in found]) + "\n"


def _plain(one: Drawn) -> dict[str, Any]:
    return {
        "dataset": one.dataset, "sha256": one.sha256, "budget": one.budget, "repeat": one.repeat,
        "of": {"train": one.of_train, "test": one.of_test}, "train": one.train.tolist(),
        "validation": [held.tolist() for held in one.validation], "test": one.test.tolist(),
    }  # fmt: skip
