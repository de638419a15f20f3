"""The process that imports torch and timm once, for all that need them: workers and single questions are its forks.

It starts when the first of them does and ends with this process. `execute/preload.py` is what it imports.
"""

import contextlib
import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

from bench.errors import BenchError

PRELOAD = "bench.execute.preload"
STOPPING = (signal.SIGINT, signal.SIGTERM)
GRACE = 1.0  # seconds that a process which was asked something may take to end

Question = TypeVar("Question")
Answer = TypeVar("Answer")


def fork(target: Callable[..., object], *arguments: object) -> BaseProcess:
    """A daemon that runs `target`. Returns once the server has imported all it needs, so the first time after seconds.
    Raises OSError or EOFError where no server can start. The signals that stop a run are blocked in the new process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOAD])
    process = context.Process(target=_run, args=(Path.cwd(), dict(os.environ), target, *arguments), daemon=True)
    _start_server()
    process.start()
    return process


def _run(folder: Path, environment: dict[str, str], target: Callable[..., object], *arguments: object) -> None:
    os.chdir(folder)  # both may have changed since the server began
    os.environ.clear()
    os.environ.update(environment)
    gc.freeze()  # what was imported stays: each full collection would take a tenth of a second to find that out
    gc.enable()  # the server itself does without
    _end_with_the_parent()
    target(*arguments)


def _end_with_the_parent() -> None:
    """A runner that is killed takes its trainings along: a hanging one would keep its job's lock."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "every fork has one"

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _start_server() -> None:
    """A Ctrl-C reaches every process of the terminal, a service's SIGTERM every one of the service. The server must
    outlive both, or the workers' ends would go unseen; it inherits what is blocked here."""
    resource_tracker.ensure_running()  # first, since it unblocks these signals itself
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ask(what: str, function: Callable[[Question], Answer], question: Question) -> Answer:
    """`function(question)`, computed in a process of its own. Raises BenchError where that fails; `what` says what. As
    with all of multiprocessing, a script that comes here needs `if __name__ == "__main__":`."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    try:
        process = fork(_answer, theirs, function, question)
    except (OSError, EOFError) as error:
        raise BenchError(f"{what} failed: {str(error) or 'the server of forks ended; it said why above'}") from error
    theirs.close()
    try:
        answer, wrong = ours.recv()
    except EOFError:
        process.join(GRACE)
        raise BenchError(f"{what} failed: its process ended with code {process.exitcode}") from None
    finally:
        ours.close()
        process.join(GRACE)  # a Ctrl-C has reached it too
        process.kill()
    if isinstance(wrong, BenchError):
        raise wrong
    if wrong is not None:
        raise BenchError(f"{what} failed: {wrong}")
    found: Answer = answer
    return found


def _answer(pipe: "Connection[object, object]", function: Callable[[Question], Answer], question: Question) -> None:
    with contextlib.suppress(KeyboardInterrupt, OSError):  # whoever asked has stopped
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        os.dup2(2, 1)  # what a library prints must not stand among the answers of a command
        try:
            pipe.send((function(question), None))
        except BenchError as error:
            pipe.send((None, BenchError(str(error))))
        except Exception as error:
            pipe.send((None, f"{type(error).__name__}: {error}"))
