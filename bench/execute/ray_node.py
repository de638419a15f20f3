"""What runs on a node of a Ray cluster: a worker of that machine, and what travels to and from it.

The worker is a process of its own, as on one machine: what kills a training leaves this one alive to say so. When this
one is gone, so is its machine.
"""

import contextlib
import os
import shutil
import socket
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray

from bench.errors import BenchError
from bench.execute.executor import Died
from bench.execute.gpus import compute_capability
from bench.execute.local import Pool
from bench.execute.messages import HERE, Broken, Bundle, Done, Lost, Message, Recorded, Setup, Stuck, Wanted
from bench.execute.parcels import CACHE, Made, Order, Table, Thing, checkpoint, made_by, settle
from bench.places import machine_cache
from bench.planning.precision import Machine, machine_of
from bench.provenance import describe
from bench.spec.job import Job
from bench.store import Store, atomic, locks

LISTEN = 0.5  # seconds until an answer comes that says nothing
LOG_BYTES = 1 << 16  # of a worker's log are sent after its death


@dataclass(frozen=True)
class Seen:
    """What a node is, and what runs there."""

    host: str
    provenance: dict[str, Any]
    machines: tuple[Machine, Machine]  # its CPU, and its GPU where it has one


def look() -> Seen:
    return Seen(socket.gethostname(), describe(), (machine_of(False), machine_of(True, compute_capability())))


@dataclass(frozen=True)
class Born:
    name: str  # of the worker, for a person


@dataclass(frozen=True)
class Lacks:
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class Fault:
    """Of the death that follows: no training need be to blame."""

    reason: str


@dataclass(frozen=True)
class LogEnd:
    content: bytes


@dataclass(frozen=True)
class Sheet:
    """A data set's examples for the page; `name` in the suite's folder `samples`."""

    name: str
    content: bytes


Reply = Message | Died | Born | Made | Lacks | Fault | LogEnd | Sheet


def node_folder() -> Path:
    """What is sent to this machine lies there, for later runs too."""
    if given := os.environ.get("BENCH_NODE"):
        return Path(given)
    if (cache := machine_cache()) is None:
        raise BenchError(f"nobody's home on {socket.gethostname()}: set BENCH_NODE to a folder")
    return cache / "node"


class Node:
    """An actor: its methods are called from afar, one after the other, and answer with what there is to tell."""

    def __init__(self, setup: Setup) -> None:
        self.root = node_folder()
        os.environ.pop("BENCH_CACHE", None)  # what a worker keeps lies where it finds what was sent
        self.work = _fresh_folder(self.root / "work")
        for link, place in ((self.work / ".cache", CACHE), (self.work / "pretrained" / "weights", "weights")):
            (self.root / place).mkdir(parents=True, exist_ok=True)
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(self.root / place)
        files = {name: checkpoint(name, path).place(self.root) for name, path in setup.weights_files.items()}
        self.setup = replace(
            setup, results=self.work, weights_files=files, asks=True, provenance={**setup.provenance, **describe()},
            log=self.work / "log",
        )  # fmt: skip
        self.store, self.shared = Store(self.work / setup.suite), Store(self.work / "pretrained")
        self.pool = Pool()
        self.order = Order(Bundle(()), {}, ())
        self.is_waiting = False  # with its order, for things to come
        self.sent: set[str] = set()  # keys of records, and names of sheets, that are known where the order came from
        self.whole: set[Path] = set()  # things that were looked at

    def is_placed(self) -> bool:
        return True

    def begin(self) -> list[Reply]:
        self.pool.start([self.setup])
        return [Born(f"a process on {socket.gethostname()}")]

    def take(self, order: Order) -> list[Reply]:
        self._forget_work()
        for name, content in order.files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            self.sent.add(path.stem)
        self.order = order
        lacking = tuple(thing for thing in order.things if not self._has(thing))
        self.is_waiting = bool(lacking)
        return [Lacks(lacking)] if lacking else self._go()

    def deliver(self, things: list[tuple[Thing, list[tuple[str, list[Any]]]]]) -> list[Reply]:
        """Each with its files, in pieces that lie in the cluster's memory until they are asked for."""
        for thing, files in things:
            place = thing.place(self.root)
            place.parent.mkdir(parents=True, exist_ok=True)
            with locks.taking_turns(place.with_name(f".{place.name}.lock"), lambda line: None):
                if not self._has(thing):  # another worker of this node may have been quicker
                    settle(place, ((name, map(ray.get, refs)) for name, refs in files))
        if self.is_waiting:
            return self._go()
        with contextlib.suppress(OSError):  # it is dead; its end is heard
            self.pool.workers[0].pipe.send(HERE)
        return self.listen()

    def _go(self) -> list[Reply]:
        self.is_waiting = False
        self.pool.give(self.pool.workers[0], self.order.bundle)
        return self.listen()

    def listen(self) -> list[Reply]:
        return [reply for _, message in self.pool.messages(LISTEN) for reply in self._with_what_it_tells_of(message)]

    def _with_what_it_tells_of(self, message: Message | Died) -> Iterable[Reply]:
        match message:
            case Recorded(key):
                yield from self._made([key])
            case Wanted(keys):
                yield Lacks(tuple(map(Table, keys)))
                return
            case Died():
                yield from self._made(self._unsent())
                if fault := self.pool.workers[0].fault:
                    yield Fault(fault)
            case Done():
                yield from self._sheets()
        if isinstance(message, Died | Stuck | Lost | Broken):
            yield LogEnd(_end_of(self.setup.log))
        yield message

    def replace(self) -> list[Reply]:
        self.pool.replace(self.pool.workers[0])
        return []

    def renew(self) -> list[Reply]:
        self.pool.renew(self.pool.workers[0])
        return []

    def stop(self) -> None:
        self.pool.ask_to_stop()

    def kill(self) -> None:
        self.pool.kill(self.pool.workers[0])

    def end(self) -> None:
        self.pool.close(now=True)
        shutil.rmtree(self.work, ignore_errors=True)

    def _has(self, thing: Thing) -> bool:
        place = thing.place(self.root)
        if (place not in self.whole or not place.exists()) and thing.is_whole(self.root):
            self.whole.add(place)
        return place in self.whole and place.exists()

    def _forget_work(self) -> None:
        """What an earlier bundle read and made is known elsewhere, and may have been made anew there."""
        for folder in (self.store.runs, self.shared.runs, self.store.root / "ingredients"):
            shutil.rmtree(folder, ignore_errors=True)

    def _made(self, keys: Iterable[str]) -> Iterable[Made]:
        for key in keys:
            job = self.order.bundle.job_of(key)
            record = self._store_of(job).read(key)
            assert record is not None, "the worker said so"
            shelf = self.shared.root if job.kind == "pretrain" else self.store.root / "ingredients" / job.key
            self.sent.add(key)
            yield made_by(self._store_of(job), record, shelf)

    def _unsent(self) -> list[str]:
        """Written by a worker that had no time to say so."""
        written = ((job, key) for job in self.order.bundle.jobs for key in job.record_keys if key not in self.sent)
        return [key for job, key in written if self._store_of(job).read(key) is not None]

    def _store_of(self, job: Job) -> Store:
        return self.shared if job.kind == "pretrain" else self.store

    def _sheets(self) -> Iterable[Sheet]:
        for path in sorted((self.store.root / "samples").glob("*.json")):
            if path.name not in self.sent:
                self.sent.add(path.name)
                yield Sheet(path.name, path.read_bytes())


def _fresh_folder(parent: Path) -> Path:
    """Ours while we live; those whose owner is dead go."""
    parent.mkdir(parents=True, exist_ok=True)
    atomic.sweep(parent.parent / CACHE)
    for lock in parent.glob("*.lock"):
        if (descriptor := locks.acquire(lock)) is not None:
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            locks.release(lock, descriptor)
    name = uuid.uuid4().hex
    locks.acquire(parent / f"{name}.lock")  # the kernel lets go of it when this process ends
    (parent / name).mkdir()
    return parent / name


def _end_of(log: Path) -> bytes:
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_BYTES))
        return file.read()
    return b""
