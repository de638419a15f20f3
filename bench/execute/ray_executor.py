"""Workers on the nodes of a Ray cluster, which need not see this folder of results. `ray_node.py` runs there.

What a bundle reads is sent along, what a node lacks follows by its content, what a worker makes comes back. Records are
written here, before the runner hears of them, and jobs are locked here while somebody is at them.
"""

import contextlib
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from bench.errors import StoreError
from bench.execute.executor import GRACE, Died, Executor, NoWorkers, Worker
from bench.execute.messages import Broken, Bundle, Done, Message, Setup, Stuck
from bench.execute.parcels import Made, Parcels, Thing, pieces
from bench.execute.ray_node import Born, Fault, Lacks, LogEnd, Node, Reply, Sheet
from bench.store import atomic

PLACE = 60.0  # seconds in which a worker has to find a place on the cluster
IN_MEMORY = 8  # things that stay in the cluster's memory for the next node that lacks them

Sent = list[tuple[str, list[Any]]]  # the files of a thing, in pieces


@dataclass
class RayWorker(Worker):
    actor: Any = field(kw_only=True)
    call: Any = None  # whose answer is awaited
    held: tuple[str, ...] = ()  # keys of the bundle's jobs that another runner is at
    locks: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    is_there: bool = True  # on a node
    is_lost: bool = False


class RayPool(Executor[RayWorker]):
    """One actor per setup, which has a device of its own."""

    def __init__(self, parcels: Parcels, each_gpu: int = 1) -> None:
        """`each_gpu`: workers that share one."""
        self.workers: list[RayWorker] = []
        self.parcels, self.each_gpu = parcels, each_gpu
        self._said: list[tuple[RayWorker, Message]] = []  # without a node
        self._in_memory: OrderedDict[str, Sent] = OrderedDict()

    def start(self, setups: Iterable[Setup]) -> None:
        """Returns once every node has imported all it needs."""
        actors = [(setup, self._actor(setup)) for setup in setups]
        try:
            placed = [actor.is_placed.remote() for _, actor in actors]
            absent = len(ray.wait(placed, num_returns=len(placed), timeout=PLACE)[1])
            if absent:
                free = ", ".join(f"{size:g} {name}" for name, size in ray.available_resources().items()
                                 if name in ("CPU", "GPU")) or "nothing"  # fmt: skip
                raise NoWorkers(f"{absent} of {len(actors)} workers found no place within {PLACE:g} s; "
                                f"free in the cluster: {free}")
            born: list[list[Born]] = ray.get([actor.begin.remote() for _, actor in actors])
        except RayError as error:
            raise NoWorkers(f"workers cannot be started: {_first_line(error)}") from error
        self.workers = [RayWorker(setup, one.name, actor=actor)
                        for (setup, actor), (one,) in zip(actors, born, strict=True)]  # fmt: skip

    def _actor(self, setup: Setup) -> Any:
        """Ray shows it one GPU, or its share of one, and keeps so many CPUs free for it."""
        gpus = 1 / self.each_gpu if setup.device.startswith("cuda") else 0
        return ray.remote(Node).options(num_cpus=setup.threads, num_gpus=gpus).remote(setup)

    def idle(self) -> list[RayWorker]:
        """Where nobody is on a node any more, the first to find one is waited for. Raises NoWorkers where none does."""
        if not any(worker.is_there for worker in self.workers):
            calls = [worker.call for worker in self.workers]
            if not calls or not ray.wait(calls, timeout=PLACE)[0]:
                raise NoWorkers(f"all nodes are gone, and none with room for a worker has joined within {PLACE:g} s")
        return [worker for worker in super().idle() if worker.is_there]

    def give(self, worker: RayWorker, bundle: Bundle) -> None:
        worker.takes(bundle)
        roots = self.parcels.roots
        ours = [job for job in bundle.jobs if worker.locks.enter_context(roots.store_of(job).lock(job.key))]
        worker.held = tuple(job.key for job in bundle.jobs if job not in ours)
        if ours:
            worker.call = worker.actor.take.remote(self.parcels.order(Bundle(tuple(ours), bundle.alone)))
        else:
            self._said.append((worker, Done(True)))

    def messages(self, timeout: float | None) -> Iterator[tuple[RayWorker, Message | Died]]:
        said, self._said = self._said, []
        for worker, message in said:
            yield from self._heard(worker, message)
        calls = {worker.call: worker for worker in self.workers if worker.call is not None}
        if not calls:
            time.sleep(0 if said else timeout or 0)
            return
        ray.wait(list(calls), timeout=0 if said else timeout)
        for call in ray.wait(list(calls), num_returns=len(calls), timeout=0)[0]:
            worker = calls[call]
            worker.call = None
            try:
                replies: list[Reply] = ray.get(call)
            except RayError as error:
                gone = isinstance(error, RayActorError)  # what Ray says of that may be many lines
                yield from self._lost(worker, f"it is gone\n{error}" if gone else _first_line(error))
                continue
            for reply in replies:
                yield from self._heard(worker, reply)
            if worker.bundle is not None and worker.call is None and worker in self.workers:
                worker.call = worker.actor.listen.remote()

    def _heard(self, worker: RayWorker, reply: Reply) -> Iterator[tuple[RayWorker, Message | Died]]:
        match reply:
            case Made(key):
                assert worker.bundle is not None
                self.parcels.keep(reply, worker.bundle.job_of(key))
            case Sheet(name, content):
                place = self.parcels.roots.store.root / "samples" / name
                if not place.exists():
                    atomic.write_bytes(place, content)
            case LogEnd(content):
                _append(worker.setup.log, content)
            case Born(name):
                worker.name, worker.is_there = name, True
            case Fault(reason):
                worker.fault = reason
            case Lacks(things):
                worker.call = worker.actor.deliver.remote([(thing, self._sent(thing)) for thing in things
                                                           if self.parcels.path_of(thing) is not None])
            case Broken(error):  # of that node alone
                yield from self._lost(worker, error)
            case Done(complete):
                worker.locks.close()
                yield worker, Done(complete, worker.held)
            case Stuck() | Died():
                worker.locks.close()
                yield worker, reply
            case _:
                yield worker, reply

    def _lost(self, worker: RayWorker, reason: str) -> Iterator[tuple[RayWorker, Died]]:
        worker.is_lost = True
        worker.locks.close()
        _end(worker.actor)
        _append(worker.setup.log, f"{reason}\n".encode())
        told = next(iter(reason.splitlines()), "")
        yield worker, Died(None, lost=f"lost {worker.name.removeprefix('a process on ')}: {told}")

    def _sent(self, thing: Thing) -> Sent:
        """In the cluster's memory, from where each node that wants it takes it once."""
        path = self.parcels.path_of(thing)
        assert path is not None, "it was asked for"
        if str(path) not in self._in_memory:
            try:
                sent = [(name, [ray.put(piece) for piece in parts]) for name, parts in pieces(path)]
            except (RayError, OSError) as error:
                raise StoreError(f"cannot send {path}: {error}") from error
            self._in_memory[str(path)] = sent
            if len(self._in_memory) > IN_MEMORY:
                self._in_memory.popitem(last=False)
        self._in_memory.move_to_end(str(path))
        return self._in_memory[str(path)]

    def replace(self, worker: RayWorker) -> RayWorker:
        """Where its node is gone, the fresh one is idle as soon as it is on another, which may join at any time."""
        fresh = RayWorker(worker.setup, worker.name, vain=worker.vain, actor=worker.actor)
        if worker.is_lost:
            fresh.actor, fresh.is_there = self._actor(worker.setup), False
            fresh.call = fresh.actor.begin.remote()
        else:
            fresh.call = fresh.actor.replace.remote()
        self.workers[self.workers.index(worker)] = fresh
        return fresh

    def renew(self, worker: RayWorker) -> RayWorker:
        worker.call = worker.actor.renew.remote()
        return worker

    def remove(self, worker: RayWorker) -> None:
        worker.locks.close()
        _end(worker.actor)
        self.workers.remove(worker)

    def ask_to_stop(self) -> None:
        for worker in self.busy():
            worker.actor.stop.remote()

    def kill(self, worker: RayWorker) -> None:
        worker.killed_at = time.monotonic()
        worker.actor.kill.remote()

    def close(self, now: bool) -> None:
        """What is at hand is not waited for: an orderly end has come to its end before."""
        ends = [worker.actor.end.remote() for worker in self.workers if worker.is_there]
        with contextlib.suppress(RayError):
            if ends:
                ray.wait(ends, num_returns=len(ends), timeout=GRACE)
        for worker in self.workers:
            _end(worker.actor)
            worker.locks.close()


def _append(log: Path, content: bytes) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        file.write(content)


def _end(actor: Any) -> None:
    with contextlib.suppress(RayError):
        ray.kill(actor)


def _first_line(error: RayError) -> str:
    """What is wrong, without the way there: Ray tells that of its own errors first, of others' last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1 if isinstance(error, RayTaskError) else 0]
