"""Forgetting records so that a run makes them again: `--rerun failed` or `--rerun all`."""

from bench.execute.roots import Roots
from bench.planning.agreement import agreeing
from bench.planning.plan import Plan
from bench.spec.job import FitSpec, Job
from bench.store import Record
from bench.store.record import BROKEN


def forget(whole: Plan, part: Plan, roots: Roots, everything: bool) -> int:
    """How many records were removed, of `part` alone: any record of the `whole` suite may contradict them. What was
    built upon a removed record goes with it.

    Pretrainings belong to all suites: `everything` spares those that went well.
    """
    records = agreeing(whole, roots.look().records)
    touched: set[str] = set()  # keys of jobs
    removed = 0
    for job in part.jobs.values():
        if job.kind == "pretrain":
            stale = [job.key] if job.key in records and records[job.key].status in BROKEN else []
        else:
            entirely = everything or any(need in touched for need in job.needs)
            stale = [key for key in _stale(job, records, entirely) if key in records]
        for key in stale:
            roots.store_of(job).forget(key)
        if stale:
            touched.add(job.key)
        removed += len(stale)
    return removed


def _stale(job: Job, records: dict[str, Record], entirely: bool) -> list[str]:
    """A trial that is made again moves the points that a sampler chose after it, so these go too."""
    keys = list(job.record_keys)
    if entirely:
        return keys
    bad = [key for key in keys if key in records and records[key].status in BROKEN]
    learns = isinstance(job.spec, FitSpec) and job.kind == "search" and job.spec.search.sampler in ("bracket", "tpe")
    return keys[keys.index(bad[0]) :] if bad and learns else bad
