"""Walks a plan: skips what the store holds, hands ready jobs to workers, survives their deaths, stops when asked.

The truth is on disk. The runner may be killed at any moment, and any number of runners may share a results folder.
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.errors import StoreError
from bench.execute.display import Display
from bench.execute.messages import Broken, Busy, Finished, Recorded, Setup, Starting
from bench.execute.pool import Died, Pool, Worker
from bench.execute.roots import Roots, finished_jobs, pretrained_ok
from bench.execute.signals import StopSignals
from bench.plan.plan import Plan
from bench.plan.spec import Job
from bench.store import Record

BUSY_WAIT = 0.5  # seconds between looks at a job that another runner holds
GONE_WRONG = ("failed", "oom", "crashed", "timeout")


@dataclass(frozen=True)
class Placement:
    """One worker per device; on a CPU one per core, each on one thread, so that numbers do not depend on cores."""

    devices: tuple[str, ...]
    threads: int = 1
    timeout: float | None = None  # seconds for one training


@dataclass
class Summary:
    trainings: int = 0  # done in this run
    failed: int = 0
    blocked: int = 0  # jobs whose pretraining failed
    stopped_by: int | None = None  # signal number


@dataclass
class _Run:
    """One run as it goes on."""

    pending: dict[str, Job]
    done: set[str]
    pool: Pool
    display: Display
    placement: Placement
    summary: Summary = field(default_factory=Summary)
    begun: dict[int, Record] = field(default_factory=dict)  # worker's pid -> what a crash would leave
    waiting: dict[str, float] = field(default_factory=dict)  # job held by another runner -> when to look again
    last: dict[str, str] = field(default_factory=dict)  # job -> its latest outcome in words


class Runner:
    """`run` is the whole of it; the other methods are its steps."""

    def __init__(self, plan: Plan, roots: Roots, titles: dict[str, str], work: Callable[[Job], float]) -> None:
        self.plan, self.roots, self.titles, self.work = plan, roots, titles, work

    def run(self, placement: Placement, provenance: dict[str, Any]) -> Summary:
        done = finished_jobs(self.plan, self.roots)
        pending = {key: job for key, job in self.plan.jobs.items() if key not in done}
        if not pending:
            return Summary()
        total = sum(self.work(job) * len(job.record_keys) for job in pending.values())
        display = Display(total, len(pending), len(placement.devices))
        with StopSignals(display.say) as stop:
            pool = Pool(self._setups(placement, provenance))
            run = _Run(pending, done, pool, display, placement)
            orderly = False
            try:
                self._loop(run, stop)
                orderly = stop.count < 2
            finally:
                pool.close(now=not orderly)
                display.close()
        return run.summary

    def _setups(self, placement: Placement, provenance: dict[str, Any]) -> list[Setup]:
        return [
            Setup(
                results=self.roots.results,
                suite=self.roots.suite,
                device=device,
                threads=placement.threads,
                weights_files=self.plan.weights_files,
                provenance=provenance,
                log=self.roots.store.root / "logs" / f"worker-{number}.log",
            )
            for number, device in enumerate(placement.devices)
        ]

    def _loop(self, run: _Run, stop: StopSignals) -> None:
        while stop.count < 2:
            if stop.count and run.summary.stopped_by is None:
                run.summary.stopped_by = stop.signal
                run.pool.ask_to_stop()
            stopping = run.summary.stopped_by is not None
            if not stopping:
                self._hand_out(run)
            if not run.pool.busy() and (stopping or not run.waiting):
                run.summary.blocked = 0 if stopping else len(run.pending)
                return
            run.display.running([self.titles[w.job.key] for w in run.pool.busy() if w.job is not None])
            for worker, message in run.pool.messages(timeout=BUSY_WAIT):
                self._take(run, worker, message)
            self._end_overdue(run)

    def _hand_out(self, run: _Run) -> None:
        now = time.monotonic()
        held = {w.job.key for w in run.pool.busy() if w.job is not None}
        for worker in run.pool.idle():
            ready = [
                job
                for key, job in run.pending.items()
                if key not in held and run.waiting.get(key, 0.0) <= now and all(n in run.done for n in job.needs)
            ]
            if not ready:
                return
            job = min(ready, key=_rank)
            held.add(job.key)
            run.pool.give(worker, job)

    def _take(self, run: _Run, worker: Worker, message: object) -> None:
        job = worker.job
        match message:
            case Starting(record):
                run.begun[worker.pid] = record
                worker.training_since = time.monotonic()
            case Recorded() if job is not None:
                run.begun.pop(worker.pid, None)
                self._count(run, worker, message)
            case Finished(complete) if job is not None:
                worker.job = None
                if complete:
                    self._complete(run, job, worker.seconds)
            case Busy() if job is not None:
                worker.job = None
                run.waiting[job.key] = time.monotonic() + BUSY_WAIT
                if self._is_done(job):
                    self._complete(run, job, worker.seconds)
            case Broken(error):
                raise StoreError(error)
            case Died():
                self._bury(run, worker, str(message))

    def _count(self, run: _Run, worker: Worker, message: Recorded) -> None:
        job = worker.job
        assert job is not None
        run.summary.trainings += 1
        if message.status in GONE_WRONG or (message.status != "ok" and message.kind != "trial"):
            run.summary.failed += 1
        score = f" {message.score:.3f}" if message.score is not None else ""
        run.last[job.key] = f"{message.status}{score}"
        run.display.advance(self.work(job), time.monotonic() - worker.training_since)

    def _complete(self, run: _Run, job: Job, seconds: float) -> None:
        run.waiting.pop(job.key, None)
        del run.pending[job.key]
        if job.kind != "pretrain" or pretrained_ok(self.roots, job):
            run.done.add(job.key)
        outcome = run.last.pop(job.key, "done by another runner")
        run.display.finished(self.titles[job.key], outcome, seconds)

    def _bury(self, run: _Run, worker: Worker, reason: str) -> None:
        """A worker died. What it was at becomes a record, and the rest of its job goes to the next worker."""
        record = run.begun.pop(worker.pid, None)
        if worker.job is not None:
            if record is None:
                raise StoreError(f"{reason} before its first training; its log: {worker.setup.log}")
            if record.status != "timeout":
                record = dataclasses.replace(record, error=reason)
            (self.roots.shared if record.kind == "pretrain" else self.roots.store).write(record)
            run.display.say(f"{self.titles[worker.job.key]}: {record.error}; its log: {worker.setup.log}")
            self._count(run, worker, Recorded(record.key, record.kind, record.status, None, record.error))
            if self._is_done(worker.job):
                self._complete(run, worker.job, worker.seconds)
        run.pool.replace(worker)

    def _end_overdue(self, run: _Run) -> None:
        limit = run.placement.timeout
        for worker in run.pool.busy():
            record = run.begun.get(worker.pid)
            if limit is not None and record is not None and time.monotonic() - worker.training_since > limit:
                error = f"took longer than --timeout {limit:g} s"
                run.begun[worker.pid] = dataclasses.replace(record, status="timeout", error=error)
                run.pool.kill(worker)

    def _is_done(self, job: Job) -> bool:
        store = self.roots.shared if job.kind == "pretrain" else self.roots.store
        return all(store.read(key) is not None for key in job.record_keys)


def _rank(job: Job) -> int:
    """Pretrainings first, since most of a plan waits for them; finals before further searches."""
    return ("pretrain", "final", "search").index(job.kind)
