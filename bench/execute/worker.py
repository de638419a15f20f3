"""One worker process: takes jobs from a pipe until it closes. Forked from a server that has imported torch already."""

import contextlib
import faulthandler
import os
import signal
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from bench.engine.common.context import Context, device_name
from bench.engine.jobs.perform import perform
from bench.engine.train import precision
from bench.engine.train.faults import is_device_fault
from bench.errors import StoreError
from bench.execute.messages import Broken, Bundle, Done, Lost, Message, Notice, Recorded, Setup, Starting, Stuck
from bench.fork_server import STOPPING
from bench.places import machine_cache
from bench.spec.job import Job, PretrainSpec
from bench.store import Store
from bench.store.atomic import explain

STOP = "stop"
LOG_BYTES = 10_000_000  # a longer log starts anew with the next job


def serve(pipe: "Connection[Message, Bundle | str]", setup: Setup) -> None:
    """The whole life of a worker."""
    # The terminal's Ctrl-C reaches every process; only the runner decides what it means.
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)  # the server's block would reach what a training starts
    try:
        _into_log(setup.log)
        context = make_context(setup, pipe)
        while (bundle := _next(pipe)) is not None:
            _shorten_log()
            pipe.send(_do(bundle, context))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the runner is gone; what is finished is on disk
    except StoreError as error:
        _say(pipe, Broken(str(error)))
    except OSError as error:
        _say(pipe, Broken(f"{error.filename or 'worker'}: {explain(error)}"))


def _say(pipe: "Connection[Message, Bundle | str]", message: Message) -> None:
    with contextlib.suppress(OSError):
        pipe.send(message)


def make_context(setup: Setup, pipe: "Connection[Message, Bundle | str]") -> Context:
    device = torch.device(setup.device)
    torch.set_num_threads(setup.threads)
    precision.set_explicitly()
    torch.ones(8, 8, device=device).mm(torch.ones(8, 8, device=device)).sum().item()  # a broken one says so here
    stop = _StopRequest(pipe)
    return Context(
        store=Store(setup.results / setup.suite),
        shared=Store(setup.results / "pretrained"),
        cache=setup.results / ".cache",
        device=device,
        engine=setup.engine,
        keeps=setup.keeps,
        patterns=setup.patterns,
        forms_folder=cache / "forms" if (cache := machine_cache()) is not None else None,
        notice=lambda text: pipe.send(Notice(text)),
        weights_files=setup.weights_files,
        sources=setup.sources,
        arithmetic=setup.arithmetic,
        provenance={**setup.provenance, "device": device_name(device), "threads": setup.threads},
        begins=lambda records, together: pipe.send(Starting(tuple(records), together)),
        announce=lambda record: pipe.send(Recorded.of(record)),
        stopping=stop,
    )


class _StopRequest:
    """True once the runner asked to stop, or is gone."""

    def __init__(self, pipe: "Connection[Message, Bundle | str]") -> None:
        self._pipe = pipe
        self._asked = False

    def __call__(self) -> bool:
        try:
            if not self._asked and self._pipe.poll():
                self._asked = self._pipe.recv() == STOP
        except (EOFError, OSError):
            self._asked = True
        return self._asked


def _next(pipe: "Connection[Message, Bundle | str]") -> Bundle | None:
    got = pipe.recv()
    return got if isinstance(got, Bundle) else None


def _do(bundle: Bundle, context: Context) -> Message:
    with contextlib.ExitStack() as locks:
        held: list[str] = []
        ours: list[Job] = []
        for job in bundle.jobs:
            store = context.shared if isinstance(job.spec, PretrainSpec) else context.store
            if locks.enter_context(store.lock(job.key)):
                ours.append(job)
            else:
                held.append(job.key)
        try:
            return Done(not ours or perform(ours, context.alone() if bundle.alone else context), tuple(held))
        except (StoreError, OSError, EOFError):
            raise
        except Exception as error:
            traceback.print_exc()  # into the log
            text = f"{type(error).__name__}: {error}"
            return Lost(text.splitlines()[0]) if is_device_fault(error) else Stuck(text)


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
