"""Finals: trained on all labels of the repeat at the chosen point; the last weights are the result."""

from collections.abc import Sequence

from bench.engine.context import Context
from bench.engine.fit import Finished, Start, describe_final, final_stream, logical_cost, start
from bench.engine.flops import training_flops
from bench.engine.loop import Session, evaluation_steps
from bench.engine.records import crashed, guarded, read_history, record_of, write
from bench.engine.search import Tried, choose
from bench.engine.staging import stages_for
from bench.engine.team import Solo
from bench.plan.spec import FitSpec, Job


def make_finals(jobs: Sequence[Job], context: Context) -> bool:
    """False: told to stop before the last one."""
    for job in jobs:
        if context.store.read(job.key) is not None:
            continue
        context.begins([crashed(record_of(job, context))])
        write(context.store, record_of(job, context, _final(job, context)), context)
    return True


def _final(job: Job, context: Context) -> Finished:
    spec = job.spec
    assert isinstance(spec, FitSpec)
    history = read_history(job.needs[-1], spec, context.store)
    chosen = choose(history)
    if chosen is None:
        return Finished("failed", {}, {}, f"none of the {len(history)} trials of its search has a score")
    return guarded(lambda: _train(spec, chosen, start(spec, context), context))


def _train(spec: FitSpec, chosen: Tried, begin: Start, context: Context) -> Finished:
    data = context.data(spec.data)
    stream = final_stream(spec, data)
    meter = context.meter()
    what = (spec.recipe, spec.training)
    team = Solo(begin.network, what, chosen.hyper, begin.renew)
    session = Session(team, stages_for(spec, begin, [stream.images, data.test], context), what, [stream])
    session.advance(spec.training.steps, evaluation_steps(spec.training.steps, spec.training.evaluations))
    (outcome,) = session.outcomes[0]
    measured = meter.read().as_dict()
    cost = {
        "logical": {
            **logical_cost([outcome], begin.network, spec.recipe),
            "flops": training_flops(begin.network, spec.recipe, spec.training, spec.pipeline, session.batch_size),
        },
        "measured": measured,
        "engine": session.told(),
    }
    return describe_final(spec, chosen, outcome, begin, (data, cost))
