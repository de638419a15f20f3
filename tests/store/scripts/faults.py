"""Strikes every system call of a write, one after the other, in every way; prints what survived.

Each case runs in a fork on a folder of its own: the k-th call dies, fails, or fails after having worked. Afterwards
this process looks at what is left. k grows until the write comes through without having been struck.
"""

import collections
import errno
import fcntl
import json
import logging
import os
import shutil
import sys
from pathlib import Path

from bench.errors import StoreError
from bench.store import Store, atomic, blobs
from bench.store.folded import fold
from tests.store.finals import KEY, NEIGHBOUR, failed, final

CALLS = [(os, name) for name in ("mkdir", "open", "write", "fsync", "close", "replace", "unlink")] + [(fcntl, "flock")]
TAKES_SPACE = ("mkdir", "open", "write", "fsync", "replace")
ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EIO after": errno.EIO, "full": errno.ENOSPC}
MODES = ["die before", "die after", "interrupt", *ERRORS]
SHORT = 100  # bytes: every write is short, so that a record takes several
DONE, UNREACHED, DIED, REFUSED, INTERRUPTED = 0, 10, 11, 12, 13

OLD = failed(error="é" * 100)
NEW = final(status="diverged", result={"weights": {"curve": [i / 7 for i in range(20)]}})
BESIDE = failed(NEIGHBOUR)
TORN = b"torn"
WEIGHTS = bytes(range(256)) * 2


class Fault:
    def __init__(self, mode, at):
        self.mode, self.at, self.count, self.struck = mode, at, 0, False

    def install(self):
        for module, name in CALLS:
            setattr(module, name, self.wrap(name, getattr(module, name)))

    def wrap(self, name, real):
        def call(*args, **kwargs):
            if name == "write":
                args = (args[0], args[1][: max(SHORT, len(args[1]) // 2)])
            self.count += 1
            if self.strikes(name):
                return self.strike(lambda: real(*args, **kwargs))
            return real(*args, **kwargs)

        return call

    def strikes(self, name):
        if self.mode == "full":  # and stays full
            return self.count >= self.at and name in TAKES_SPACE
        return self.count == self.at

    def strike(self, act):
        self.struck = True
        if self.mode.endswith("after") or self.mode == "interrupt":  # Python interrupts after a call, not in it
            act()
        if self.mode.startswith("die"):
            os._exit(DIED)
        if self.mode == "interrupt":
            raise KeyboardInterrupt
        raise OSError(ERRORS[self.mode], "injected")


def nothing(root):
    pass


def older_record(root):
    Store(root).write(BESIDE)
    Store(root).write(OLD)


def torn_record(root):
    Store(root).write(BESIDE)
    Store(root).path(KEY).write_bytes(TORN)


def torn_weights(root):
    path = blobs.path_of(root, blobs.put(root, WEIGHTS))
    path.write_bytes(WEIGHTS[:100])


def write(root):
    Store(root).write(NEW)


def locked_write(root):
    store = Store(root)
    store.check_writable()
    with store.lock(KEY) as ours:
        assert ours
        store.write(NEW)


def put_weights(root):
    blobs.put(root, WEIGHTS)


SCENARIOS = {
    "first": (nothing, write),
    "replace": (older_record, write),
    "runner": (older_record, locked_write),
    "torn": (torn_record, write),
    "weights": (nothing, put_weights),
    "torn weights": (torn_weights, put_weights),
}


def run_case(act, root, fault):
    """In the fork. Never returns."""
    logging.disable()
    fault.install()
    try:
        act(root)
        os._exit(DONE if fault.struck else UNREACHED)
    except StoreError as error:
        os._exit(REFUSED if isinstance(error.__cause__, OSError) and str(root) in str(error) else 1)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    finally:
        os._exit(1)


def record_problems(root, before, outcome):
    store = Store(root)
    scanned, damaged = store.scan()
    records = {key: store.read(key) for key in scanned}
    if any(scanned[key].row != fold(record).row for key, record in records.items()):
        yield "a scan says something else than the file"
    if KEY in records and records[KEY] not in (OLD, NEW):
        yield "neither the old nor the new record"
    if outcome in (DONE, UNREACHED) and records.get(KEY) != NEW:
        yield "an acknowledged record is lost"
    if before is older_record and KEY not in records:
        yield "the old record is lost before the new one is whole"
    if before is not nothing and records.get(NEIGHBOUR) != BESIDE:
        yield "another record is lost"
    aside = [path.read_bytes() for path in store.damaged.glob("*")]
    if damaged and (before is not torn_record or aside):
        yield f"torn: {damaged}"
    if before is torn_record and aside != [TORN] and not damaged:
        yield "what was damaged is lost"
    with store.lock(KEY) as ours:
        if not ours:
            yield "the lock outlived its holder"


def weights_problems(root, before, outcome):
    try:
        whole = blobs.get(root, blobs.hashlib.sha256(WEIGHTS).hexdigest()) == WEIGHTS
    except StoreError as error:
        whole = False
        if before is nothing and "missing" not in str(error):
            yield f"torn weights: {error}"
    if outcome in (DONE, UNREACHED) and not whole:
        yield "acknowledged weights are lost"


def problems(root, scenario, outcome):
    before, act = SCENARIOS[scenario]
    if outcome not in (DONE, UNREACHED, DIED, REFUSED, INTERRUPTED):
        yield f"ended with {outcome}"
    if outcome in (REFUSED, INTERRUPTED) and temporaries(root):
        yield "a temporary file is left after an error"
    look = weights_problems if act is put_weights else record_problems
    logging.disable()
    yield from look(root, before, outcome)
    atomic.sweep(root)
    if temporaries(root):
        yield "a dead writer's temporary file is not swept"
    act(root)
    yield from (f"later: {problem}" for problem in look(root, before, DONE))


def temporaries(root):
    return [path for path in root.rglob("*") if path.name.startswith(atomic.PREFIX)]


def main(folder):
    os.fsync = lambda descriptor: None  # the machine lives on, so syncing changes nothing but the time this takes
    survived, found = collections.Counter(), []
    cases = [(scenario, mode) for scenario in SCENARIOS for mode in MODES]
    for scenario, mode in cases:
        before, act = SCENARIOS[scenario]
        for at in range(1, 1000):
            root = folder / "case"
            before(root)
            child = os.fork()
            if child == 0:
                run_case(act, root, Fault(mode, at))
            outcome = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            found += [f"{scenario}, {mode} at call {at}: {problem}" for problem in problems(root, scenario, outcome)]
            shutil.rmtree(root, ignore_errors=True)
            if outcome == UNREACHED:
                break
            survived[mode] += 1
    sys.stdout.write(json.dumps({"survived": survived, "problems": found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
