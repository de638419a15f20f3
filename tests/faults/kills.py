"""`python -m tests.faults.kills [--count 100] [--seed 1]`: SIGKILL at every stage of a run, to every process of it.

Each kill strikes a run of `scene.SUITE` in a folder that earlier kills have left behind. What it is to interrupt is
removed before (else there would be nothing left to do), and `--rerun failed` forgets what a killed worker was at. After
every few kills a run goes to its end, and its folder is held against one that nobody interrupted. Moments of
microseconds are hit by processes that wait in them (`pausing/`).
"""

import argparse
import contextlib
import os
import random
import signal
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.execute.running import finish, locks_are_free, record_files, until
from tests.faults.scene import NUM_RECORDS, differences, forget, main, say, scene, table, torn

ROUND = 10  # kills in one folder


@dataclass(frozen=True)
class Kind:
    moment: str
    victim: str  # "driver", "workers" (one of them), "server", "group" (all), or "writer": whoever waits in the write
    writes: tuple[str, ...] = ()  # places of `pausing/`, one is drawn
    undo: str = ""  # what is forgotten before: `scene.forget`
    own_server: bool = False


RECORD = tuple(f"{call}:*/runs/*/.tmp-*" for call in ("write", "fsync", "replace"))
WEIGHTS = tuple(f"{call}:*/pretrained/weights/*/.tmp-*" for call in ("write", "fsync", "replace"))
PAGE = (*(f"{call}:*/reports/.tmp-*" for call in ("write", "fsync", "replace")), "fsync:*/reports")
DATA = ("fsync:*/.cache/.*", "rename:*/.cache/.*")
TABLE = ("rename:*/.cache/features/.*",)
KINDS = [
    Kind("start of the server", "driver", undo="finals", own_server=True),
    Kind("start of the server", "server", undo="finals", own_server=True),
    Kind("start or training", "group", undo="trainings", own_server=True),
    Kind("training", "driver", undo="trainings"),
    Kind("training", "workers", undo="trainings"),
    Kind("training", "group", undo="trainings"),
    Kind("decoding", "writer", DATA, "data"),
    Kind("decoding", "driver", DATA, "data"),
    Kind("pretraining", "driver", undo="trainings"),
    Kind("pretraining", "workers", undo="trainings"),
    Kind("writing of weights", "writer", WEIGHTS, "trainings"),
    Kind("writing of features", "writer", TABLE, "trainings"),
    Kind("writing of features", "driver", TABLE, "trainings"),
    Kind("writing of a record", "writer", RECORD, "finals"),
    Kind("writing of a record", "driver", RECORD, "finals"),
    Kind("writing of the page", "driver", PAGE),
    Kind("writing of the page", "driver", PAGE),
    Kind("writing of the page", "driver", PAGE, "finals"),
]


@dataclass
class Loop:
    the_scene: object
    draw: random.Random
    kills: dict = field(default_factory=lambda: defaultdict(int))
    missed: dict = field(default_factory=lambda: defaultdict(int))
    slowest: dict = field(default_factory=lambda: defaultdict(float))  # seconds until the last process was gone
    wrong: list = field(default_factory=list)
    compared: int = 0
    equal: int = 0  # records, to the bit
    rounded: int = 0

    def strike(self, kind, place):
        """One run that is killed; False where it was over before."""
        if kind.undo:
            forget(place, kind.undo)
        here = place / "here"
        here.unlink(missing_ok=True)
        tag = f"{place.name}-{self.count}-{sum(self.missed.values())}"
        more = {"FAULT_TAG": tag}
        if kind.writes:
            more |= {"FAULT_AT": self.draw.choice(kind.writes), "FAULT_HERE": str(here)}
        command = self.the_scene.run(place, "--rerun", "failed", environment=more, own_server=kind.own_server)
        family = Family(self.the_scene.launcher.process.pid, command, tag)
        try:
            return self.kill(kind, place, family, here)
        except AssertionError as error:  # what was waited for did not come
            self.wrong.append(f"{place.name}: {kind.moment}, {kind.victim}: {error}")
            family.kill("group", here, self.draw)
            return False

    def kill(self, kind, place, family, here):
        is_time = self.wait_for_the_moment(kind, place, family, here)
        before = {path: path.read_bytes() for path in record_files(place)}
        if not is_time or not family.kill(kind.victim, here, self.draw):
            self.missed[kind.moment, kind.victim] += 1
            family.command.wait()
            return False
        self.kills[kind.moment, kind.victim] += 1
        self.look_after(kind, place, family, before)
        return True

    @property
    def count(self):
        return sum(self.kills.values())

    def wait_for_the_moment(self, kind, place, family, here):
        command = family.command

        def is_over():
            return (command.folder / "exit").exists()

        if kind.writes:
            until(lambda: is_over() or (here.exists() and here.read_text()), f"{kind.moment}: {command.stderr!r}")
            return here.exists()
        if kind.moment == "start of the server":
            until(lambda: is_over() or family.server(), "a server")
        elif kind.moment == "pretraining":
            locks = place / "results" / "pretrained" / "locks"
            until(lambda: is_over() or (any(locks.glob("*.lock")) and family.workers()), "a pretraining")
        elif not kind.own_server:
            until(lambda: is_over() or family.workers(), "workers")
        end = time.monotonic() + self.draw.uniform(0, 8.0 if kind.own_server else 1.5)
        until(lambda: is_over() or time.monotonic() > end, "a random moment")
        return not is_over()

    def look_after(self, kind, place, family, before):
        command, which = family.command, (kind.moment, kind.victim)
        code = command.wait()
        ended = time.monotonic()
        until(lambda: not family.members(), f"processes to end after their driver: {family.members()}")
        self.slowest[which] = max(self.slowest[which], time.monotonic() - ended)
        # A run whose server or decoder dies may end at once, with one line that says so; 1 would mean regressed.
        expected = (-signal.SIGKILL,) if kind.victim in ("driver", "group") else (0, 2, 3, 70)
        what = f"{place.name}: {kind.moment}, {kind.victim}"
        if code not in expected or "Traceback" in command.stderr:
            self.wrong.append(f"{what}: ended with {code}: {command.stderr[-300:]!r}")
        if not locks_are_free(place):
            self.wrong.append(f"{what}: a lock is held")
        after = {path: path.read_bytes() for path in record_files(place)}
        lost = [path for path in before if path not in after]
        self.wrong += [f"{what}: lost: {path}" for path in lost]
        self.wrong += [f"{what}: changed: {path}" for path in before if after.get(path, before[path]) != before[path]]
        self.wrong += [f"{what}: torn: {line}" for line in torn(place)]

    def finish_round(self, place):
        command = self.the_scene.run(place, "--rerun", "failed")
        finish(command)
        self.compared += 1
        self.equal += self.the_scene.same(place)
        self.rounded += self.the_scene.rounded(place)
        self.wrong += differences(place, self.the_scene)
        page, expected = (next(one.glob("reports/*.html")).read_bytes() for one in (place, self.the_scene.unbroken))
        if page != expected:
            self.wrong.append(f"{place.name}: another page")


@dataclass(frozen=True)
class Family:
    """The processes of one command. Forks of the launcher's server are its workers: one command runs at a time."""

    launcher: int
    command: object
    tag: str

    def members(self):
        found = processes()
        shared = [pid for pid, (parent, line) in found.items() if parent == self.launcher and "forkserver" in line]
        mine = [pid for pid, (parent, _) in found.items() if parent in shared]
        return sorted({*mine, *(pid for pid in found if self.is_tagged(pid))} - {self.command.pid})

    def is_tagged(self, pid):
        with contextlib.suppress(OSError):
            return f"FAULT_TAG={self.tag}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        return False

    def server(self):
        found = processes()
        return [pid for pid in self.members() if pid in found and is_server(found, pid)]

    def workers(self):
        found = processes()
        members = [pid for pid in self.members() if pid in found]
        return [pid for pid in members if is_server(found, found[pid][0])]

    def kill(self, victim, here, draw):
        """False where there is none."""
        if victim == "writer":
            pids = [int(here.read_text())]
        elif victim == "driver":
            pids = [self.command.pid]
        elif victim == "group":
            pids = [self.command.pid, *self.members()]
        elif victim == "server":
            pids = self.server()[:1]
        else:
            pids = [draw.choice(found)] if (found := self.workers()) else []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(pids)


def is_server(found, pid):
    """And no fork of one, which has the same command line."""
    if pid not in found or "forkserver" not in found[pid][1]:
        return False
    parent = found[pid][0]
    return parent not in found or "forkserver" not in found[parent][1]


def processes():
    """pid -> parent, command line; of those that are not dead."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found[int(path.name)] = int(parent), line
    return found


def kill_loop(folder, count, seed):
    draw = random.Random(seed)
    with scene(folder) as the_scene:
        loop = Loop(the_scene, draw)
        queue = []
        while loop.count < count:
            place = folder / f"round-{loop.compared + 1}"
            goal = min(count, loop.count + ROUND)
            while loop.count < goal:
                queue = queue or draw.sample(KINDS, len(KINDS))
                if not loop.strike(kind := queue.pop(), place):
                    queue.insert(0, kind)
            loop.finish_round(place)
            say(f"{place.name}: {loop.count} of {count} kills, {len(loop.wrong)} wrong")
    rows = [(*which, loop.kills[which], loop.missed[which], f"{loop.slowest[which]:.1f}")
            for which in sorted({*loop.kills, *loop.missed})]
    table(("moment", "killed", "kills", "too late", "seconds until all were gone"), rows)
    say(f"{loop.count} kills, {loop.compared} folders compared; of {loop.compared * NUM_RECORDS} records {loop.equal} "
        f"are equal to the bit, {loop.rounded} differ by rounding (a fleet cut apart); {len(loop.wrong)} wrong")
    return loop.wrong


def read_options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    options = read_options()
    main(lambda folder: kill_loop(folder, options.count, options.seed))
