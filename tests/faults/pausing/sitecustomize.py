"""Python imports this at its start where the folder is in PYTHONPATH: a process can be made to wait within a write.

Some moments last microseconds, and a kill would never hit them. FAULT_AT names one, as `replace:*/reports/.tmp-*`: the
first process that is about to make this system call on such a file says so in the file FAULT_HERE and waits to be
killed. Of a `write`, it writes half before. Workers are forks that get their environment later, so it is read late.
"""

import fnmatch
import os
import time
from pathlib import Path

real_open, real_write = os.open, os.write


def is_first():
    """And says so. Another one may wait already."""
    try:
        here = real_open(os.environ["FAULT_HERE"], os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    real_write(here, str(os.getpid()).encode())
    return True


def is_meant(name, first):
    call, _, pattern = os.environ["FAULT_AT"].partition(":")
    if call != name:
        return False
    try:
        path = str(Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else first)
    except OSError:
        return False
    return fnmatch.fnmatch(path, pattern)


def wrap(name):
    real = getattr(os, name)

    def call(first, *rest, **named):
        if "FAULT_AT" in os.environ and is_meant(name, first) and is_first():
            if name == "write":
                real(first, rest[0][: len(rest[0]) // 2])
            while True:
                time.sleep(60)
        return real(first, *rest, **named)

    setattr(os, name, call)


for each in ("write", "fsync", "replace", "rename"):
    wrap(each)
