"""Plans without torch, and records that look as if a worker had written them."""

from bench.execute.roots import Roots
from bench.planning.enumerate import make_plan
from bench.planning.titles import titles_of
from bench.store import Record, blobs
from bench.suite.load import load_suite
from tests.execute.running import TINY
from tests.made_up import result_of, spec_of


def tiny_plan(place, text=TINY):
    path = place / "suite.yaml"
    path.write_text(text)
    plan = make_plan(load_suite(path, ()), place / "cache")
    return plan, Roots(place / "results", plan.loaded.suite.name), titles_of(plan)


def record_of(job, roots, key=None, status="ok"):
    kind = {"pretrain": "pretrain", "search": "trial", "final": "final"}[job.kind]
    key = key or job.record_keys[0]
    result = result_of(kind) if status == "ok" else {}
    if job.kind == "pretrain" and status == "ok":
        result["weights_sha256"] = blobs.put(roots.shared.root, b"weights")
    spec = spec_of(job, job.record_keys.index(key))
    return Record(key, kind, status, spec, result, error=None if status == "ok" else status)


def fill(plan, roots, bad=()):
    """Every record of the plan; those of the keys in `bad` went wrong."""
    for job in plan.jobs.values():
        for key in job.record_keys:
            status = "failed" if key in bad else "ok"
            roots.store_of(job).write(record_of(job, roots, key, status))


def of_kind(plan, kind):
    return [job for job in plan.jobs.values() if job.kind == kind]
