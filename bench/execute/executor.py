"""What the runner asks of whoever holds its workers: processes of this machine (`local.py`), or of a cluster's nodes
(`ray_executor.py`).

There is a worker for each setup. The runner gives a bundle to one that has none, hears what the workers say of it, last
words before a death, and puts a fresh one in a place whose worker has died, or takes the place away. It may ask all to
stop after the training at hand, and end one or all at once. When a message comes, what it tells of is on the disk here.
"""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

from bench.errors import INCOMPLETE, BenchError
from bench.execute.messages import Bundle, Message, Setup
from bench.store import Record

GRACE = 10.0  # seconds that a worker which has nothing left to do may take to end
TAIL_BYTES = 4096


class NoWorkers(BenchError):
    """Workers end before they train anything."""

    exit_code = INCOMPLETE


@dataclass(frozen=True)
class Announced:
    """What a worker has said that it is at."""

    records: tuple[Record, ...] = ()  # what a death would leave of these trainings
    together: int = 0  # how many have begun, those included that leave no record
    is_paused: bool = False  # while something is made or awaited that is part of no training
    since: float = field(default_factory=time.monotonic)

    @property
    def company(self) -> int:
        """How many trainings a death would take along."""
        return max(self.together, len(self.records))

    @property
    def under_way(self) -> int:
        """Trainings whose time is running; 0: what comes before their first step, or a pause."""
        return 0 if self.is_paused else self.together

    def paused(self, is_paused: bool) -> "Announced":
        return replace(self, is_paused=is_paused, since=time.monotonic())

    def without(self, record_key: str) -> "Announced":
        """One training has its record; what comes after the last of them is no training's."""
        left = tuple(record for record in self.records if record.key != record_key)
        return replace(self, records=left) if left else Announced()


@dataclass
class Worker:
    setup: Setup
    name: str  # of its process, for a person
    bundle: Bundle | None = None
    since: float = 0.0  # when it got its bundle
    counted_at: float = 0.0  # when its last record was counted, or when it got its bundle
    announced: Announced = field(default_factory=Announced)
    vain: int = 0  # processes of this place that in a row died without beginning a training
    fault: str = ""  # what ended it although no training need be to blame
    overdue: str = ""  # why it was taken for hung
    killed_at: float | None = None

    def takes(self, bundle: Bundle) -> None:
        self.bundle, self.announced = bundle, Announced()
        self.since = self.counted_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it got its bundle."""
        return time.monotonic() - self.since


@dataclass(frozen=True)
class Died:
    exitcode: int | None
    lost: str = ""  # what took its whole machine away, which is no training's fault

    def __str__(self) -> str:
        if self.lost:
            return self.lost
        if self.exitcode is not None and self.exitcode < 0:
            hint = " (out of memory?)" if self.exitcode == -signal.SIGKILL else ""
            return f"worker killed by signal {-self.exitcode}{hint}"
        return f"worker ended with code {self.exitcode}"


W = TypeVar("W", bound=Worker)


class Executor(Protocol[W]):
    workers: list[W]

    def idle(self) -> list[W]:
        """Those that can be given a bundle."""
        return [worker for worker in self.workers if worker.bundle is None]

    def busy(self) -> list[W]:
        return [worker for worker in self.workers if worker.bundle is not None]

    def start(self, setups: Iterable[Setup]) -> None:
        """Raises NoWorkers where they cannot be started."""

    def give(self, worker: W, bundle: Bundle) -> None: ...

    def messages(self, timeout: float | None) -> Iterator[tuple[W, Message | Died]]:
        """What came in; waits for the first, so many seconds at most."""

    def replace(self, worker: W) -> W:
        """A new process in the place of a dead one. It is idle when it is ready."""

    def renew(self, worker: W) -> W:
        """A process that has done nothing yet, in the place of one that waits for a job."""

    def remove(self, worker: W) -> None:
        """Its place stays empty."""

    def ask_to_stop(self) -> None: ...

    def kill(self, worker: W) -> None:
        """Its death is a message like others."""

    def close(self, now: bool) -> None:
        """`now` does not wait for a training at hand."""


def tail(log: Path) -> str:
    """The end of a worker's log, which may be of any size and hold anything."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()[-12:]
    except OSError:
        return "(its log cannot be read)"
    return "\n".join("  " + "".join(c if c.isprintable() else " " for c in line)[:200] for line in lines)
