"""Walks a plan: skips what the store holds, hands ready jobs to workers, survives their deaths, stops when asked.

The truth is on disk. The runner may be killed at any moment, and any number of runners may share a results folder.
`bundles.py` says what comes next, `ledger.py` what was done.
"""

import contextlib
import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic

from bench.errors import StoreError
from bench.execute.bundles import Backlog, bundles
from bench.execute.display import Display
from bench.execute.executor import GRACE, Announced, Died, Executor, NoWorkers, W, tail
from bench.execute.ingest import images_at_hand, ingest, whole
from bench.execute.ledger import Ledger, Summary
from bench.execute.messages import Broken, Bundle, Done, Lost, Notice, Paused, Recorded, Setup, Starting, Stuck
from bench.execute.patience import Patience
from bench.execute.placement import Placement
from bench.execute.roots import Roots, forget_lost_weights, missing_records, pretrained_ok
from bench.execute.signals import Interrupted, StopSignals
from bench.memory import collection
from bench.planning.exams import examine, refuse_overlaps, sentences
from bench.planning.lists import refuse_lists_of_other_data
from bench.planning.patterns import frozen_patterns
from bench.planning.plan import Plan
from bench.planning.titles import titles_of
from bench.spec.job import Job
from bench.spec.refs import Engine
from bench.store import Record
from bench.store.record import Status

BUSY_WAIT = 0.5  # seconds between looks at a job that another runner holds, and at the count of signals
VAIN_STARTS = 3  # so many processes in a row that end before any training: there is no point in a fourth
LOSSES = 3  # so many machines that go away during one job: it is to blame
APART = 60.0  # seconds; of those that go away in less, as when a cluster is shut down, one is counted


def run_plan(
    plan: Plan, roots: Roots, work: Callable[[Job], float], placement: Placement, provenance: dict[str, Any]
) -> Summary:
    """`work`: of one training of a job. Raises SystemExit where a second signal asks to stop at once."""
    if forget_lost_weights(plan, roots):
        roots = replace(roots, seen=None)
    looked, roots = replace(roots, seen=roots.look()), replace(roots, seen=None)
    missing = missing_records(plan, looked)
    pending = [plan.jobs[key] for key in missing]
    overlaps = _examined(plan, roots, pending)
    if not pending:
        return Summary(seen=looked.seen)
    is_gpu = placement.devices[0].startswith("cuda")  # a placement never mixes devices
    fleet = plan.loaded.suite.engine.fleet
    backlog = Backlog(pending, [(job,) for job in pending] if fleet == 1 else bundles(pending, is_gpu))
    total = sum(work(job) * missing[job.key] for job in pending)
    with StopSignals() as stop, collection(True):
        display = Display(total, len(pending), len(placement.devices))
        for line in overlaps:
            display.say(line)
        ledger = Ledger(roots, titles_of(plan), work, missing, display)
        patience = Patience(work, placement.timeout)
        runner = Runner(placement.executor, backlog, ledger, stop, patience, placement.deadline)
        orderly = False
        try:
            runner.start(_setups(plan, roots, placement, provenance))
            runner.walk()
            orderly = stop.count < 2
        finally:
            stop.raises = False
            runner.pool.close(now=not orderly)
            display.close()
    if stop.signal is not None and not orderly:
        raise SystemExit(128 + stop.signal)
    return ledger.summary


def _examined(plan: Plan, roots: Roots, pending: list[Job]) -> list[str]:
    """Images are decoded; what pretrainings have in common with targets is refused, or told."""
    learned = [job for job in plan.jobs.values() if job.kind == "pretrain"] if pending else []
    ingest([*pending, *learned], plan.sources, roots.cache)
    if pending:
        refuse_lists_of_other_data(plan, whole(plan.sources, roots.cache))
    found = examine(plan, images_at_hand(plan.sources, roots.cache, draws=bool(pending)))
    refuse_overlaps(plan.loaded, found)
    return sentences(found)


def _setups(plan: Plan, roots: Roots, placement: Placement, provenance: dict[str, Any]) -> list[Setup]:
    engine, patterns = plan.loaded.suite.engine, frozen_patterns(plan.jobs.values())
    kept = plan.loaded.suite.records
    return [
        Setup(
            results=roots.results, suite=roots.suite, device=device, threads=placement.threads,
            engine=Engine(engine.partition, engine.fleet), keeps=kept.predictions, distances=kept.distances,
            forecasts=kept.forecasts, similarity=kept.similarity, samples=kept.samples, mistaken=plan.mistaken,
            patterns=patterns, weights_files=plan.weights_files, arithmetic=plan.arithmetic,
            sources={key: source.options for key, source in plan.sources.items()},
            lists=plan.lists, provenance=provenance, sharing=placement.sharing,
            is_deterministic=engine.deterministic,
            log=roots.store.root / "logs" / f"worker-{number}.log",
        )  # fmt: skip
        for number, device in enumerate(placement.devices)
    ]


@dataclass
class Runner(Generic[W]):
    """One walk: who is handed what next, who died, when to stop."""

    pool: Executor[W]
    backlog: Backlog
    ledger: Ledger
    stop: StopSignals
    patience: Patience
    deadline: float = math.inf  # of time.monotonic
    struck: set[str] = field(default_factory=set)  # records of trainings in which a device failed once
    losses: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # job -> when it lost one

    def start(self, setups: list[Setup]) -> None:
        """There is nothing to finish while workers start, so one signal is enough to stop that."""
        with contextlib.suppress(Interrupted):
            self.stop.raises = not self.stop.count
            if self.stop.raises:
                self.pool.start(setups)
            self.stop.raises = False

    def walk(self) -> None:
        summary, display = self.ledger.summary, self.ledger.display
        while self.stop.count < 2:
            if self.stop.count and summary.stopped_by is None:
                summary.stopped_by = self.stop.signal
                self.pool.ask_to_stop()
                if self.pool.busy():
                    display.say("stopping: trainings at hand are finished and written; once more stops at once")
            if time.monotonic() >= self.deadline and not summary.is_out_of_time:
                summary.is_out_of_time = True
                self.pool.ask_to_stop()
            stopping = summary.stopped_by is not None or summary.is_out_of_time
            if not stopping:
                self._hand_out()
            if not self.pool.busy() and (stopping or not self.backlog.waiting):
                summary.blocked = 0 if stopping else len(self.backlog.left)
                return
            given = [worker.bundle.jobs for worker in self.pool.workers if worker.bundle is not None]
            display.running([self.ledger.titles[job.key] for jobs in given for job in jobs])
            for worker, message in self.pool.messages(timeout=BUSY_WAIT):
                self._hear(worker, message)
            self._end_overdue()

    def _hand_out(self) -> None:
        for worker in self.pool.idle():
            if (bundle := self.backlog.take(time.monotonic())) is not None:
                again = any(key in self.struck for job in bundle.jobs for key in job.record_keys)
                self.pool.give(self.pool.renew(worker) if again else worker, bundle)

    def _hear(self, worker: W, message: object) -> None:
        bundle = worker.bundle
        match message:
            case Notice(text):
                self.ledger.say_once(text, text)
            case Starting(records, together):
                worker.announced, worker.vain = Announced(records, together), 0
            case Paused(is_over):
                worker.announced = worker.announced.paused(not is_over)
            case Recorded() if bundle is not None:
                job = bundle.job_of(message.key)
                self._count(worker, job, message)
                announced = worker.announced
                if announced.under_way and message.status == "ok":
                    self.patience.note(job, announced.under_way, time.monotonic() - announced.since)
                worker.announced = announced.without(message.key)
            case Done(complete, held) if bundle is not None:
                worker.bundle, worker.announced = None, Announced()
                for job in bundle.jobs:
                    if job.key in held and not self.ledger.roots.is_done(job):
                        self._put_off(job)
                    elif complete or job.key in held:
                        self._complete(job, worker.seconds)
                    else:
                        self.backlog.put(job)
            case Stuck(error) if bundle is not None:
                self._unstick(worker, bundle, error)
            case Lost(error):
                worker.fault = error
                self.pool.kill(worker)  # it may hang in its last steps
            case Broken(error):
                raise StoreError(error)
            case Died(_, lost) if lost:
                self._lose(worker, lost)
            case Died():
                self._bury(worker, str(message))

    def _put_off(self, job: Job) -> None:
        """Another runner holds the job. Should it die, the job is ours at the next look."""
        if not self.backlog.waiting:
            self.ledger.display.say(f"waiting for another runner: {self.ledger.titles[job.key]}")
        self.backlog.put_off(job, time.monotonic() + BUSY_WAIT)

    def _count(self, worker: W, job: Job, message: Recorded) -> None:
        now = time.monotonic()
        self.ledger.count(job, message, now - worker.counted_at)
        worker.counted_at = now

    def _complete(self, job: Job, seconds: float) -> None:
        self.backlog.remove(job, is_usable=job.kind != "pretrain" or pretrained_ok(self.ledger.roots, job))
        self.ledger.finish(job, seconds)

    def _lose(self, worker: W, reason: str) -> None:
        """Its machine went away, which is no training's fault: what was under way is handed out again. A job that this
        happens to again and again takes its machines along, and is treated as a crash."""
        bundle = worker.bundle
        if bundle is not None:
            now = time.monotonic()
            for losses in (self.losses[job.key] for job in bundle.jobs):
                if not losses or now - losses[-1] >= APART:
                    losses.append(now)
            if any(len(self.losses[job.key]) >= LOSSES for job in bundle.jobs):
                self._bury(worker, f"{reason}, as {LOSSES - 1} others before in the same job")
                return
            self._take_back(worker, bundle, [])
            self.ledger.say(bundle.jobs[0], f"{reason}; handed out again")
        worker.vain += not worker.announced.company
        self._refill(worker, reason)

    def _bury(self, worker: W, reason: str) -> None:
        """A worker died. What it was at becomes a record, and the rest of its jobs goes to the next worker."""
        bundle, records, company = worker.bundle, worker.announced.records, worker.announced.company
        reason = worker.fault or worker.overdue or reason
        if bundle is None or not (records or company > 1):
            worker.vain += 1
        elif company > 1:
            self.backlog.separate(bundle.jobs)
            self.ledger.say(bundle.jobs[0], f"{reason} in {company} trainings; tried one by one")
            records = ()
        elif worker.fault and records[0].key not in self.struck:
            self._strike(bundle.job_of(records[0].key), records[0].key, reason)
            records = ()
        if bundle is not None:
            status: Status = "failed" if worker.fault else "timeout" if worker.overdue else "crashed"
            self._take_back(worker, bundle, [replace(one, status=status, error=reason) for one in records])
        self._refill(worker, reason)

    def _refill(self, worker: W, reason: str) -> None:
        """A fresh worker in the place of a dead one, where that makes sense and is possible."""
        if self.ledger.summary.stopped_by is None and worker.vain < VAIN_STARTS:
            self.pool.replace(worker)
        else:
            self._give_up(worker, reason)

    def _strike(self, job: Job, record_key: str, reason: str) -> None:
        """A device failed, perhaps by this training. It is tried once more, by itself, in a fresh process, which has
        shown that its device works before it takes a job."""
        self.struck.add(record_key)
        self.backlog.separate([job])
        self.ledger.say(job, f"{reason}; tried once more in a fresh process")

    def _give_up(self, worker: W, reason: str) -> None:
        log = worker.setup.log
        self.pool.remove(worker)
        if self.ledger.summary.stopped_by is not None:
            return
        if not self.pool.workers:
            raise NoWorkers(f"no worker lives long enough to train: {reason}; the end of {log}:\n{tail(log)}")
        self.ledger.display.say(f"going on without a worker on {worker.setup.device}: {reason}; its log: {log}")

    def _unstick(self, worker: W, bundle: Bundle, error: str) -> None:
        """An error where none is expected. Trainings that had begun are recorded, else the jobs are left alone."""
        if worker.announced.records:
            failed = [replace(one, status="failed", error=error) for one in worker.announced.records]
            self._take_back(worker, bundle, failed)
        else:
            self._leave_out(worker, bundle, error)
        worker.bundle, worker.announced = None, Announced()

    def _leave_out(self, worker: W, bundle: Bundle, error: str) -> None:
        self.ledger.summary.failed += 1
        self.ledger.say(bundle.jobs[0], f"{error}; left out; its log: {worker.setup.log}")
        for job in bundle.jobs:
            self.backlog.remove(job, is_usable=False)
            self.ledger.leave(job)

    def _take_back(self, worker: W, bundle: Bundle, records: list[Record]) -> None:
        """The bundle ended early. The records are written unless the worker did so and had no time to say so."""
        self._write(worker, bundle, records)
        for job in bundle.jobs:
            if records and self.ledger.roots.is_done(job):
                self._complete(job, worker.seconds)
            else:
                self.backlog.put(job)

    def _write(self, worker: W, bundle: Bundle, records: list[Record]) -> None:
        for record in records:
            job = bundle.job_of(record.key)
            store = self.ledger.roots.store_of(job)
            written = store.read(record.key)
            if written is None:
                store.write(record)
                self.ledger.say(job, f"{record.error}; its log: {worker.setup.log}")
            self._count(worker, job, Recorded.of(written or record))

    def _end_overdue(self) -> None:
        now = time.monotonic()
        for worker in self.pool.busy():
            if worker.killed_at is not None:
                if now - worker.killed_at > GRACE:
                    self._forsake(worker)
                continue
            assert worker.bundle is not None, "it is busy"
            worker.overdue = self.patience.exceeded(worker.bundle.jobs[0], worker.announced, now)
            if worker.overdue:
                self.pool.kill(worker)

    def _forsake(self, worker: W) -> None:
        """The kernel does not let go of a process that waits for its driver. It keeps its jobs' locks, so nobody else
        can do these now."""
        assert worker.bundle is not None, "it is busy"
        reason = f"{worker.name} hangs in the kernel and cannot be killed"
        if worker.overdue and worker.announced.company == 1:
            dead = [replace(one, status="timeout", error=worker.overdue) for one in worker.announced.records]
            self._write(worker, worker.bundle, dead)
        self._leave_out(worker, worker.bundle, reason)
        self._give_up(worker, reason)
