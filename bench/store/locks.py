"""One lock per job among the runners of a folder. The kernel frees it when its holder dies, however it dies.

A child made by a bare fork shares the lock and keeps it after its parent's death; one that called exec does not.
"""

import contextlib
import fcntl
import os
from pathlib import Path


class Unsupported(Exception):
    """This file system has no locks."""


def acquire(path: Path) -> int | None:
    """A descriptor that holds the lock until `release`, or None where another holds it. Does not wait."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        held = False
        try:
            if not _try_flock(descriptor):
                return None
            held = _is_still_named(path, descriptor)
            if held:
                return descriptor
        finally:
            if not held:
                os.close(descriptor)


def release(path: Path, descriptor: int) -> None:
    with contextlib.suppress(OSError):  # a lock file left behind does no harm
        if _is_still_named(path, descriptor):  # else the name is another's by now
            path.unlink()
    with contextlib.suppress(OSError):
        os.close(descriptor)


def _try_flock(descriptor: int) -> bool:
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
