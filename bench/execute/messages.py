"""What a worker tells the runner. Plain values: they cross a pipe."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.datasets.split_lists import Lists
from bench.planning.patterns import Pattern
from bench.planning.precision import Choice
from bench.spec.job import Job
from bench.spec.refs import Engine, Keeps
from bench.store import Record


@dataclass(frozen=True)
class Bundle:
    """What a worker is handed at once: one job, or the repeats of one cell."""

    jobs: tuple[Job, ...]
    alone: bool = False  # nothing trains together, so that a death tells which training was to blame

    def job_of(self, record_key: str) -> Job:
        return next(job for job in self.jobs if record_key in job.record_keys)


@dataclass(frozen=True)
class Setup:
    """What a worker is given once, at its start."""

    results: Path
    suite: str
    device: str  # "cpu", "cuda:0"
    threads: int
    engine: Engine
    keeps: Keeps
    distances: bool  # whether finals tell how far the target lies
    forecasts: bool  # whether finals tell what cheap scores say of the transfer beforehand
    similarity: bool  # whether finals tell how much each unit changed
    samples: bool  # whether a few examples of each data set are kept for the page
    patterns: dict[str, tuple[Pattern, ...]]  # what the plan leaves frozen
    weights_files: dict[str, Path]
    sources: dict[str, dict[str, Any]]  # options of datasets, paths too, by the digest of their DataRef
    lists: Lists  # what lists say of labels and test examples
    arithmetic: dict[str, Choice]  # what networks train in and why, by `arithmetic_key`
    provenance: dict[str, Any]
    log: Path  # what a worker prints goes here, so that it cannot garble the display
    asks: bool = False  # for tables of features, before it computes them
    is_deterministic: bool = False  # jobs ask for equal bits
    sharing: int = 1  # workers of the same device, this one too, where it is a GPU
    mistaken: frozenset[str] = frozenset()  # keys of finals that make a mistake on purpose


@dataclass(frozen=True)
class Starting:
    """Trainings begin. Should the worker die in the only one, this becomes its record; of several that train together
    nobody could say which was to blame, so they are tried again one by one."""

    records: tuple[Record, ...]
    together: int = 1  # 0: what comes before the first step, which has a limit of its own


@dataclass(frozen=True)
class Paused:
    """Something is made or awaited that is part of no training; `is_over`: those that were announced go on."""

    is_over: bool = False


@dataclass(frozen=True)
class Recorded:
    """One record is on disk."""

    key: str
    kind: str
    status: str
    score: float | None
    error: str | None
    collapsed: bool = False
    is_too_fast: bool = False

    @staticmethod
    def of(record: Record) -> "Recorded":
        trained = record.trial if record.kind == "trial" else record.final if record.kind != "pretrain" else None
        scored = record.pretraining if record.kind == "pretrain" else trained
        collapsed = trained is not None and bool(trained.collapsed)
        score = scored.score if scored is not None else None
        return Recorded(record.key, record.kind, record.status, score, record.error, collapsed,
                        record.is_too_fast)

    @property
    def outcome(self) -> str:
        """`ok 0.500`, `ok 0.100, collapsed`"""
        score = f" {self.score:.3f}" if self.score is not None else ""
        return f"{self.status}{score}{', collapsed' if self.collapsed else ''}"


@dataclass(frozen=True)
class Done:
    """The jobs have all their records, or the worker was told to stop before."""

    complete: bool
    held: tuple[str, ...] = ()  # keys of jobs that another runner holds; nothing was done about these


@dataclass(frozen=True)
class Stuck:
    """An error outside any training: the jobs cannot go on, the worker can."""

    error: str


@dataclass(frozen=True)
class Lost:
    """The worker can do nothing more on its device."""

    error: str


@dataclass(frozen=True)
class Broken:
    """The worker cannot go on: records cannot be written."""

    error: str


@dataclass(frozen=True)
class Notice:
    """Something that a person should know; no fault."""

    text: str


@dataclass(frozen=True)
class Wanted:
    """Tables of features that another machine may have. The worker waits for HERE, whether they have come or not."""

    keys: tuple[str, ...]


HERE = "here"
Message = Notice | Starting | Paused | Recorded | Done | Stuck | Lost | Broken | Wanted
