"""How far a run is: bars on a terminal, one line per finished job otherwise, and an estimate of what is left."""

import contextlib
import sys
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

BAR = 12  # characters of the bar


class Display:
    """Counts work done; knows nothing of jobs but their titles."""

    def __init__(self, total_work: float, num_jobs: int, num_workers: int, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._total = self._left = total_work
        self._num_jobs = num_jobs
        self._num_workers = num_workers
        self._done_work = 0.0
        self._done_seconds = 0.0  # of workers, on that work; what is under way counts in neither
        self._done_jobs = 0
        self._progress: Progress | None = None
        if self._stream.isatty():
            # Titles hold names of users: nothing in them is markup.
            shrinking = Column(ratio=1, no_wrap=True, overflow="ellipsis")
            self._progress = Progress(
                # A narrow window takes from the title, never from the figures.
                TextColumn("{task.description}", markup=False, table_column=shrinking),
                BarColumn(bar_width=BAR, table_column=_fixed()),
                TextColumn("{task.fields[count]}", markup=False, table_column=_fixed()),
                TimeElapsedColumn(table_column=_fixed()),
                TextColumn("{task.fields[eta]}", markup=False, table_column=_fixed()),
                console=Console(file=self._stream),
                expand=True,
            )
            starting = "starting workers: torch and timm are imported"
            # The bar is of work, the count of jobs: a long search moves the one before the other.
            self._task = self._progress.add_task(starting, total=total_work, eta="", count=f"0/{num_jobs}")
            self._progress.start()

    def advance(self, work: float, seconds: float) -> None:
        """One record is on disk."""
        self._left -= work
        self._done_work += work
        self._draw()
        self._done_seconds += seconds
        self._update_eta()

    def drop(self, work: float) -> None:
        """So much need not be done here."""
        self._left -= work
        self._draw()
        self._update_eta()

    def running(self, titles: list[str]) -> None:
        if self._progress is not None and titles:
            more = f" and {len(titles) - 1} more" if len(titles) > 1 else ""
            self._progress.update(self._task, description=_short(_one_line(titles[0])) + more)

    def finished(self, title: str, outcome: str, seconds: float) -> None:
        self._done_jobs += 1
        if self._progress is not None:
            self._progress.update(self._task, count=f"{self._done_jobs}/{self._num_jobs}")
        else:
            count = f"[{self._done_jobs}/{self._num_jobs}]"
            self._print(f"{count} {title}: {outcome}, {seconds:.1f} s{self._eta(', ')}")

    def say(self, line: str) -> None:
        if self._progress is not None:
            self._progress.console.print(_one_line(line), markup=False, highlight=False, soft_wrap=True)
        else:
            self._print(line)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()

    def _print(self, line: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads any more: that is no reason to stop training
            self._stream.write(_one_line(line) + "\n")
            self._stream.flush()

    def _draw(self) -> None:
        if self._progress is not None:
            self._progress.update(self._task, completed=self._total - max(0.0, self._left))

    def _update_eta(self) -> None:
        if self._progress is not None:
            self._progress.update(self._task, eta=self._eta())

    def _eta(self, before: str = "") -> str:
        if self._done_work <= 0 or self._done_jobs >= self._num_jobs:
            return ""
        left = max(0.0, self._left) * self._done_seconds / self._done_work / self._num_workers
        return f"{before}about {duration(left)} left"


def _fixed() -> Column:
    return Column(no_wrap=True)


def duration(seconds: float) -> str:
    """`58 s`, `3 min 05 s`, `7 h 20 min`, `12 days`, `54,000 years`."""
    if (days := seconds / 86400) >= 3:
        return f"{days:,.0f} days" if days < 1000 else f"{days / 365.25:,.0f} years"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _one_line(text: str) -> str:
    """A name may hold anything, a terminal's commands too."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
