"""Kills writers at any moment while others write on, sweeps and scans among them, and counts what is lost.

A writer says over a pipe what it has written once the store has said so. Some keys are its own, some everybody's.
"""

import collections
import json
import os
import random
import select
import signal
import sys
from pathlib import Path

from bench.store import Store, atomic
from tests import made_up

WRITERS = 4
SHARED_KEYS, OWN_KEYS = 4, 6


def record_of(name, result):
    return made_up.record("final", "failed", {"name": name}, result)


def write_for_ever(store, number, sink):
    draw = random.Random(number)
    for version in range(1_000_000):
        shared = draw.random() < 0.3
        name = f"shared {draw.randrange(SHARED_KEYS)}" if shared else f"{number} {draw.randrange(OWN_KEYS)}"
        padding = "x" * draw.choice([10, 2_000, 200_000])
        store.write(record_of(name, {"version": version, "padding": padding}))
        os.write(sink, f"{name}\t{version}\n".encode())  # below PIPE_BUF: one piece or nothing


def start(store, number):
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        try:
            write_for_ever(store, number, sink)
        finally:
            os._exit(1)
    os.close(sink)
    return child, source


def stop(child, source, acknowledged):
    """Kill one writer; returns 1 if it had failed by itself before."""
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    said = b""
    while piece := os.read(source, 1 << 16):
        said += piece
    os.close(source)
    note(said, acknowledged)
    return int(os.waitstatus_to_exitcode(status) != -signal.SIGKILL)


def note(said, acknowledged):
    for line in said.decode().splitlines():
        name, version = line.split("\t")
        acknowledged[name] = int(version)


def lost(store, acknowledged):
    records, damaged = store.scan()
    found = [str(one) for one in damaged]
    for name, version in acknowledged.items():
        record = records.get(record_of(name, {}).key)
        if record is None:
            found.append(f"{name} is lost")
        elif not name.startswith("shared") and record.result["version"] < version:
            found.append(f"{name} fell back from {version} to {record.result['version']}")
    return found


def main(folder, kills):
    store = Store(folder / "results")
    draw = random.Random(0)
    totals, acknowledged, problems = collections.Counter(), {}, []
    writers = {number: start(store, number) for number in range(WRITERS)}
    for number in range(WRITERS, WRITERS + kills):
        for _ in range(draw.randrange(1, 8)):  # let some of them get something done
            ready = select.select([source for _, source in writers.values()], [], [])[0]
            for source in ready:
                said = os.read(source, 1 << 16)
                totals["acknowledged"] += said.count(b"\n")
                note(said, acknowledged)
        victim = draw.choice(sorted(writers))  # whoever spoke last, so the moment of its death is any
        totals["failed"] += stop(*writers.pop(victim), acknowledged)
        totals["swept"] += atomic.sweep(store.root)
        problems += lost(store, acknowledged)
        writers[number] = start(store, number)
    for child, source in writers.values():
        totals["failed"] += stop(child, source, acknowledged)
    totals["swept"] += atomic.sweep(store.root)
    totals["left over"] = sum(path.name.startswith(atomic.PREFIX) for path in store.root.rglob("*"))
    problems += lost(store, acknowledged)
    sys.stdout.write(json.dumps({"totals": {"kills": kills, **totals}, "problems": problems}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
