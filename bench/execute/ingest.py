"""Decoding: before the first training, once for each content, in a process of its own, which says how far it is.

`python -m bench.execute.ingest`: JSON in on standard input, progress on standard error.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import datasets
from bench.datasets import cache as dataset_cache
from bench.datasets import pictures
from bench.datasets.base import Dataset
from bench.errors import BenchError
from bench.keys import digest
from bench.plan.plan import DataSource
from bench.spec.job import Job
from bench.spec.refs import DataRef

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def ingest(jobs: Iterable[Job], sources: Mapping[str, DataSource], cache: Path) -> None:
    """Raises BenchError where images cannot be used. What is embedded is drawn by the workers."""
    left = []
    for key, ref in {digest(job.spec.data): job.spec.data for job in jobs}.items():
        source = sources[key]
        entry = datasets.find(ref.name)
        options = entry.options.model_validate(source.options)
        if entry.is_read and dataset_cache.kept(ref.name, options, cache, ref.revision) is None:
            left.append({"name": ref.name, "options": source.options, "revision": ref.revision})
    if not left:
        return
    question = json.dumps({"cache": str(cache), "datasets": left})
    done = subprocess.run([sys.executable, "-m", "bench.execute.ingest"], input=question, text=True,
                          stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise BenchError(done.stdout.strip() or f"decoding images ended with code {done.returncode}")


def images_at_hand(
    sources: Mapping[str, DataSource], cache: Path, draws: bool
) -> Callable[[DataRef], Dataset | None]:
    """For a look at images without training on them: what was decoded before. `draws`: what is embedded too."""

    def load(ref: DataRef) -> Dataset | None:
        try:
            entry = datasets.find(ref.name)
            options = entry.options.model_validate(sources[digest(ref)].options)
            if draws and not entry.is_read:
                return dataset_cache.load(ref.name, options, cache, ref.revision)
            return dataset_cache.kept(ref.name, options, cache, ref.revision)
        except Exception:  # a third party's code: trainings on these images will say what is wrong
            return None

    return load


def _shower(bar: "Progress", task: "TaskID") -> Callable[[int, int], None]:
    return lambda done, total: bar.update(task, completed=done, total=total)


def _main(question: dict[str, Any]) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        for one in question["datasets"]:
            task = bar.add_task(f"decoding {one['name']}", total=None)
            pictures.watcher.set(_shower(bar, task))
            options = datasets.find(one["name"]).options.model_validate(one["options"])
            try:
                loaded = dataset_cache.load(one["name"], options, Path(question["cache"]), one["revision"])
            except Exception as error:  # a library's own reader may fail in any way
                text = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
                sys.stdout.write(f"dataset {one['name']}: {text}\n")
                return 2
            num = len(loaded.train.labels) + len(loaded.test.labels)
            bar.update(task, completed=num, total=num)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(_main(json.load(sys.stdin)))
    except KeyboardInterrupt:
        sys.exit(130)  # the command that asked has heard it too
