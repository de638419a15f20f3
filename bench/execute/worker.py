"""One worker process: takes jobs from a pipe until it closes. Forked from a server that has imported torch already."""

import contextlib
import faulthandler
import os
import signal
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from bench.engine.common.context import Context, device_name
from bench.engine.jobs.perform import perform
from bench.engine.train import precision
from bench.engine.train.faults import is_device_fault
from bench.errors import StoreError
from bench.execute.messages import (
    Broken,
    Bundle,
    Done,
    Lost,
    Message,
    Notice,
    Paused,
    Recorded,
    Setup,
    Starting,
    Stuck,
    Wanted,
)
from bench.fork_server import STOPPING
from bench.places import cache_of, machine_cache
from bench.spec.job import Job, PretrainSpec
from bench.store import Store
from bench.store.atomic import explain

STOP = "stop"
LOG_BYTES = 10_000_000  # a longer log starts anew with the next job


class RunnerGone(BaseException):
    """Nobody listens any more. No Exception, since a handler in the engine would make a training's failure of it."""


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
            _say(pipe, _do(bundle, context))
    except RunnerGone:
        return  # what is finished is on disk
    except StoreError as error:
        _say_last(pipe, Broken(str(error)))
    except OSError as error:
        _say_last(pipe, Broken(f"{error.filename or 'worker'}: {explain(error)}"))


def _say(pipe: "Connection[Message, Bundle | str]", message: Message) -> None:
    try:
        pipe.send(message)
    except OSError as error:
        raise RunnerGone from error


def _say_last(pipe: "Connection[Message, Bundle | str]", message: Message) -> None:
    with contextlib.suppress(RunnerGone):
        _say(pipe, message)


@contextlib.contextmanager
def _pause(pipe: "Connection[Message, Bundle | str]") -> Iterator[None]:
    """If it fails, the pause lasts until other trainings begin."""
    _say(pipe, Paused())
    yield
    _say(pipe, Paused(is_over=True))


def make_context(setup: Setup, pipe: "Connection[Message, Bundle | str]") -> Context:
    device = torch.device(setup.device)
    torch.set_num_threads(setup.threads)
    precision.set_explicitly(setup.is_deterministic)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # else pinned memory and the like make a context on the first card too
    _prove(device)
    stop = _StopRequest(pipe)
    context = Context(
        store=Store(setup.results / setup.suite),
        shared=Store(setup.results / "pretrained"),
        cache=cache_of(setup.results),
        device=device,
        sharing=setup.sharing,
        engine=setup.engine,
        keeps=setup.keeps,
        distances=setup.distances,
        forecasts=setup.forecasts,
        similarity=setup.similarity,
        samples=setup.samples,
        mistaken=setup.mistaken,
        patterns=setup.patterns,
        forms_folder=cache / "forms" if (cache := machine_cache()) is not None else None,
        notice=lambda text: _say(pipe, Notice(text)),
        weights_files=setup.weights_files,
        sources=setup.sources,
        lists=setup.lists,
        arithmetic=setup.arithmetic,
        provenance={**setup.provenance, "device": device_name(device), "threads": setup.threads},
        begins=lambda records, together: _say(pipe, Starting(tuple(records), together)),
        pause=lambda: _pause(pipe),
        announce=lambda record: _say(pipe, Recorded.of(record)),
        stopping=stop,
    )
    context.features.fetch = stop.fetch if setup.asks else None
    return context


def _prove(device: torch.device) -> None:
    """A device that does not work ends this process before it takes a job, so that no training is blamed."""
    ones = torch.ones(8, 8, device=device)
    if ones.mm(ones).sum().item() != 8**3:
        raise RuntimeError(f"{device} computes something else than the product of two matrices")


class _StopRequest:
    """True once the runner asked to stop, or is gone. Whoever reads the pipe meanwhile may meet that request."""

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

    def fetch(self, keys: list[str]) -> None:
        """Returns once the tables are here, or nobody has them."""
        _say(self._pipe, Wanted(tuple(keys)))
        try:
            while self._pipe.recv() == STOP:
                self._asked = True
        except (EOFError, OSError) as error:
            raise RunnerGone from error


def _next(pipe: "Connection[Message, Bundle | str]") -> Bundle | None:
    try:
        got = pipe.recv()
    except (EOFError, OSError) as error:
        raise RunnerGone from error
    return got if isinstance(got, Bundle) else None


def _do(bundle: Bundle, context: Context) -> Message:
    with contextlib.ExitStack() as locks:
        held: list[str] = []
        ours: list[Job] = []
        for job in bundle.jobs:
            store = context.shared if isinstance(job.spec, PretrainSpec) else context.store
            # Behind a job that another runner holds, none is taken: it is about to take them, and half a fleet would
            # round otherwise than the whole.
            if not held and locks.enter_context(store.lock(job.key)):
                ours.append(job)
            else:
                held.append(job.key)
        try:
            return Done(not ours or perform(ours, context.alone() if bundle.alone else context), tuple(held))
        except (StoreError, OSError):
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
