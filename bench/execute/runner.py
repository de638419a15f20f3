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
from bench.execute.ingest import images_at_hand, ingest
from bench.execute.messages import Broken, Bundle, Finished, Notice, Recorded, Setup, Starting, Stuck
from bench.execute.placement import Placement
from bench.execute.pool import Died, NoWorkers, Pool, Worker, tail
from bench.execute.roots import Roots, forget_lost_weights, missing_records, pretrained_ok
from bench.execute.signals import Interrupted, StopSignals
from bench.plan.bundles import bundles
from bench.plan.exams import examine, refuse_overlaps, sentences
from bench.plan.patterns import frozen_patterns
from bench.plan.plan import Plan
from bench.spec.job import Job
from bench.spec.refs import Engine
from bench.store import Record
from bench.store.record import went_wrong

BUSY_WAIT = 0.5  # seconds between looks at a job that another runner holds, and at the count of signals
VAIN_STARTS = 3  # so many processes in a row that end before any training: there is no point in a fourth


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
    alone: set[str] = field(default_factory=set)  # jobs in which a death could not be told from another's


class Runner:
    """`run` is the whole of it; the other methods are its steps."""

    def __init__(self, plan: Plan, roots: Roots, titles: dict[str, str], work: Callable[[Job], float]) -> None:
        self.plan, self.roots, self.titles, self.work = plan, roots, titles, work

    def run(self, placement: Placement, provenance: dict[str, Any]) -> Summary:
        """Raises SystemExit where a second signal asks to stop at once."""
        forget_lost_weights(self.plan, self.roots)
        missing = missing_records(self.plan, self.roots)
        pending = {key: self.plan.jobs[key] for key in missing}
        overlaps = self._examined(pending)
        if not missing:
            return Summary()
        total = sum(self.work(job) * missing[key] for key, job in pending.items())
        with StopSignals() as stop:
            display = Display(total, len(pending), len(placement.devices))
            for line in overlaps:
                display.say(line)
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

    def _examined(self, pending: dict[str, Job]) -> list[str]:
        """Images are decoded; what pretrainings have in common with targets is refused, or told."""
        sources, cache = self.plan.sources, self.roots.cache
        learned = [job for job in self.plan.jobs.values() if job.kind == "pretrain"] if pending else []
        ingest([*pending.values(), *learned], sources, cache)
        found = examine(self.plan, images_at_hand(sources, cache, draws=bool(pending)))
        refuse_overlaps(self.plan.loaded, found)
        return sentences(found)

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
        engine = self.plan.loaded.suite.engine
        return [
            Setup(
                results=self.roots.results, suite=self.roots.suite,
                device=device,
                threads=placement.threads,
                engine=Engine(engine.partition, engine.fleet),
                patterns=frozen_patterns(self.plan.jobs.values()),
                weights_files=self.plan.weights_files,
                sources={key: source.options for key, source in self.plan.sources.items()},
                arithmetic=self.plan.arithmetic,
                provenance=provenance,
                log=self.roots.store.root / "logs" / f"worker-{number}.log",
            )  # fmt: skip
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
            run.display.running([self.titles[job.key] for job in _under_way(run)])
            for worker, message in run.pool.messages(timeout=BUSY_WAIT):
                self._take(run, worker, message)
            self._end_overdue(run)

    def _hand_out(self, run: _Run) -> None:
        now = time.monotonic()
        for worker in run.pool.idle():
            held = {job.key for job in _under_way(run)}
            ready = [
                job
                for key, job in run.pending.items()
                if key not in held and run.waiting.get(key, 0.0) <= now and all(n in run.done for n in job.needs)
            ]
            if not ready:
                return
            first = min(ready, key=_rank)
            together = next(jobs for jobs in self._bundles(run, ready, worker) if first in jobs)
            run.pool.give(worker, Bundle(together, alone=first.key in run.alone))

    def _bundles(self, run: _Run, ready: list[Job], worker: Worker) -> list[tuple[Job, ...]]:
        if self.plan.loaded.suite.engine.fleet == 1:
            return [(job,) for job in ready]
        single = [job for job in ready if job.key in run.alone]
        others = [job for job in ready if job.key not in run.alone]
        return [*((job,) for job in single), *bundles(others, worker.setup.device.startswith("cuda"))]

    def _take(self, run: _Run, worker: Worker, message: object) -> None:
        bundle = worker.bundle
        match message:
            case Notice(text):
                if text not in run.told:
                    run.told.add(text)
                    run.display.say(text)
            case Starting(records, together):
                worker.begun, worker.together, worker.begun_at, worker.vain = records, together, time.monotonic(), 0
            case Recorded() if bundle is not None:
                worker.begun = tuple(record for record in worker.begun if record.key != message.key)
                self._count(run, worker, message)
            case Finished(complete, held) if bundle is not None:
                worker.bundle, worker.begun, worker.together = None, (), 0
                for job in bundle.jobs:
                    if job.key in held:
                        self._wait_for(run, job, worker.seconds)
                    elif complete:
                        self._complete(run, job, worker.seconds)
            case Stuck(error) if bundle is not None:
                self._unstick(run, worker, bundle, error)
            case Broken(error):
                raise StoreError(error)
            case Died():
                self._bury(run, worker, str(message))

    def _count(self, run: _Run, worker: Worker, message: Recorded) -> None:
        assert worker.bundle is not None
        job = worker.bundle.job_of(message.key)
        run.summary.trainings += 1
        if went_wrong(message):
            run.summary.failed += 1
        if message.error and message.status in ("failed", "oom") and message.error not in run.told:
            run.told.add(message.error)
            run.display.say(f"{self.titles[job.key]}: {message.status}: {message.error.splitlines()[0]}")
        run.last[job.key] = message.outcome
        run.missing[job.key] -= 1
        now = time.monotonic()
        run.display.advance(self.work(job), now - worker.told_at)
        worker.told_at = now

    def _complete(self, run: _Run, job: Job, seconds: float) -> None:
        self._leave(run, job)
        if job.kind != "pretrain" or pretrained_ok(self.roots, job):
            run.done.add(job.key)
        outcome = run.last.pop(job.key, "done by another runner")
        run.display.finished(self.titles[job.key], self._best(job) or outcome, seconds)

    def _best(self, job: Job) -> str:
        """Of a search's trials, those of an earlier run too; "" where none has a score, and for other jobs."""
        if job.kind != "search":
            return ""
        trials = [self.roots.store.read(key) for key in job.record_keys]
        scores = [one.trial.score for one in trials if one is not None and one.trial is not None]
        return f"best {max(scores):.3f}" if scores else ""

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
        """A worker died. What it was at becomes a record, and the rest of its jobs goes to the next worker."""
        bundle, begun = worker.bundle, worker.begun
        if bundle is None or (worker.together < 2 and not begun):
            worker.vain += 1
        elif worker.together > 1:
            run.alone.update(job.key for job in bundle.jobs)
            title = self.titles[bundle.jobs[0].key]
            run.display.say(f"{title}: {reason} in {worker.together} trainings; tried one by one")
        else:
            dead = begun[0] if begun[0].status == "timeout" else dataclasses.replace(begun[0], error=reason)
            self._record(run, worker, dead)
            self._complete_done(run, bundle, worker.seconds)
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

    def _unstick(self, run: _Run, worker: Worker, bundle: Bundle, error: str) -> None:
        """An error where none is expected. Trainings that had begun are recorded, else the jobs are left alone."""
        for record in worker.begun:
            self._record(run, worker, dataclasses.replace(record, status="failed", error=error))
        if worker.begun:
            self._complete_done(run, bundle, worker.seconds)
        else:
            run.summary.failed += 1
            run.display.say(f"{self.titles[bundle.jobs[0].key]}: {error}; left out; its log: {worker.setup.log}")
            for job in bundle.jobs:
                self._leave(run, job)
        worker.bundle, worker.begun, worker.together = None, (), 0

    def _complete_done(self, run: _Run, bundle: Bundle, seconds: float) -> None:
        for job in bundle.jobs:
            if job.key in run.pending and self._is_done(job):
                self._complete(run, job, seconds)

    def _record(self, run: _Run, worker: Worker, record: Record) -> None:
        """For a worker that could not do it, unless it did and had no time to say so."""
        assert worker.bundle is not None
        job = worker.bundle.job_of(record.key)
        store = self.roots.store_of(job)
        written = store.read(record.key)
        if written is None:
            store.write(record)
            run.display.say(f"{self.titles[job.key]}: {record.error}; its log: {worker.setup.log}")
        self._count(run, worker, Recorded.of(written or record))

    def _end_overdue(self, run: _Run) -> None:
        limit = run.placement.timeout
        for worker in run.pool.busy():
            begun = worker.begun
            if limit is not None and worker.together and time.monotonic() - worker.begun_at > limit * worker.together:
                error = f"took longer than --timeout {limit:g} s"
                worker.begun = tuple(dataclasses.replace(one, status="timeout", error=error) for one in begun)
                run.pool.kill(worker)

    def _is_done(self, job: Job) -> bool:
        store = self.roots.store_of(job)
        return all(store.read(key) is not None for key in job.record_keys)


def _under_way(run: _Run) -> list[Job]:
    return [job for worker in run.pool.busy() if worker.bundle is not None for job in worker.bundle.jobs]


def _rank(job: Job) -> int:
    """Pretrainings first, since most of a plan waits for them; finals before further searches."""
    return ("pretrain", "final", "search", "unchosen").index(job.kind)
