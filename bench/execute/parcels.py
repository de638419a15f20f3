"""What travels between the folder of results and a machine that does not see it: `ray_executor.py` sends, `ray_node.py`
receives, and both know things by their content alone.

A node's own folder has `cache` (as in `results/.cache`), `weights` (by sha256: pretrained ones, a person's checkpoints,
tokenizers) and `work`, where each worker has a folder like `results`, filled anew for every bundle.
"""

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench import datasets
from bench.backbones.weights_file import file_sha256
from bench.datasets import cache as dataset_cache
from bench.errors import StoreError
from bench.execute.messages import Bundle
from bench.execute.roots import Roots
from bench.keys import digest
from bench.planning.plan import Plan
from bench.spec.job import FitSpec, Job
from bench.spec.refs import DataRef
from bench.store import Record, Store, atomic, blobs, encoding

CACHE = "cache"
HERE = Path()
PIECE = 64 << 20  # bytes that travel at once


@dataclass(frozen=True)
class Entry:
    """A data set as it was decoded or drawn."""

    ref: DataRef
    options: dict[str, Any]

    @cached_property
    def _options(self) -> Any:
        return datasets.find(self.ref.name).options.model_validate(self.options)

    def place(self, root: Path) -> Path:
        return self.place_in(root / CACHE)

    def place_in(self, cache: Path) -> Path:
        return dataset_cache.folder_of(self.ref.name, self._options, cache, self.ref.revision)

    def is_whole(self, root: Path) -> bool:
        return dataset_cache.kept(self.ref.name, self._options, root / CACHE, self.ref.revision) is not None


@dataclass(frozen=True)
class Content:
    """One file: weights, or something else that a network needs."""

    sha256: str
    suffix: str = ".safetensors"

    def place(self, root: Path) -> Path:
        return blobs.path_of(root, self.sha256).with_suffix(self.suffix)

    def is_whole(self, root: Path) -> bool:
        place = self.place(root)
        return place.is_file() and file_sha256(place) == self.sha256


@dataclass(frozen=True)
class Table:
    """Of features. Whoever opens it sees whether it is damaged."""

    key: str

    def place(self, root: Path) -> Path:
        return root / CACHE / "features" / self.key

    def is_whole(self, root: Path) -> bool:
        return self.place(root).is_file()


Thing = Entry | Content | Table


@dataclass(frozen=True)
class Order:
    """A bundle, and what it reads."""

    bundle: Bundle
    files: dict[str, bytes] = field(repr=False)  # records, and ingredients of soups, by their path in `results`
    things: tuple[Thing, ...]  # what a node keeps, and lacks at first


@dataclass(frozen=True)
class Made:
    """A record, and what it names."""

    key: str
    record: bytes = field(repr=False)
    predictions: bytes | None = field(default=None, repr=False)
    weights: tuple[bytes, ...] = field(default=(), repr=False)


def checkpoint(identity: str, path: Path) -> Content:
    """A file that a suite names. Identities of such end with the digest of the content."""
    return Content(identity.rpartition("@")[2], path.suffix or ".bin")


class Parcels:
    """The sender's side: what the jobs of a plan read, where that lies here, and where what they make belongs."""

    def __init__(self, plan: Plan, roots: Roots) -> None:
        self.plan, self.roots = plan, roots
        self._paths: dict[Path, Path] = {}  # where a thing lies on a node -> where it lies here

    def order(self, bundle: Bundle) -> Order:
        files: dict[str, bytes] = {}
        things: dict[Path, Thing] = {}
        for job in self._read_by(bundle.jobs):
            for path in self._files_of(job):
                with contextlib.suppress(FileNotFoundError):  # another runner has forgotten it just now
                    files[path.relative_to(self.roots.results).as_posix()] = path.read_bytes()
            for thing, path in self._things_of(job):
                things[thing.place(HERE)] = thing
                self._paths[thing.place(HERE)] = path
        return Order(bundle, files, tuple(things.values()))

    def path_of(self, thing: Thing) -> Path | None:
        """None: nobody here has it, and a node makes it."""
        path = self._paths.get(thing.place(HERE)) or self.roots.cache / "features" / thing.place(HERE).name
        return path if path.exists() else None

    def keep(self, made: Made, job: Job) -> None:
        """In the order in which a worker of this machine would have written it. Raises StoreError."""
        store = self.roots.store_of(job)
        try:
            record = encoding.decode(made.record, made.key)
        except ValueError as error:
            raise StoreError(f"a node sent a record that is none: {error}") from error
        for data in made.weights:
            blobs.put(self.roots.shared.root if job.kind == "pretrain" else self.roots.ingredients(job.key), data)
        if made.predictions is not None:
            sha256 = str(record.result["predictions"])
            atomic.write_bytes(store.predictions_path(record.key, sha256), made.predictions)
        store.write(record)
        if is_soup(job) and record.kind == "final" and record.status == "ok":
            shutil.rmtree(self.roots.ingredients(job.needs[-1]), ignore_errors=True)

    def _read_by(self, jobs: Iterable[Job]) -> list[Job]:
        """The jobs and all that they build upon, each once."""
        found: dict[str, Job] = {}
        left = list(jobs)
        while left:
            job = left.pop()
            if job.key not in found:
                found[job.key] = job
                left += [self.plan.jobs[key] for key in job.needs]
        return list(found.values())

    def _files_of(self, job: Job) -> Iterator[Path]:
        store = self.roots.store_of(job)
        yield from (path for path in map(store.path, job.record_keys) if path.is_file())
        if job.kind == "search" and is_soup(job):
            yield from self.roots.ingredients(job.key).glob("weights/*/*.safetensors")

    def _things_of(self, job: Job) -> Iterator[tuple[Thing, Path]]:
        for ref in _data_in(job.spec):
            entry = Entry(ref.as_read, self.plan.sources[digest(ref.as_read)].options)
            if (place := entry.place_in(self.roots.cache)).is_dir():
                yield entry, place
        record = self.roots.shared.read(job.key) if job.kind == "pretrain" else None
        if record is not None and (made := record.pretraining) is not None:
            yield Content(made.weights_sha256), blobs.path_of(self.roots.shared.root, made.weights_sha256)
        named = json.dumps(job.content)
        for identity, path in self.plan.weights_files.items():
            if identity in named:
                yield checkpoint(identity, path), path


def is_soup(job: Job) -> bool:
    return isinstance(job.spec, FitSpec) and job.spec.recipe.soup is not None


def _data_in(value: Any) -> Iterator[DataRef]:
    """All data sets that a job's content names, wherever a recipe does so."""
    if isinstance(value, DataRef):
        yield value
    elif is_dataclass(value):
        yield from (ref for one in fields(value) for ref in _data_in(getattr(value, one.name)))
    elif isinstance(value, tuple | list):
        yield from (ref for one in value for ref in _data_in(one))


def made_by(store: Store, record: Record, blobs_root: Path) -> Made:
    """What is sent of a record, on the machine that wrote it. `blobs_root`: of weights or ingredients."""
    kept = record.pretraining if record.kind == "pretrain" else None
    sha256s = [kept.weights_sha256] if kept is not None else []
    if record.kind == "trial" and record.trial is not None:
        sha256s = record.trial.ingredients
    said = None
    if record.kind == "final" and record.final is not None and record.final.predictions is not None:
        said = store.predictions_path(record.key, record.final.predictions).read_bytes()
    weights = tuple(blobs.get(blobs_root, sha256) for sha256 in sha256s)
    return Made(record.key, store.path(record.key).read_bytes(), said, weights)


def pieces(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The files of a thing by their names in it, each in pieces."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        yield (file.name if path.is_dir() else "", _read(file))


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def settle(place: Path, files: Iterable[tuple[str, Iterable[bytes]]]) -> None:
    """Write what `pieces` gave. It appears whole; what stood there, damaged, goes."""
    building = atomic.temporary_in(place.parent)
    try:
        for name, parts in files:
            path = building / name if name else building
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.writelines(parts)
        if place.is_dir():
            place.rename(older := atomic.temporary_in(place.parent))
            shutil.rmtree(older, ignore_errors=True)
        building.rename(place)
    finally:
        if building.is_dir():
            shutil.rmtree(building, ignore_errors=True)
        building.unlink(missing_ok=True)
