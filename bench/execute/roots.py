"""Where a suite's records lie, and which jobs of a plan they finish."""

from dataclasses import dataclass
from pathlib import Path

from bench.errors import StoreError
from bench.plan.plan import Plan
from bench.plan.spec import Job
from bench.store import Record, Store, blobs


@dataclass(frozen=True)
class Roots:
    """Where things lie on this machine."""

    results: Path
    suite: str

    @property
    def store(self) -> Store:
        return Store(self.results / self.suite)

    @property
    def shared(self) -> Store:
        return Store(self.results / "pretrained")

    @property
    def cache(self) -> Path:
        return self.results / ".cache"


def finished_jobs(plan: Plan, roots: Roots) -> set[str]:
    """Keys of jobs that have all their records (and, of a pretraining, its weights)."""
    records, _ = roots.store.scan()
    shared, _ = roots.shared.scan()
    done = set()
    for key, job in plan.jobs.items():
        if job.kind == "pretrain":
            record = shared.get(key)
            if record is not None and (record.status != "ok" or _has_weights(record, roots)):
                done.add(key)
        elif all(one in records for one in job.record_keys):
            done.add(key)
    return done


def _has_weights(record: Record, roots: Roots) -> bool:
    try:
        blobs.get(roots.shared.root, record.result["weights_sha256"])
    except StoreError:
        roots.shared.path(record.key).unlink(missing_ok=True)  # its weights are gone or damaged: train again
        return False
    return True


def pretrained_ok(roots: Roots, job: Job) -> bool:
    record = roots.shared.read(job.key)
    return record is not None and record.status == "ok"
