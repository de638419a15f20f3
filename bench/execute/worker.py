"""One worker process: takes jobs from a pipe until it closes. Forked from a server that has imported torch already."""

import contextlib
import faulthandler
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import timm  # noqa: F401  imported here so that the fork server has paid for it
import torch

from bench.engine.context import Context
from bench.engine.jobs import perform
from bench.errors import BenchError, StoreError
from bench.execute.messages import Broken, Busy, Finished, Message, Recorded, Setup, Starting
from bench.plan.spec import Job, PretrainSpec
from bench.store import Record, Store

STOP = "stop"


def serve(pipe: "Connection[Message, Job | str]", setup: Setup) -> None:
    """The whole life of a worker."""
    # The terminal's Ctrl-C reaches every process; only the runner decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _into_log(setup.log)
    try:
        context = make_context(setup, pipe)
        while (job := _next(pipe)) is not None:
            pipe.send(_do(job, context))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the runner is gone; what is finished is on disk
    except (StoreError, OSError) as error:
        with contextlib.suppress(OSError):
            pipe.send(Broken(str(error)))


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
        announce=lambda record: pipe.send(_recorded(record)),
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
        except StoreError:
            raise
        except BenchError as error:
            return Broken(str(error))


def _recorded(record: Record) -> Recorded:
    return Recorded(record.key, record.kind, record.status, record.result.get("score"), record.error)


def _into_log(path: Path) -> None:
    """Everything this process prints, C libraries included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    faulthandler.enable()

