"""`bench splits export`: which examples each repeat learns from, validates on and is tested on, for other programs."""

import json
import re
from pathlib import Path
from typing import Literal

import numpy as np

from bench import datasets
from bench.commands.export import put
from bench.commands.output import as_json, say
from bench.commands.suites import Folders
from bench.datasets.base import Dataset
from bench.datasets.split_lists import POOL, Entry, Lists, Part, plain, table_of
from bench.errors import NothingSelected
from bench.execute.ingest import whole
from bench.keys import digest
from bench.places import cache_of
from bench.planning.plan import Cell, DataSource, Plan
from bench.spec.job import FitSpec
from bench.spec.refs import DataRef


def export_splits(plan: Plan, folder: Path, to: Literal["csv", "json"], folders: Folders, as_data: bool) -> int:
    files: dict[str, bytes] = {}
    for label in dict.fromkeys(cell.dataset for cell in plan.cells):
        found = drawn(plan, label, cache_of(folders.results))
        name = f"{re.sub(r'[^A-Za-z0-9_.+-]+', '_', label)}-{digest(label)[:6]}.{to}"
        if found:
            named = _files(plan, label)
            files[name] = (table_of(label, found, named) if to == "csv" else _json_of(label, found)).encode()
    if not files:
        raise NothingSelected("no cell of this suite learns labels of its target")
    written = [str(path) for path in put(files, folder)]
    if as_data:
        as_json(written)
    else:
        for path in written:
            say(f"splits: {path}")
    return 0


def drawn(plan: Plan, dataset: str, cache: Path) -> list[Entry]:
    """Of each budget and repeat, as the engine draws them: cells of one task learn the same examples."""
    tasks: dict[tuple[str, str], Cell] = {}
    for cell in plan.cells:
        if cell.dataset == dataset and _learns_target(_spec(plan, cell.finals[0])):
            tasks.setdefault((cell.budget.text, digest(cell.declared.data)), cell)
    loaded: dict[str, Dataset] = {}
    load, found = whole(plan.sources, cache), []
    for cell in tasks.values():
        for final, search in zip(cell.finals, cell.searches, strict=True):
            ref = _spec(plan, final).data.as_read
            if digest(ref) not in loaded:
                loaded[digest(ref)] = load(ref)
            specs = _spec(plan, final), _spec(plan, search)
            found.append(_drawn(cell, specs, loaded[digest(ref)], plan.lists))
    return found


def files_of(ref: DataRef, source: DataSource) -> dict[str, list[str]] | None:
    """Names of the examples' files, by what indices are of; None where the data set does not tell."""
    entry = datasets.find(ref.name)
    if entry.names is None:
        return None
    train, test = ([name for name, label in part if ref.classes is None or label in ref.classes]
                   for part in entry.names(entry.options.model_validate(source.options)))  # fmt: skip
    return {"train": train, "test": test, POOL: train + test}


def _files(plan: Plan, dataset: str) -> dict[str, list[str]] | None:
    ref = next(cell.declared.data for cell in plan.cells if cell.dataset == dataset).as_read
    return files_of(ref, plan.sources[digest(ref)])


def _spec(plan: Plan, key: str) -> FitSpec:
    spec = plan.jobs[key].spec
    assert isinstance(spec, FitSpec)
    return spec


def _learns_target(spec: FitSpec) -> bool:
    return spec.recipe.labels is None and spec.recipe.own_head is None


def _drawn(cell: Cell, specs: tuple[FitSpec, FitSpec], data: Dataset, lists: Lists) -> Entry:
    """`specs`: of a final and its search. A search that serves all repeats splits the labels of its own one alone."""
    from bench.engine.common.labels import labelled, splits

    final, search = specs
    own = {"train": data.train.labels, "test": data.test.labels}
    labels = {POOL: np.concatenate(list(own.values()))} if final.data.split is not None else own
    split = lists.division(final.data.split)
    if split is None:
        of_train, of_test = "train", "test"
        train, test = np.arange(len(own["train"])), np.arange(len(own["test"]))
    else:
        of_train = of_test = POOL
        train, test = data.divided(split)
    listed = lists.labels[final.listed] if final.listed is not None else None
    chosen = train[labelled(final, labels[of_train][train], listed)]
    folds: list[int | None] = [None] * len(chosen)
    if search.repeat == final.repeat:
        for number, (_, held) in enumerate(splits(search, labels[of_train][chosen], listed)):
            for place in held:
                folds[place] = number
    parts = [Part(tuple(rows.tolist()), tuple(labels[of][rows].tolist())) for of, rows in
             ((of_train, chosen), (of_test, test))]  # fmt: skip
    return Entry(cell.budget.text, final.repeat, data.sha256, of_train, of_test, parts[0], tuple(folds), parts[1])


def _json_of(label: str, found: list[Entry]) -> str:
    return json.dumps([{"dataset": label, **plain(entry)} for entry in found]) + "\n"
