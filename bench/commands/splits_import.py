"""`bench splits import`: a published list of examples -> the list that a suite names, held against its data."""

from collections.abc import Sequence
from pathlib import Path

from bench.commands.output import as_json, say
from bench.commands.splits import files_of
from bench.commands.suites import Folders
from bench.datasets.published_lists import entry_of, mentions
from bench.datasets.split_lists import POOL, SplitList, table_of
from bench.errors import BenchError
from bench.execute.ingest import ingest_data, whole
from bench.keys import digest
from bench.places import cache_of, find_file
from bench.planning.enumerate import refuse
from bench.planning.lists import budgets_in, difference, of_budget
from bench.planning.problems import Problems
from bench.planning.resolve import Asked, resolve_dataset
from bench.store.atomic import write_bytes
from bench.suite.load import LoadedSuite, load_suite
from bench.suite.schema import DatasetSpec


def import_splits(
    suite: Path, files: Sequence[str], dataset: str | None, folders: Folders, as_data: bool
) -> int:
    loaded = load_suite(suite)
    number, spec = _chosen(loaded, dataset)
    found = mentions(files)
    problems = Problems(loaded)
    asked = Asked(spec.name, spec.options, spec.classes, spec.metric)
    resolved = resolve_dataset(asked, ("datasets", number), problems)
    refuse(problems)
    assert resolved is not None
    ref, source = resolved
    cache = cache_of(folders.results)
    ingest_data([ref], {digest(ref): source}, cache)
    data = whole({digest(ref): source}, cache)(ref)
    budgets = budgets_in(spec)
    named = files_of(ref, source)
    entry = entry_of(found, data, named[POOL] if named else None, budgets[0].text if len(budgets) == 1 else None)
    name = str(spec.splits)
    of_budget(loaded.suite, (name, SplitList(name, (entry,))), entry.budget, source.facts)
    if why := difference([entry], data, name):
        raise BenchError(why)
    path = find_file(name, loaded.path.parent) or loaded.path.parent / name
    content = table_of(spec.label or asked.label, [entry], named).encode()
    if path.exists() and path.read_bytes() != content:
        raise BenchError(f"{path} is in the way: another list is there; move it, or name another one in the suite")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)
    held = sum(fold is not None for fold in entry.folds)
    sizes = {"train": len(entry.folds) - held, "validation": held, "test": len(entry.test.indices)}
    if as_data:
        as_json({"path": str(path), "budget": entry.budget, **sizes})
    else:
        say(f"splits: {path}: budget {entry.budget!r}, "
            + ", ".join(f"{num:,} {part}" for part, num in sizes.items() if num))
    return 0


def _chosen(loaded: LoadedSuite, dataset: str | None) -> tuple[int, DatasetSpec]:
    """Its number too."""
    listed = [(number, spec) for number, spec in enumerate(loaded.suite.datasets) if spec.splits is not None]
    if not listed:
        raise BenchError(f"{loaded.path}: no data set has `splits: FILE`, which says where the list goes")
    fits = [(number, spec) for number, spec in listed if dataset in (None, spec.label, spec.name)]
    if len(fits) != 1:
        known = ", ".join(spec.label or spec.name for _, spec in listed)
        raise BenchError(f"{loaded.path}: --dataset NAME, one of those with `splits`: {known}")
    return fits[0]
