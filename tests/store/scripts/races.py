"""Several processes want the same lock and put the same weights; prints how often two were in one place.

A lock file is removed with every release, so this is also a hunt for the moment between opening and locking it.
"""

import json
import os
import sys
from pathlib import Path

from bench.store import Store, blobs

KEY = "ab" + "0" * 30
PROCESSES = 4


def enter(store, times):
    """Hold the lock so many times; fails if somebody else is inside."""
    inside = store.root / "inside"
    entered = refused = 0
    while entered < times:
        with store.lock(KEY) as ours:
            if not ours:
                refused += 1
                continue
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            inside.unlink()
            entered += 1
    return refused


def put(root, times):
    for index in range(times):
        data = f"{index}".encode() * 20_000
        if blobs.get(root, blobs.put(root, data)) != data:
            raise AssertionError
    return 0


def run(act, *arguments):
    """The exit code of each process."""
    children = []
    for _ in range(PROCESSES):
        child = os.fork()
        if child == 0:
            try:
                act(*arguments)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def is_free_beside_a_fork(store):
    """Whether a lock that was let go is free, although a child born meanwhile still has the descriptor open."""
    source, sink = os.pipe()
    with store.lock(KEY):
        child = os.fork()
        if child == 0:
            os.close(sink)
            os.read(source, 1)  # until the parent closes its end
            os._exit(0)
    with store.lock(KEY) as ours:
        pass
    os.close(sink)
    os.waitpid(child, 0)
    return ours


def main(folder, times):
    store = Store(folder / "results")
    store.check_writable()
    codes = {"locks": run(enter, store, times), "weights": run(put, store.root, times // 10)}
    codes["free beside a fork"] = is_free_beside_a_fork(store)
    left = [path.name for path in (store.root / "locks").iterdir()]
    sys.stdout.write(json.dumps({**codes, "lock files left": left}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
