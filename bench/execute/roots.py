"""Where a suite's records lie, and which jobs of a plan they finish."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.errors import StoreError
from bench.places import cache_of
from bench.planning.plan import Plan
from bench.spec.job import FitSpec, Job
from bench.store import Record, Scanned, Store, blobs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Roots:
    """Where things lie on this machine."""

    results: Path
    suite: str
    seen: Scanned | None = None  # what lay there a moment ago, where nothing changed since

    @property
    def store(self) -> Store:
        return Store(self.results / self.suite)

    @property
    def shared(self) -> Store:
        return Store(self.results / "pretrained")

    @property
    def cache(self) -> Path:
        return cache_of(self.results)

    def ingredients(self, search_key: str) -> Path:
        """Of soups: weights that trials leave until the final has them."""
        return self.store.root / "ingredients" / search_key

    def store_of(self, job: Job) -> Store:
        return self.shared if job.kind == "pretrain" else self.store

    def look(self) -> Scanned:
        return self.seen or self.store.scan_with(self.shared)

    def is_done(self, job: Job) -> bool:
        """All its records are there, whatever they say."""
        return all(self.store_of(job).read(key) is not None for key in job.record_keys)


def missing_records(plan: Plan, roots: Roots) -> dict[str, int]:
    """Unfinished jobs and how many records each lacks. A pretraining without its weights lacks one. Says how many
    record files are damaged, which may be all those of an older version."""
    seen = roots.look()
    if found := [*seen.damaged, *seen.damaged_shared]:
        both = ((roots.store, seen.damaged), (roots.shared, seen.damaged_shared))
        places = [store.damaged for store, own in both if own]
        log.warning(f"damaged record files, counted as absent: {len(found)}, the first {found[0]}; what is made "
                    f"anew moves its old file to {' and '.join(map(str, places))}")
    missing = {}
    for key, job in plan.jobs.items():
        if job.kind == "pretrain":
            record = seen.shared.get(key)
            lacking = int(record is None or bool(_lost(record, roots)))
        else:
            lacking = sum(one not in seen.own for one in job.record_keys)
        if lacking:
            missing[key] = lacking
    return missing


def forget_lost_weights(plan: Plan, roots: Roots) -> bool:
    """A pretraining whose weights are gone or damaged is to be trained again, so its record goes. Whether any went."""
    forgot = False
    for job in plan.jobs.values():
        if job.kind != "pretrain":
            continue
        with roots.shared.lock(job.key) as ours:  # else another runner trains it right now
            record = roots.shared.read(job.key) if ours else None
            if record is not None and (trouble := _lost(record, roots)):
                log.warning("%s; they are trained again", trouble)
                roots.shared.forget(job.key)
                forgot = True
    for job in plan.jobs.values():
        spec = job.spec
        if isinstance(spec, FitSpec) and spec.recipe.soup and job.kind == "final":
            forgot |= _forget_lost_ingredients(job, plan, roots)
    return forgot


def _forget_lost_ingredients(final: Job, plan: Plan, roots: Roots) -> bool:
    """They are needed until the soup is made, and removed then."""
    forgot = False
    search, store = plan.jobs[final.needs[-1]], roots.store
    with store.lock(final.key) as ours:  # else another runner makes it right now
        if not ours or store.read(final.key) is not None:
            return False
        for key in search.record_keys:
            record = store.read(key)
            kept = record.trial.ingredients if record is not None and record.trial is not None else []
            if trouble := _unreadable(roots.ingredients(search.key), kept):
                log.warning("%s; the trial that left them is made again", trouble)
                store.forget(key)
                forgot = True
    return forgot


def _lost(record: Record, roots: Roots) -> str:
    """What is wrong with the weights of a pretraining; "" where nothing is, or where there are none to have."""
    made = record.pretraining
    return _unreadable(roots.shared.root, [made.weights_sha256] if made is not None else [])


def _unreadable(root: Path, sha256s: Iterable[str]) -> str:
    """The first trouble in words, or ""."""
    try:
        for sha256 in sha256s:
            blobs.get(root, sha256)
    except StoreError as error:
        return str(error)
    return ""


def pretrained_ok(roots: Roots, job: Job) -> bool:
    record = roots.shared.read(job.key)
    return record is not None and record.status == "ok"
