"""What a worker tells the runner. Plain values: they cross a pipe."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.store import Record


@dataclass(frozen=True)
class Setup:
    """What a worker is given once, at its start."""

    results: Path
    suite: str
    device: str  # "cpu", "cuda:0"
    threads: int
    weights_files: dict[str, Path]
    provenance: dict[str, Any]
    log: Path  # what a worker prints goes here, so that it cannot garble the display


@dataclass(frozen=True)
class Starting:
    """One training begins. Should the worker die in it, this becomes its record."""

    record: Record


@dataclass(frozen=True)
class Recorded:
    """One record is on disk."""

    key: str
    kind: str
    status: str
    score: float | None
    error: str | None

    @staticmethod
    def of(record: Record) -> "Recorded":
        return Recorded(record.key, record.kind, record.status, record.result.get("score"), record.error)


@dataclass(frozen=True)
class Finished:
    """The job has all its records, or was told to stop before."""

    complete: bool


@dataclass(frozen=True)
class Busy:
    """Another runner holds the job."""


@dataclass(frozen=True)
class Stuck:
    """An error outside any training: the job cannot go on, the worker can."""

    error: str


@dataclass(frozen=True)
class Broken:
    """The worker cannot go on: records cannot be written."""

    error: str


Message = Starting | Recorded | Finished | Busy | Stuck | Broken
