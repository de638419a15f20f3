"""Jobs in, their records out. This is what a worker process runs. A search goes on in `search/run.py`, a final in
`finals.py`, a closed form in `solved.py`, a checkpoint's own head in `own_head.py`, a pretraining in `pretrain.py`.

Whatever goes wrong inside a training becomes a record too, so one bad cell never stops a suite.
"""

from collections.abc import Sequence

from bench.engine.common.context import Context
from bench.engine.common.records import crashed, guarded, record_of, write
from bench.engine.jobs.finals import make_finals
from bench.engine.jobs.own_head import score_own_heads
from bench.engine.jobs.pretrain import run_pretraining
from bench.engine.jobs.solved import solve_finals, solve_searches
from bench.engine.search.run import make_searches
from bench.engine.train.precision import deterministic
from bench.spec.job import FitSpec, Job, PretrainSpec, Spec


def perform(jobs: Sequence[Job] | Job, context: Context) -> bool:
    """Bring every record of the jobs about: one job, or those of several repeats of one cell, which may train
    together. False: asked to stop before the last record."""
    jobs = [jobs] if isinstance(jobs, Job) else list(jobs)
    spec = jobs[0].spec
    training = spec.training if isinstance(spec, FitSpec) else spec
    with deterministic(training.deterministic):
        return _perform(jobs, spec, context)


def _perform(jobs: Sequence[Job], spec: Spec, context: Context) -> bool:
    if isinstance(spec, FitSpec):
        if spec.recipe.own_head is not None:
            return jobs[0].kind == "search" or score_own_heads(jobs, context)
        is_solved = spec.recipe.solve is not None
        if jobs[0].kind == "search":
            return solve_searches(jobs, context) if is_solved else make_searches(jobs, context)
        return solve_finals(jobs, context) if is_solved else make_finals(jobs, context)
    for job in jobs:
        _pretrain(job, context)
    return True


def _pretrain(job: Job, context: Context) -> None:
    spec = job.spec
    assert isinstance(spec, PretrainSpec)
    if context.shared.read(job.key) is None:
        dead = [crashed(record_of(job, context))]
        context.begins(dead, 0)
        finished = guarded(lambda: run_pretraining(spec, context, lambda: context.begins(dead, 1)))
        write(context.shared, record_of(job, context, finished), context)
