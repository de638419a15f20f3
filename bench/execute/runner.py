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
from bench.execute.messages import Broken, Busy, Finished, Recorded, Setup, Starting, Stuck
from bench.execute.pool import Died, NoWorkers, Pool, Worker, tail
from bench.execute.roots import Roots, forget_lost_weights, missing_records, pretrained_ok
from bench.execute.signals import Interrupted, StopSignals
from bench.plan.plan import Plan
from bench.plan.spec import Job
from bench.store import Record

BUSY_WAIT = 0.5  # seconds between looks at a job that another runner holds, and at the count of signals
VAIN_STARTS = 3  # so many processes in a row that end before any training: there is no point in a fourth
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
    missing: dict[str, int]  # job -> records that it lacks
    done: set[str]
    pool: Pool
    display: Display
    placement: Placement
    summary: Summary = field(default_factory=Summary)
    waiting: dict[str, float] = field(default_factory=dict)  # job held by another runner -> when to look again
    told: set[str] = field(default_factory=set)  # what has gone wrong, each reason said once
    last: dict[str, str] = field(default_factory=dict)  # job -> its latest outcome in words


class Runner:
    """`run` is the whole of it; the other methods are its steps."""

    def __init__(self, plan: Plan, roots: Roots, titles: dict[str, str], work: Callable[[Job], float]) -> None:
        self.plan, self.roots, self.titles, self.work = plan, roots, titles, work

    def run(self, placement: Placement, provenance: dict[str, Any]) -> Summary:
        """Raises SystemExit where a second signal asks to stop at once."""
        forget_lost_weights(self.plan, self.roots)
        missing = missing_records(self.plan, self.roots)
        if not missing:
            return Summary()
        pending = {key: self.plan.jobs[key] for key in missing}
        total = sum(self.work(job) * missing[key] for key, job in pending.items())
        with StopSignals() as stop:
            display = Display(total, len(pending), len(placement.devices))
            run = _Run(pending, missing, set(self.plan.jobs) - set(pending), Pool(), display, placement)
            orderly = False
            try:
                self._start(run, stop, provenance)
                self._loop(run, stop)
                orderly = stop.count < 2
            finally:
                stop.raises = False
                run.pool.close(now=not orderly)
                run.display.close()
        if stop.signal is not None and not orderly:
            raise SystemExit(128 + stop.signal)
        return run.summary

    def _start(self, run: _Run, stop: StopSignals, provenance: dict[str, Any]) -> None:
        """There is nothing to finish while workers start, so one signal is enough to stop that."""
        try:
            stop.raises = not stop.count
            if stop.raises:
                run.pool.start(self._setups(run.placement, provenance))
            stop.raises = False
        except Interrupted:
            return

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
                if run.pool.busy():
                    run.display.say("stopping: trainings at hand are finished and written; once more stops at once")
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
                worker.begun, worker.begun_at, worker.vain = record, time.monotonic(), 0
            case Recorded() if job is not None:
                worker.begun = None
                self._count(run, worker, message)
            case Finished(complete) if job is not None:
                worker.job = None
                if complete:
                    self._complete(run, job, worker.seconds)
            case Busy() if job is not None:
                worker.job = None
                self._wait_for(run, job, worker.seconds)
            case Stuck(error) if job is not None:
                self._unstick(run, worker, error)
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
        if message.error and message.status in ("failed", "oom") and message.error not in run.told:
            run.told.add(message.error)
            run.display.say(f"{self.titles[job.key]}: {message.status}: {message.error.splitlines()[0]}")
        score = f" {message.score:.3f}" if message.score is not None else ""
        run.last[job.key] = f"{message.status}{score}"
        run.missing[job.key] -= 1
        run.display.advance(self.work(job), time.monotonic() - worker.begun_at)

    def _complete(self, run: _Run, job: Job, seconds: float) -> None:
        self._leave(run, job)
        if job.kind != "pretrain" or pretrained_ok(self.roots, job):
            run.done.add(job.key)
        outcome = run.last.pop(job.key, "done by another runner")
        run.display.finished(self.titles[job.key], outcome, seconds)

    def _leave(self, run: _Run, job: Job) -> None:
        """This run has nothing more to do with it, whoever made its records."""
        run.waiting.pop(job.key, None)
        del run.pending[job.key]
        run.display.drop(self.work(job) * max(0, run.missing[job.key]))

    def _wait_for(self, run: _Run, job: Job, seconds: float) -> None:
        """Another runner holds the job. Should it die, the job is ours at the next look."""
        if self._is_done(job):
            self._complete(run, job, seconds)
            return
        if not run.waiting:
            run.display.say(f"waiting for another runner: {self.titles[job.key]}")
        run.waiting[job.key] = time.monotonic() + BUSY_WAIT

    def _bury(self, run: _Run, worker: Worker, reason: str) -> None:
        """A worker died. What it was at becomes a record, and the rest of its job goes to the next worker."""
        job, begun = worker.job, worker.begun
        if job is not None and begun is not None:
            dead = begun if begun.status == "timeout" else dataclasses.replace(begun, error=reason)
            self._record(run, worker, dead)
            if self._is_done(job):
                self._complete(run, job, worker.seconds)
        else:
            worker.vain += 1
        if run.summary.stopped_by is not None:
            run.pool.remove(worker)
        elif worker.vain < VAIN_STARTS:
            run.pool.replace(worker)
        else:
            self._give_up(run, worker, reason)

    def _give_up(self, run: _Run, worker: Worker, reason: str) -> None:
        log = worker.setup.log
        run.pool.remove(worker)
        if not run.pool.workers:
            raise NoWorkers(f"no worker lives long enough to train: {reason}; the end of {log}:\n{tail(log)}")
        run.display.say(f"going on without a worker on {worker.setup.device}: {reason}; its log: {log}")

    def _unstick(self, run: _Run, worker: Worker, error: str) -> None:
        """An error where none is expected. A training that had begun is recorded, else the job is left alone."""
        job, begun = worker.job, worker.begun
        assert job is not None
        if begun is not None:
            self._record(run, worker, dataclasses.replace(begun, status="failed", error=error))
            if self._is_done(job):
                self._complete(run, job, worker.seconds)
        else:
            run.summary.failed += 1
            run.display.say(f"{self.titles[job.key]}: {error}; left out; its log: {worker.setup.log}")
            self._leave(run, job)
        worker.job = worker.begun = None

    def _record(self, run: _Run, worker: Worker, record: Record) -> None:
        """For a worker that could not do it, unless it did and had no time to say so."""
        job = worker.job
        assert job is not None
        store = self.roots.store_of(job)
        written = store.read(record.key)
        if written is None:
            store.write(record)
            run.display.say(f"{self.titles[job.key]}: {record.error}; its log: {worker.setup.log}")
        self._count(run, worker, Recorded.of(written or record))

    def _end_overdue(self, run: _Run) -> None:
        limit = run.placement.timeout
        for worker in run.pool.busy():
            record = worker.begun
            if limit is not None and record is not None and time.monotonic() - worker.begun_at > limit:
                error = f"took longer than --timeout {limit:g} s"
                worker.begun = dataclasses.replace(record, status="timeout", error=error)
                run.pool.kill(worker)

    def _is_done(self, job: Job) -> bool:
        store = self.roots.store_of(job)
        return all(store.read(key) is not None for key in job.record_keys)


def _rank(job: Job) -> int:
    """Pretrainings first, since most of a plan waits for them; finals before further searches."""
    return ("pretrain", "final", "search").index(job.kind)
