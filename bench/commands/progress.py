"""How far a plan is and what is left of it, for `plan`, `status` and `list runs`. Reads only.

`execute/roots.py` answers the same question for a run, which also clears away what it finds damaged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from bench.execute.ahead import network_of
from bench.execute.display import duration
from bench.execute.gpus import count_gpus
from bench.execute.roots import Roots
from bench.planning.agreement import agreeing
from bench.planning.plan import Plan
from bench.planning.work import Estimator
from bench.provenance import num_cores
from bench.store import Damaged, Record, blobs
from bench.store.record import went_wrong

STARTING = 15.0  # seconds until workers have imported what they need
BETWEEN = 0.1  # seconds of a training beside its steps: building, scoring, writing


@dataclass(frozen=True)
class Progress:
    plan: Plan
    records: dict[str, Record]  # of this plan alone, by key
    damaged: tuple[Damaged, ...]  # under the suite's folder and the shared one

    @cached_property
    def left(self) -> dict[str, int]:
        """Job -> records still to be made, where there are any."""
        missing = {key: sum(one not in self.records for one in job.record_keys) for key, job in self.plan.jobs.items()}
        return {key: count for key, count in missing.items() if count}

    @property
    def num_left(self) -> int:
        return sum(self.left.values())

    @cached_property
    def blocked(self) -> int:
        """Records left that cannot be made, since the pretraining they need went wrong."""
        gone = {record.key for record in self.wrong if record.kind == "pretrain"}
        return sum(count for key, count in self.left.items() if gone.intersection(self.plan.jobs[key].needs))

    @cached_property
    def wrong(self) -> list[Record]:
        """In the order of the plan. A rate too high for a trial is a finding of its search, not a mishap."""
        keys = [key for job in self.plan.jobs.values() for key in job.record_keys]
        return [self.records[key] for key in keys if key in self.records and went_wrong(self.records[key])]


def read_progress(plan: Plan, roots: Roots) -> Progress:
    seen, found = roots.look(), {}
    for job in plan.jobs.values():
        for key in job.record_keys:
            record = (seen.shared if job.kind == "pretrain" else seen.own).get(key)
            made = record.pretraining if record is not None and job.kind == "pretrain" else None
            # A pretraining without its weights is made again.
            if record is not None and (made is None or blobs.has(roots.shared.root, made.weights_sha256)):
                found[key] = record
    return Progress(plan, agreeing(plan, found), (*seen.damaged, *seen.damaged_shared))


def time_left(progress: Progress) -> str:
    """From the speed of this suite's own records; other hardware would be a guess. "" where there are none yet."""
    left = progress.left
    if not left:
        return "nothing"
    estimator = Estimator.of(progress.plan)
    speed = speed_of(progress, estimator)
    if speed is None:
        return ""
    work = sum(estimator.work(progress.plan.jobs[key]) * count for key, count in left.items())
    return f"about {duration(work / speed / (count_gpus() or num_cores()))} on this machine"


def guessed(progress: Progress, seconds: Mapping[str, float]) -> str:
    """Before the first record. `seconds`: of a pass of one example, by network, as timed here."""
    estimator, total = Estimator.of(progress.plan), STARTING
    for key, count in progress.left.items():
        job = progress.plan.jobs[key]
        took = seconds.get(network_of(job.spec.backbone), max(seconds.values(), default=0.0))
        total += (estimator.work(job) * took + BETWEEN) * count / (count_gpus() or num_cores())
    return f"about {duration(total)} here, guessed from a short measurement" if seconds else ""


def speed_of(progress: Progress, estimator: Estimator) -> float | None:
    """Work per second of one worker. A trial that left early counts for the steps that it took."""
    work = seconds = 0.0
    for job in progress.plan.jobs.values():
        for record in (progress.records[key] for key in job.record_keys if key in progress.records):
            took = record.spent.measured.seconds
            if record.status == "ok" and took is not None:
                work += estimator.work(job, record.trial.steps if job.kind == "search" and record.trial else None)
                seconds += took
    return work / seconds if seconds > 0 and work > 0 else None
