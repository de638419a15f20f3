"""One lock per job among the runners of a folder, and one for each thing that is made once for all of them. The kernel
frees it when its holder dies, however it dies.

A child made by a bare fork shares the lock and keeps it after its parent's death; one that called exec does not.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PATIENCE = 1800.0  # seconds that one process waits for another to make something for all of them
LOOK = 0.1  # seconds between looks at its lock


class Unsupported(Exception):
    """This file system has no locks."""


def acquire(path: Path) -> int | None:
    """A descriptor that holds the lock until `release`, or None where another holds it; does not wait."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        held = False
        try:
            if not _flock(descriptor):
                return None
            held = _is_still_named(path, descriptor)
            if held:
                return descriptor
        finally:
            if not held:
                os.close(descriptor)


@contextlib.contextmanager
def taking_turns(path: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """One process after the other. Where whoever holds the lock takes very long, because its process may hang, one more
    begins, and the others wait for that one, twice as long. Without locks, or a folder, all at once: only for work that
    comes to the same."""
    descriptor, patience, number = None, PATIENCE, 1
    place, end = path, time.monotonic() + patience
    with contextlib.suppress(OSError, Unsupported):
        path.parent.mkdir(parents=True, exist_ok=True)
        while (descriptor := acquire(place)) is None:
            if time.monotonic() >= end:
                tell(f"{place} has been held for {patience / 60:g} minutes: one more process begins the same work")
                patience, number = 2 * patience, number + 1
                place, end = path.with_name(f"{path.name}.{number}"), time.monotonic() + patience
            else:
                time.sleep(LOOK)
    try:
        yield
    finally:
        if descriptor is not None:
            release(place, descriptor)


def release(path: Path, descriptor: int) -> None:
    with contextlib.suppress(OSError):  # a lock file left behind does no harm
        if _is_still_named(path, descriptor):  # else the name is another's by now
            path.unlink()
    with contextlib.suppress(OSError):
        os.close(descriptor)


def _flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise Unsupported(os.strerror(error.errno or 0)) from error
    return True


def _is_still_named(path: Path, descriptor: int) -> bool:
    """False when the last holder removed the file between our opening and our locking it: that lock excludes nobody."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
