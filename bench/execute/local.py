"""Worker processes of this machine and their pipes: start, hand over a job, notice a death, end. No knowledge of what
jobs mean."""

import contextlib
import multiprocessing
import os
import signal
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from bench import fork_server
from bench.execute.executor import GRACE, Died, Executor, NoWorkers, Worker
from bench.execute.messages import Bundle, Message, Setup

STOP = "stop"
SERVER_LOST = 255  # multiprocessing's exit code for a child whose server is gone; the child itself may live
HALF_A_MESSAGE = 30  # seconds that the rest of a message may take


@dataclass
class LocalWorker(Worker):
    process: BaseProcess = field(kw_only=True)
    pipe: "Connection[Bundle | str, Message]" = field(kw_only=True)


class Pool(Executor[LocalWorker]):
    """One worker per setup, forked from a server that imports torch and timm once for all of them."""

    def __init__(self) -> None:
        self.workers: list[LocalWorker] = []

    def start(self, setups: Iterable[Setup]) -> None:
        """Returns once the server has imported all it needs, so the first time after many seconds."""
        for setup in setups:
            self.workers.append(self._start(setup))

    def _start(self, setup: Setup) -> LocalWorker:
        ours, theirs = multiprocessing.Pipe()
        try:
            process = fork_server.fork(run_worker, theirs, setup)
        except (OSError, EOFError) as error:
            why = str(error) or "what imports torch and timm for them ended; it said why above"
            raise NoWorkers(f"workers cannot be started: {why}") from error
        theirs.close()
        _patient(ours)
        return LocalWorker(setup, f"process {process.pid}", process=process, pipe=ours)

    def give(self, worker: LocalWorker, bundle: Bundle) -> None:
        worker.takes(bundle)
        try:
            worker.pipe.send(bundle)
        except OSError:  # dead already, or stopped: its end is noticed in `messages`
            self.kill(worker)

    def messages(self, timeout: float | None) -> Iterator[tuple[LocalWorker, Message | Died]]:
        """What came in; waits for the first. A dead worker's last words come before its death."""
        workers = list(self.workers)
        ready = set(wait([*(w.pipe for w in workers), *(w.process.sentinel for w in workers)], timeout))
        for worker in workers:
            if worker.pipe in ready or worker.process.sentinel in ready:
                yield from _heard(worker)

    def replace(self, worker: LocalWorker) -> LocalWorker:
        """A new process in the place of a dead one."""
        fresh = self._start(worker.setup)
        fresh.vain = worker.vain
        worker.pipe.close()
        self.workers[self.workers.index(worker)] = fresh
        return fresh

    def renew(self, worker: LocalWorker) -> LocalWorker:
        """A process that has done nothing yet, in the place of one that waits for a job."""
        if not worker.since:
            return worker
        fresh = self.replace(worker)
        _end([worker.process])  # as it does when its pipe closes
        return fresh

    def remove(self, worker: LocalWorker) -> None:
        """Its place stays empty, and nobody waits for its process."""
        _forget(worker.process)
        worker.pipe.close()
        self.workers.remove(worker)

    def ask_to_stop(self) -> None:
        for worker in self.busy():
            with contextlib.suppress(OSError):
                worker.pipe.send(STOP)

    def kill(self, worker: LocalWorker) -> None:
        worker.killed_at = time.monotonic()
        worker.process.kill()

    def close(self, now: bool) -> None:
        """Workers that wait for a job end when their pipe closes; `now` does not wait for a training at hand."""
        for worker in self.workers:
            if now:
                worker.process.kill()
            worker.pipe.close()
        _end([worker.process for worker in self.workers])


def _heard(worker: LocalWorker) -> Iterator[tuple[LocalWorker, Message | Died]]:
    # Dead or not is asked first: what a dead worker said is then in the pipe, all of it.
    dead = not worker.process.is_alive()
    try:
        while worker.pipe.poll():
            message = worker.pipe.recv()
            if not isinstance(message, Message):
                raise TypeError(f"no message: {message!r:.80}")
            yield worker, message
    except Exception as error:  # it died, in the middle of a message too; else what came is none
        if not isinstance(error, EOFError | OSError) or isinstance(error, BlockingIOError):
            worker.fault = f"its worker's message cannot be read: {type(error).__name__}: {error}"
            worker.process.kill()
        _end([worker.process])
        dead = True
    if dead:
        if worker.process.exitcode == SERVER_LOST:
            worker.fault = worker.fault or f"worker, or the process that starts workers, ended with code {SERVER_LOST}"
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.process.pid or 0, signal.SIGKILL)
        yield worker, Died(worker.process.exitcode)


def _end(processes: list[BaseProcess]) -> None:
    """Wait for processes that are about to end. One that hangs in its last steps is killed, and one that outlives that
    is left behind."""
    for is_last in (False, True):
        end = time.monotonic() + GRACE
        for process in processes:
            process.join(max(0.0, end - time.monotonic()))
        for process in processes:
            if process.is_alive() and is_last:
                _forget(process)
            elif process.is_alive():
                process.kill()


def _forget(process: BaseProcess) -> None:
    """Else multiprocessing would wait for it at this process's own end, without a limit."""
    multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]


def _patient(pipe: "Connection[Bundle | str, Message]") -> None:
    """A worker that is stopped in the middle of a message must not stop the runner: a BlockingIOError ends that."""
    with socket.socket(fileno=os.dup(pipe.fileno())) as ours:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", HALF_A_MESSAGE, 0))


def run_worker(pipe: "Connection[Message, Bundle | str]", setup: Setup) -> None:
    """In the new process. Imported late: the runner itself never imports torch."""
    from bench.execute.worker import serve

    serve(pipe, setup)
