"""Records that are odd in their structure, through everything that reads records: `python -m tests.faults.structural
[MUTATIONS [SEED]]`. None may end the table, the page, the status or the gate.

A mutated record is looked at twice: as a file, which the store may refuse and count as damaged, and from memory
wherever its fields fit their types, so that no other check of files stands before the code that reads it.
"""

import dataclasses
import json
import os
import random
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import get_args

import bench as package
from bench.analysis.cells import cell_summary, records
from bench.analysis.join import collect
from bench.analysis.tables import terminal_table
from bench.commands.progress import read_progress
from bench.commands.status import summarize
from bench.commands.suites import Folders, plan_from_file
from bench.errors import BenchError
from bench.execute.roots import Roots
from bench.gate.accept import snapshot
from bench.gate.compare import compare
from bench.gate.outputs.github import annotations, append_summary, summary
from bench.gate.outputs.junit import junit
from bench.gate.outputs.plain import as_json
from bench.gate.outputs.terminal import lines
from bench.gate.pairs import Rule
from bench.gate.tonight import tonight_of
from bench.report import write
from bench.store import Record, Store
from bench.store.atomic import write_bytes
from bench.store.encoding import encode
from bench.store.folded import fold
from bench.store.record import Status
from tests.commands.conftest import SMALL
from tests.commands.fabricate import fabricate

SUITE = (
    SMALL.replace("name: small\n", "name: odd\n").replace("scope: cell", "scope: repeat")
    .replace("{folds: 2}}", "{folds: 2}, finals: all}").replace("repeats: 2", "repeats: 5")
)  # fmt: skip
TEXTS = ("", "x", "\x1b[2J", "<script>alert(1)</script>", "../../x", "\u202eabc", "one\ntwo", "$\\frac{", "\udc80",
         "x" * 5000, "::error::x", "=cmd|x", "[/]")  # fmt: skip
NUMBERS = (0, 1, -1, -0.0, 7.5, 5e-324, 1e30, 1e100, 1e308, 10**30, 10**400, 0.1, 1e-9, True)
OTHERS = (None, [], {}, [[]], {"a": 1}, [None], {"": []})
SECTIONS = ("result", "result", "result", "cost", "spec", "provenance", "status", "error")
# What trainings of some sort only leave, beside what every made-up record has.
MORE = {
    "final": {
        "stop": 1, "collapsed": False, "converged": True, "evaluations": 3, "gradient_norm": 0.5, "soup": [0, 1],
        "weights": {"matched": 10, "missing": [], "unexpected": []}, "enlivened": {"gains": 3},
        "lr_edge": "low", "train_loss_end": 0.1, "test_in_train": 1, "unlike_public": "fewer images",
        "overlap": [{"dataset": "source", "test": 1, "num_test": 10, "train": 0, "num_train": 20}],
        "source": {"before": {"original": 0.5, "refitted": 0.4}, "after": {"original": 0.3, "refitted": 0.2},
                   "num": 100},
    },
    "trial": {"collapsed": True, "folds": [{"score": 0.5, "loss": 1.0, "train_loss": 0.5}]},
}  # fmt: skip


@dataclasses.dataclass
class Tally:
    mutations: int = 0
    damaged: int = 0  # of the files: counted as absent
    unfit: int = 0  # of the records: a field does not fit its type
    read: int = 0  # of the records: by everything
    ended: Counter[str] = dataclasses.field(default_factory=Counter)  # where -> how often

    def __str__(self) -> str:
        told = [f"{self.mutations} mutated records: {self.damaged} files refused, {self.read} read whatever they say, "
                f"{sum(self.ended.values())} tracebacks"]  # fmt: skip
        return "\n  ".join([*told, *(f"{count} x {where}" for where, count in self.ended.most_common())])


@dataclasses.dataclass(frozen=True)
class InMemory(Store):
    """A store that holds some records more."""

    inner: Store
    odd: dict

    @property
    def root(self):
        return self.inner.root

    def scan(self):
        records, damaged = self.inner.scan()
        return {key: fold(self.odd[key]) if key in self.odd else record for key, record in records.items()}, damaged

    def read(self, key):
        return self.odd.get(key) or self.inner.read(key)


@dataclasses.dataclass(frozen=True)
class OddRoots(Roots):
    odd: dict = dataclasses.field(default_factory=dict)

    @property
    def store(self):
        return InMemory(Store(self.results / self.suite), self.odd)

    @property
    def shared(self):
        return InMemory(Store(self.results / "pretrained"), self.odd)


class World:
    """A suite of which every record is there, and its baseline."""

    def __init__(self, place):
        path, results = place / "odd.yaml", place / "results"
        path.write_text(SUITE)
        self.plan = plan_from_file(path, (), Folders(results, place / "reports"))
        self.roots = Roots(results, "odd")
        self.records = []
        for record in fabricate(self.plan, self.roots):
            full = dataclasses.replace(record, result={**record.result, **MORE.get(record.kind, {})})
            self.file(full).write_bytes(encode(full))
            self.records.append(full)
        assert not [*self.roots.store.scan()[1], *self.roots.shared.scan()[1]], "whole before anything is odd"
        self.baseline = snapshot(tonight_of(self.plan, read_progress(self.plan, self.roots).records), "1970-01-01")

    def file(self, record):
        return (self.roots.shared if record.kind == "pretrain" else self.roots.store).path(record.key)

    def look(self, roots):
        """All that reads records; how many were damaged."""
        results = collect(self.plan, roots.store, roots.shared)
        terminal_table("x", records(cell_summary(results.finals)), 100)
        page = self.roots.results / "page.html"
        progress = read_progress(self.plan, roots)
        summarize(progress, roots)
        tonight = tonight_of(self.plan, progress.records)
        result = compare(self.baseline, tonight, Rule(0.5, 2.0))
        snapshot(tonight, "1970-01-02")
        assert b"<script>alert" not in write(results, page, result).read_bytes()
        for told in (annotations(result), lines(result, 100, True)):
            assert all("\x1b" not in line and "\n" not in line for line in told)
        write_bytes(page, junit(result).encode())
        append_summary(page, summary(result))
        json.dumps(as_json(result))
        return len(results.damaged)


def mutated(record, draw):
    """Its fields, one of them another."""
    raw = json.loads(json.dumps(record.as_dict()))
    if draw.random() < 0.2:  # went wrong, whatever was measured before
        raw |= {"status": draw.choice(get_args(Status)), "error": draw.choice(TEXTS)}
    section = draw.choice([name for name in SECTIONS if raw[name] != {}])
    places = [path for path in walk(raw) if path[0] == section]
    *above, last = draw.choice(places)
    holder = raw
    for name in above:
        holder = holder[name]
    holder[last] = odd(holder[last], draw)
    if above and draw.random() < 0.2 and isinstance(holder, dict):
        del holder[last]
    return raw


def walk(value, path=()):
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield (*path, name)
        yield from walk(one, (*path, name))


def odd(value, draw):
    """Mostly of the same kind, so that it may fit its type."""
    if draw.random() < 0.3:
        return draw.choice([*TEXTS, *NUMBERS, *OTHERS])
    if isinstance(value, bool) or value is None:
        return draw.choice([True, False, None])
    if isinstance(value, str):
        return draw.choice(TEXTS)
    if isinstance(value, int | float):
        return draw.choice([one for one in NUMBERS if isinstance(one, type(value))])
    if isinstance(value, list):
        return draw.choice([[], value[::-1], value * 2, [*value, draw.choice(OTHERS)], value[:1] * 300])
    return draw.choice([{}, {**value, draw.choice(TEXTS): draw.choice(OTHERS)}, {name: value for name in value}])


def run(place, mutations, seed, together=1):
    """`together`: so many mutated records in one look."""
    draw, world, tally = random.Random(seed), World(place), Tally()  # noqa: S311
    while tally.mutations < mutations:
        chosen = draw.sample(world.records, min(together, mutations - tally.mutations))
        tally.mutations += len(chosen)
        as_files, as_records = {}, {}
        for record in chosen:
            raw = mutated(record, draw)
            try:
                made = Record(**raw)
                as_files[world.file(record)] = encode(made)
                Record.from_dict(raw).check()
                as_records[record.key] = made
            except (TypeError, ValueError, KeyError):
                tally.unfit += 1
        _attempt(world, as_files, as_records, tally)
    return tally


def _attempt(world, as_files, as_records, tally):
    whole = {path: path.read_bytes() for path in as_files}
    try:
        for path, data in as_files.items():
            path.write_bytes(data)
        tally.damaged += _looked(world, world.roots, tally)
    finally:
        for path, data in whole.items():
            path.write_bytes(data)
    if as_records:
        tally.read += len(as_records)
        _looked(world, OddRoots(world.roots.results, "odd", odd=as_records), tally)


def _looked(world, roots, tally):
    try:
        return world.look(roots)
    except BenchError:
        return 0  # an answer: there may be nothing left to speak of
    except Exception as error:
        ours = str(Path(package.__file__).parent)
        inner = [frame for frame in traceback.extract_tb(error.__traceback__) if ours in frame.filename]
        where = f"{Path(inner[-1].filename).relative_to(ours)}:{inner[-1].lineno}" if inner else "the harness"
        tally.ended[f"{type(error).__name__} in {where}: {str(error)[:150]!r}"] += 1
        return 0


def main(mutations=1000, seed=0):
    with tempfile.TemporaryDirectory() as place:
        os.fsync = os.fstat  # the machine outlives this
        tally = run(Path(place), mutations, seed, together=20)
    sys.stdout.write(f"{tally}\n")
    return 1 if tally.ended else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
