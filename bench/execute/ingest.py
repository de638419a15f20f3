"""Decoding: before the first training, once for each content, in a process of its own, which says how far it is."""

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import datasets, fork_server
from bench.datasets import cache as dataset_cache
from bench.datasets import pictures
from bench.datasets.base import Dataset
from bench.errors import BenchError
from bench.keys import digest
from bench.planning.plan import DataSource
from bench.spec.job import Job
from bench.spec.refs import DataRef

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Unread = tuple[DataRef, dict[str, Any]]  # with its options, paths too


def ingest(jobs: Iterable[Job], sources: Mapping[str, DataSource], cache: Path) -> None:
    """Raises BenchError where examples cannot be used. What is embedded is drawn by the workers."""
    ingest_data([job.spec.data.as_read for job in jobs], sources, cache)


def ingest_data(wanted: Iterable[DataRef], sources: Mapping[str, DataSource], cache: Path) -> None:
    left: list[Unread] = []
    for ref in {digest([ref.name, ref.options, ref.revision]): ref for ref in wanted}.values():  # parts of one set once
        source = sources[digest(ref)]
        entry = datasets.find(ref.name)
        options = entry.options.model_validate(source.options)
        if entry.is_read and dataset_cache.kept(ref.name, options, cache, ref.revision) is None:
            left.append((ref, source.options))
    if left:
        fork_server.ask("decoding data sets", _decode, (left, cache))


def whole(sources: Mapping[str, DataSource], cache: Path) -> Callable[[DataRef], Dataset]:
    """All of a set, held against its digests. Raises BenchError."""

    def load(ref: DataRef) -> Dataset:
        options = datasets.find(ref.name).options.model_validate(sources[digest(ref)].options)
        return dataset_cache.load(ref.name, options, cache, ref.revision).of_classes(ref.classes)

    return load


def images_at_hand(
    sources: Mapping[str, DataSource], cache: Path, draws: bool
) -> Callable[[DataRef], Dataset | None]:
    """For a look at prints and labels alone: of what was decoded before. `draws`: of what is embedded too."""

    def load(ref: DataRef) -> Dataset | None:
        try:
            entry = datasets.find(ref.name)
            options = entry.options.model_validate(sources[digest(ref)].options)
            if draws and not entry.is_read:
                return dataset_cache.load(ref.name, options, cache, ref.revision).of_classes(ref.classes)
            known = dataset_cache.kept_prints(ref.name, options, cache, ref.revision)
            return known.of_classes(ref.classes) if known is not None else None
        except Exception:  # a third party's code: trainings on these examples will say what is wrong
            return None

    return load


def _shower(bar: "Progress", task: "TaskID") -> Callable[[int, int], None]:
    return lambda done, total: bar.update(task, completed=done, total=total)


def _decode(question: tuple[list[Unread], Path]) -> None:
    """In the other process: a library's reader may take it down, and what it holds in memory goes with it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    left, cache = question
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        for ref, options in left:
            task = bar.add_task(f"decoding {ref.name}", total=None)
            pictures.watcher.set(_shower(bar, task))
            try:
                loaded = dataset_cache.load(
                    ref.name, datasets.find(ref.name).options.model_validate(options), cache, ref.revision
                )
            except Exception as error:  # a library's own reader may fail in any way
                text = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
                raise BenchError(f"dataset {ref.name}: {text}") from error
            num = sum(len(split.labels) for split in loaded.splits.values())
            bar.update(task, completed=num, total=num)
