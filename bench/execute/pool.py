"""The worker processes and their pipes: start, hand over a job, notice a death, end. No knowledge of what jobs mean."""

import contextlib
import multiprocessing
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess

from bench.execute.messages import Message, Setup
from bench.plan.spec import Job

STOP = "stop"
PRELOAD = "bench.execute.worker"


@dataclass
class Worker:
    setup: Setup
    process: BaseProcess
    pipe: "Connection[Job | str, Message]"
    job: Job | None = None
    job_since: float = 0.0
    training_since: float = 0.0

    @property
    def pid(self) -> int:
        return self.process.pid or 0

    @property
    def seconds(self) -> float:
        """Since it got its job."""
        return time.monotonic() - self.job_since


@dataclass(frozen=True)
class Died:
    exitcode: int | None

    def __str__(self) -> str:
        if self.exitcode is not None and self.exitcode < 0:
            hint = " (out of memory?)" if self.exitcode == -9 else ""
            return f"worker killed by signal {-self.exitcode}{hint}"
        return f"worker ended with code {self.exitcode}"


class Pool:
    """One worker per setup, forked from a server that imports torch and timm once for all of them."""

    def __init__(self, setups: Iterable[Setup]) -> None:
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([PRELOAD])
        self.workers = [self._start(setup) for setup in setups]

    def _start(self, setup: Setup) -> Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=run_worker, args=(theirs, setup), daemon=True)
        process.start()
        theirs.close()
        return Worker(setup, process, ours)

    def idle(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.job is None]

    def busy(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.job is not None]

    def give(self, worker: Worker, job: Job) -> None:
        worker.job, worker.job_since = job, time.monotonic()
        with contextlib.suppress(OSError):  # dead already: its end is noticed in `messages`
            worker.pipe.send(job)

    def messages(self, timeout: float | None) -> Iterator[tuple[Worker, Message | Died]]:
        """What came in; waits for the first. A dead worker's last words come before its death."""
        pipes = {worker.pipe: worker for worker in self.workers}
        ready = wait([*pipes, *(w.process.sentinel for w in self.workers)], timeout)
        for worker in list(self.workers):
            if worker.pipe not in ready and worker.process.sentinel not in ready:
                continue
            try:
                while worker.pipe.poll():
                    yield worker, worker.pipe.recv()
            except (EOFError, OSError):
                worker.process.join()
            if not worker.process.is_alive():
                yield worker, Died(worker.process.exitcode)

    def replace(self, worker: Worker) -> None:
        """A new process in the place of a dead one."""
        worker.pipe.close()
        self.workers[self.workers.index(worker)] = self._start(worker.setup)

    def ask_to_stop(self) -> None:
        for worker in self.workers:
            with contextlib.suppress(OSError):
                worker.pipe.send(STOP)

    def kill(self, worker: Worker) -> None:
        worker.process.kill()

    def close(self, now: bool) -> None:
        """Workers that wait for a job end when their pipe closes; `now` does not wait for a training at hand."""
        for worker in self.workers:
            if now:
                worker.process.kill()
            worker.pipe.close()
        for worker in self.workers:
            worker.process.join()


def run_worker(pipe: "Connection[Message, Job | str]", setup: Setup) -> None:
    """In the new process. Imported late: the runner itself never imports torch."""
    from bench.execute.worker import serve

    serve(pipe, setup)
