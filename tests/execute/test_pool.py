"""What comes through a pipe, and processes that do not end: a runner waits for neither without a limit."""

import multiprocessing
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.execute import local as pool_module
from bench.execute.executor import Died
from bench.execute.local import SERVER_LOST, Pool
from bench.execute.messages import Notice


class Process:
    """One that lives until it is killed; `immortal`: even then."""

    pid, daemon = 1 << 30, True

    def __init__(self, exitcode=None, immortal=False):
        self.exitcode, self.immortal = exitcode, immortal
        self.sentinel, self.ours = multiprocessing.Pipe()
        if exitcode is not None:
            self.ours.close()

    def is_alive(self):
        return self.exitcode is None

    def kill(self):
        if self.exitcode is None and not self.immortal:
            self.exitcode = -9

    def join(self, seconds):
        time.sleep(0 if self.exitcode is not None else seconds)


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setattr(pool_module, "GRACE", 0.05)
    monkeypatch.setattr(pool_module, "HALF_A_MESSAGE", 1)
    return Pool()


def add(pool, process):
    """The worker, and its end of the pipe."""
    ends = []

    def fork(target, theirs, setup):
        ends.append(theirs.__class__(os.dup(theirs.fileno())))
        return process

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool_module.fork_server, "fork", fork)
        pool.start([None])
    return pool.workers[-1], ends[0]


def heard(pool):
    return [message for _, message in pool.messages(timeout=5)]


def test_what_a_worker_said_before_its_death_is_heard_first(pool):
    _, theirs = add(pool, Process(exitcode=1))
    theirs.send(Notice("last words"))
    assert heard(pool) == [Notice("last words"), Died(1)]


class Explosive:
    def __reduce__(self):
        return (int, ("not a number",))


@pytest.mark.parametrize("said", [
    b"\x80garbage", pickle.dumps({"a": "dictionary"}), pickle.dumps(Explosive()), pickle.dumps(Notice("x"))[:-9],
])  # fmt: skip
def test_garbage_ends_the_worker_and_is_told(pool, said):
    worker, theirs = add(pool, Process())
    theirs.send(Notice("fine"))
    theirs.send_bytes(said)
    assert heard(pool) == [Notice("fine"), Died(-9)]
    assert worker.fault.startswith("its worker's message cannot be read: ")


@pytest.mark.parametrize("length", [2, 20])
def test_a_death_in_the_middle_of_a_message_is_a_death(pool, length):
    _, theirs = add(pool, Process(exitcode=-11))
    whole = pickle.dumps(Notice("x" * 100))
    theirs._send((len(whole).to_bytes(4, "big") + whole)[:length])
    theirs.close()
    assert heard(pool) == [Died(-11)]


def test_a_worker_that_stops_in_the_middle_of_a_message_does_not_stop_the_runner(pool):
    worker, theirs = add(pool, Process())
    theirs._send((1000).to_bytes(4, "big") + b"half")
    began = time.monotonic()
    assert heard(pool) == [Died(-9)]
    assert time.monotonic() - began < 5
    assert "BlockingIOError" in worker.fault


def test_a_bundle_for_a_worker_that_does_not_read_does_not_stop_the_runner(pool):
    worker, _theirs = add(pool, Process())
    pool.give(worker, "x" * 10_000_000)
    assert worker.process.exitcode == -9


def test_a_server_that_is_gone_is_no_fault_of_the_training(pool):
    worker, _theirs = add(pool, Process(exitcode=SERVER_LOST))
    assert heard(pool) == [Died(SERVER_LOST)]
    assert worker.fault == "worker, or the process that starts workers, ended with code 255"


def test_many_that_cannot_be_killed_delay_the_end_by_two_graces_in_all(pool):
    processes = [Process(immortal=True) for _ in range(20)]
    for process in processes:
        add(pool, process)
    began = time.monotonic()
    pool.close(now=True)
    assert time.monotonic() - began < 1.0


UNDYING = """
import multiprocessing, os, signal, time
from bench.execute import local as pool

def live():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.close(1)
    os.close(2)
    time.sleep(60)

pool.GRACE = 0.1
process = multiprocessing.get_context("fork").Process(target=live, daemon=True)
process.start()
process.kill = lambda: None
time.sleep(0.5)
pool._end([process])
print(process.pid)
"""


def test_one_that_cannot_be_killed_does_not_hold_up_the_end_of_the_run():
    """Multiprocessing waits for its children when Python ends."""
    here = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", UNDYING], capture_output=True, text=True, timeout=30, cwd=here)
    subprocess.run(["kill", "-9", done.stdout.strip()], check=True)
    assert done.returncode == 0, done.stderr
