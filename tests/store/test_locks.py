import contextlib
import errno
import fcntl
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bench
from bench.errors import StoreError
from bench.store import locks

KEY, OTHER = "ab" + "0" * 30, "ab" + "1" * 30
HOLDER = """
import sys
from pathlib import Path
from bench.store import Store
with Store(Path(sys.argv[1])).lock(sys.argv[2]) as ours:
    sys.stdout.write(f"{ours}\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


@pytest.fixture
def start_holder(store):
    """Starts a process that takes the lock, says whether it has it, and ends when its input does."""
    holders = []

    def start(key=KEY):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, store.root, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])},
        )
        holders.append(holder)
        return holder, holder.stdout.readline().strip()

    yield start
    for holder in holders:
        holder.kill()
        holder.communicate()


def lock_files(store):
    return [path.name for path in (store.root / "locks").iterdir()]


def test_one_of_two_gets_it_and_the_other_does_not_wait(store, start_holder):
    holder, answer = start_holder()
    assert answer == "True"
    with store.lock(KEY) as ours:
        assert not ours
    assert start_holder()[1] == "False"
    with store.lock(OTHER) as ours:
        assert ours
    holder.communicate()  # lets it go
    with store.lock(KEY) as ours:
        assert ours


def test_the_kernel_frees_it_when_its_holder_is_killed(store, start_holder):
    holder, _ = start_holder()
    holder.kill()
    holder.wait()
    assert lock_files(store) == [f"{KEY}.lock"]  # the dead cannot tidy up, and need not
    with store.lock(KEY) as ours:
        assert ours
    assert lock_files(store) == []


def test_locks_lie_beside_the_records(store):
    with store.lock(KEY):
        assert (store.root / "locks" / f"{KEY}.lock").exists()
        assert store.scan() == ({}, [])


def test_one_process_excludes_itself_too(store):
    with store.lock(KEY) as ours:
        with store.lock(KEY) as again:
            assert (ours, again) == (True, False)
        with store.lock(KEY) as again:  # giving up without having it has freed nothing
            assert not again


def test_an_error_inside_frees_it(store):
    with pytest.raises(ZeroDivisionError), store.lock(KEY):
        raise ZeroDivisionError
    with store.lock(KEY) as ours:
        assert ours


def test_a_lock_file_removed_meanwhile_is_no_error(store):
    with store.lock(KEY):
        (store.root / "locks" / f"{KEY}.lock").unlink()
    with store.lock(KEY) as ours:
        assert ours


def test_letting_go_leaves_a_later_holders_file_alone(store):
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        first.enter_context(store.lock(KEY))
        (store.root / "locks" / f"{KEY}.lock").unlink()
        assert second.enter_context(store.lock(KEY))
        first.close()
        with store.lock(KEY) as ours:
            assert not ours


def test_a_file_removed_between_opening_and_locking_is_not_locked(store, monkeypatch):
    """Its lock would exclude nobody: the next one makes a new file of that name."""
    real, times = fcntl.flock, []

    def flock(descriptor, operation):
        if operation & fcntl.LOCK_NB and not times:
            times.append(1)
            (store.root / "locks" / f"{KEY}.lock").unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with store.lock(KEY) as ours, store.lock(KEY) as again:
        assert (ours, again) == (True, False)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
def test_without_locks_everybody_may_and_one_warning_says_so(store, monkeypatch, caplog, code):
    def flock(descriptor, operation):
        raise OSError(code, "injected")

    monkeypatch.setattr(fcntl, "flock", flock)
    with store.lock(KEY) as ours, store.lock(KEY) as again, store.lock(OTHER) as other:
        assert (ours, again, other) == (True, True, True)
    assert caplog.messages == [
        f"no file locks in {store.root / 'locks'} ({os.strerror(code)}): two runners may do the same job"
    ]


def test_a_folder_that_takes_no_lock_file_is_told(store):
    store.root.mkdir()
    (store.root / "locks").write_text("not a folder")
    with (
        pytest.raises(StoreError, match=f"cannot lock .*{KEY}.lock: a file stands where a folder is needed"),
        store.lock(KEY),
    ):
        pass


def take_a_turn(path, wait, answers):
    locks.PATIENCE = wait
    with locks.taking_turns(path, lambda line: None):
        begun = time.monotonic()
        time.sleep(1.5 * wait)
        answers.put((begun, time.monotonic()))


def test_behind_one_that_takes_too_long_no_more_than_one_begins_at_once(tmp_path):
    """Four want to do what takes longer than they are patient."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    turns = [context.Process(target=take_a_turn, args=(tmp_path / "locks" / "a", 1.0, answers)) for _ in range(4)]
    for turn in turns:
        turn.start()
    spans = [answers.get(timeout=60) for _ in turns]
    for turn in turns:
        turn.join()
    together = max(sum(begun <= moment < ended for begun, ended in spans) for moment, _ in spans)
    assert together == 2, spans
    assert list((tmp_path / "locks").iterdir()) == []


def test_whoever_hangs_is_waited_for_and_told_of(tmp_path, monkeypatch):
    """And so is one that hangs in its stead, twice as long: at some time everybody's turn comes."""
    clock, told = [0.0], []
    monkeypatch.setattr(locks.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: clock.append(clock.pop() + 60))
    path = tmp_path / "a.lock"
    with contextlib.ExitStack() as hanging:
        for _ in range(3):
            hanging.enter_context(locks.taking_turns(path, told.append))
        assert clock[0] == locks.PATIENCE * (1 + 1 + 2)
    assert told == [
        f"{place} has been held for {minutes} minutes: one more process begins the same work"
        for place, minutes in ((path, 30), (path, 30), (f"{path}.2", 60))
    ]
    assert list(tmp_path.iterdir()) == []
