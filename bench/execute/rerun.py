"""Forgetting records so that a run makes them again: `--rerun failed` or `--rerun all`."""

from bench.execute.roots import Roots
from bench.execute.runner import GONE_WRONG
from bench.plan.plan import Plan
from bench.plan.spec import FitSpec, Job
from bench.store import Record


def forget(plan: Plan, roots: Roots, everything: bool) -> int:
    """How many records were removed. What was built upon a removed record goes with it."""
    records, _ = roots.store.scan()
    shared, _ = roots.shared.scan()
    gone: set[str] = set()
    for job in plan.jobs.values():
        if job.kind == "pretrain":
            if job.key in shared and shared[job.key].status in GONE_WRONG:
                roots.shared.path(job.key).unlink(missing_ok=True)
                gone.add(job.key)
            continue
        built_on_gone = everything or any(need in gone for need in job.needs)
        stale = [key for key in _stale(job, records, built_on_gone) if key in records]
        for key in stale:
            roots.store.path(key).unlink(missing_ok=True)
        if stale:
            gone.update({job.key, *stale})
    return len(gone)


def _stale(job: Job, records: dict[str, Record], whole: bool) -> list[str]:
    """A trial that is made again moves the points that a sampler chose after it, so these go too."""
    keys = list(job.record_keys)
    if whole:
        return keys
    bad = [key for key in keys if key in records and records[key].status in GONE_WRONG]
    learns = isinstance(job.spec, FitSpec) and job.kind == "search" and job.spec.search.sampler == "tpe"
    return keys[keys.index(bad[0]) :] if bad and learns else bad
