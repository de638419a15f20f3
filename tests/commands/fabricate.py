"""Fills a results folder with records as a run of a plan leaves them, without any training: numbers out of the keys."""

import dataclasses
from typing import Any

from bench.execute.roots import Roots
from bench.keys import seed_for
from bench.planning.halving import num_kept, rungs
from bench.planning.plan import Plan
from bench.spec.job import FitSpec, Job
from bench.store import Record, blobs
from bench.store.record import Status
from tests.made_up import result_of, spec_of

# A file of published values, of which one speaks of the suite that commands are tried on.
PUBLISHED = """\
source: Somebody 2020
address: made up
tables:
  - table: "3"
    checked: text
    dataset: digits
    backbone: small_resnet
    strategy: linear_probe
    columns: [{labels_per_class: 4}, {labels_per_class: 5}]
    rows: [{values: [50, 60]}]
"""
PROVENANCE = {
    "commit": "0" * 40, "dirty": False, "python": "3.11.0", "libraries": {"torch": "2.11.0"}, "cores": 2,
    "platform": "Linux x86_64", "processor": "unknown", "device": "cpu", "threads": 1,
}  # fmt: skip


def fabricate(plan: Plan, roots: Roots, wrong: dict[str, Status] | None = None) -> list[Record]:
    """Every record of the plan, `ok` unless its key is in `wrong`."""
    records = []
    for job in plan.jobs.values():
        for number, key in enumerate(job.record_keys):
            record = record_of(job, number, key, roots)
            if wrong and key in wrong:
                error = f"RuntimeError: made to be {wrong[key]}\nsecond line"
                record = dataclasses.replace(record, status=wrong[key], result={}, cost={}, error=error)
            (roots.shared if job.kind == "pretrain" else roots.store).write(record)
            records.append(record)
    return records


def record_of(job: Job, number: int, key: str, roots: Roots) -> Record:
    kind: Any = "trial" if job.kind == "search" else job.kind
    result: dict[str, Any] = result_of(kind, score=_share(key), loss=1 - _share(key))
    curve = [{"step": step, "accuracy": result["score"] * step / 2, "loss": result["loss"], "train_loss": 1.0}
             for step in (1, 2)]  # fmt: skip
    place = number
    if job.kind == "pretrain":
        result |= {"curve": curve, "weights_sha256": blobs.put(roots.shared.root, key.encode())}
    elif job.kind == "search":
        climbed = _rungs(job.spec, number, result)
        result |= {**hyper(job.spec, number), "steps": climbed[-1]["step"], "rungs": climbed}
    else:
        number += job.kind == "unchosen"
        if isinstance(job.spec, FitSpec) and job.spec.deployed is not None:
            curve = curve[-1:]
        result |= {**hyper(job.spec, number), "trial": number, "best_on_test": result["score"], "curve": curve}
    return Record(
        key=key,
        kind=kind,
        status="ok",
        spec=spec_of(job, number, hyper(job.spec, number) if isinstance(job.spec, FitSpec) else None, place),
        result=result,
        cost={
            "logical": {"steps": 2, "samples": 16, "flops": 1000, "trainable_params": 10, "total_params": 20},
            "measured": {"seconds": 0.5, "feature_seconds": 0.125, "peak_memory_bytes": 1 << 20},
            **({} if job.kind == "pretrain" else {"engine": {"frozen": ["kept"], "forms": ["head"], "replicas": 4}}),
        },
        provenance=PROVENANCE,
    )


def _rungs(spec: Any, number: int, end: dict[str, Any]) -> list[dict[str, Any]]:
    """The first trials go on."""
    assert isinstance(spec, FitSpec)
    ends = rungs(spec.search, spec.training.steps)
    climbed = [n for n in range(len(ends)) if n == 0 or number < num_kept(spec.search.trials, n - 1)]
    return [{"step": ends[n], "score": end["score"], "loss": end["loss"]} for n in climbed]


def hyper(spec: Any, number: int) -> dict[str, float]:
    """A grid over the searched range."""
    assert isinstance(spec, FitSpec)
    low, high = spec.search.lr_low, spec.search.lr_high
    lr = low * (high / low) ** (number / max(1, spec.search.trials - 1))
    return {"lr": lr, "weight_decay": spec.search.weight_decay}


def _share(key: str) -> float:
    return seed_for("score", key) % 1000 / 1000
