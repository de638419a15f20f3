"""Who used the processor meanwhile: seconds of this process and its children, and of everybody else."""

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
BUSY = (0, 1, 2, 5, 6, 7)  # of /proc/stat's first line: user, nice, system, irq, softirq, stolen


@dataclass(frozen=True)
class Reading:
    wall: float
    own: float
    everybody: float

    def since(self, before: "Reading") -> "Used":
        own = self.own - before.own
        return Used(self.wall - before.wall, own, max(0.0, self.everybody - before.everybody - own))


@dataclass(frozen=True)
class Used:
    """Seconds."""

    wall: float
    own: float  # of all cores, children included
    others: float  # of all cores

    def is_contaminated(self) -> bool:
        """More than a twentieth of one core; clock ticks of a hundredth of a second are forgiven."""
        return self.others > 0.05 * self.wall + 4 / TICKS


def read() -> Reading:
    return Reading(time.perf_counter(), time.process_time() + _children(), _everybody())


def _everybody() -> float:
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:  # no Linux: nothing is known of others
        return 0.0
    return sum(int(fields[place]) for place in BUSY) / TICKS


def _children() -> float:
    """Those that ended, and those that live."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + sum(_seconds_of_descendants())


def _seconds_of_descendants() -> list[float]:
    """Also what they have inherited from children of their own that ended."""
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        number = int(path.parent.name)
        parents[number] = int(fields[1])
        seconds[number] = sum(int(fields[place]) for place in (11, 12, 13, 14)) / TICKS
    mine = os.getpid()
    return [used for number, used in seconds.items() if number != mine and _descends(number, mine, parents)]


def _descends(number: int, mine: int, parents: dict[int, int]) -> bool:
    while number in parents:
        number = parents[number]
        if number == mine:
            return True
    return False
