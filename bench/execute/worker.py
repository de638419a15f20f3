"""One worker process: takes jobs from a pipe until it closes. Forked from a server that has imported torch already."""

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import threading
import traceback
from multiprocessing.connection import Connection, wait
from pathlib import Path

import timm  # noqa: F401  imported here so that the fork server has paid for it
import torch

from bench.engine.context import Context
from bench.engine.jobs import perform
from bench.errors import StoreError
from bench.execute.messages import Broken, Busy, Finished, Message, Recorded, Setup, Starting, Stuck
from bench.execute.signals import STOPPING
from bench.plan.spec import Job, PretrainSpec
from bench.store import Store
from bench.store.atomic import explain

STOP = "stop"
LOG_BYTES = 10_000_000  # a longer log starts anew with the next job


def serve(pipe: "Connection[Message, Job | str]", setup: Setup) -> None:
    """The whole life of a worker."""
    # The terminal's Ctrl-C reaches every process; only the runner decides what it means.
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)  # the server's block would reach what a training starts
    _end_with_the_runner()
    try:
        _into_log(setup.log)
        context = make_context(setup, pipe)
        while (job := _next(pipe)) is not None:
            _shorten_log()
            pipe.send(_do(job, context))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the runner is gone; what is finished is on disk
    except StoreError as error:
        _say(pipe, Broken(str(error)))
    except OSError as error:
        _say(pipe, Broken(f"{error.filename or 'worker'}: {explain(error)}"))


def _say(pipe: "Connection[Message, Job | str]", message: Message) -> None:
    with contextlib.suppress(OSError):
        pipe.send(message)


def _end_with_the_runner() -> None:
    """A runner that is killed takes its trainings along: a hanging one would hold its job's lock for ever."""
    runner = multiprocessing.parent_process()
    if runner is None:
        return

    def watch() -> None:
        wait([runner.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def make_context(setup: Setup, pipe: "Connection[Message, Job | str]") -> Context:
    device = torch.device(setup.device)
    torch.set_num_threads(setup.threads)
    # Numbers must not depend on what a library thinks is fast enough today.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    stop = _StopRequest(pipe)
    return Context(
        store=Store(setup.results / setup.suite),
        shared=Store(setup.results / "pretrained"),
        cache=setup.results / ".cache",
        device=device,
        weights_files=setup.weights_files,
        provenance={**setup.provenance, "device": device_name(device), "threads": setup.threads},
        begins=lambda record: pipe.send(Starting(record)),
        announce=lambda record: pipe.send(Recorded.of(record)),
        stopping=stop,
    )


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


class _StopRequest:
    """True once the runner asked to stop, or is gone."""

    def __init__(self, pipe: "Connection[Message, Job | str]") -> None:
        self._pipe = pipe
        self._asked = False

    def __call__(self) -> bool:
        try:
            if not self._asked and self._pipe.poll():
                self._asked = self._pipe.recv() == STOP
        except (EOFError, OSError):
            self._asked = True
        return self._asked


def _next(pipe: "Connection[Message, Job | str]") -> Job | None:
    got = pipe.recv()
    return got if isinstance(got, Job) else None


def _do(job: Job, context: Context) -> Message:
    store = context.shared if isinstance(job.spec, PretrainSpec) else context.store
    with store.lock(job.key) as ours:
        if not ours:
            return Busy()
        try:
            return Finished(perform(job, context))
        except (StoreError, OSError, EOFError):
            raise
        except Exception as error:
            traceback.print_exc()  # into the log
            return Stuck(f"{type(error).__name__}: {error}")


def _into_log(path: Path) -> None:
    """Everything this process prints, C libraries included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    faulthandler.enable()



def _shorten_log() -> None:
    if os.fstat(1).st_size > LOG_BYTES:
        os.ftruncate(1, 0)  # it is open for appending, so the next line stands at its beginning
