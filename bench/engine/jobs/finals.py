"""Finals: trained on all labels of the repeat at the chosen point; the last weights are the result."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.engine.common.context import Context
from bench.engine.common.history import Tried, read_history
from bench.engine.common.records import (
    NOTHING,
    crashed,
    failure,
    guarded,
    record_of,
    scoreless,
    unchosen_record,
    why_no_score,
    write,
)
from bench.engine.common.sources import setting_for
from bench.engine.common.start import (
    Finished,
    Start,
    data_of,
    final_stream,
    has_collapsed,
    logical_cost,
    of_shift,
    start,
    weights_of,
)
from bench.engine.fleet.calibrate import FleetChoice, choose_form, without_fault
from bench.engine.fleet.together import FleetStream, fleet_session, have_equal_batches, narrower, why_narrower
from bench.engine.jobs.deployed import scored_as_deployed
from bench.engine.jobs.forgetting import forgetting
from bench.engine.jobs.similarity import similarity
from bench.engine.reuse.stages import stages_for
from bench.engine.search.points import at_point, choose, unchosen
from bench.engine.search.soup import SoupPot, drop_ingredients
from bench.engine.train.faults import pass_on
from bench.engine.train.loop import Outcome, Session, Stream, evaluation_steps
from bench.engine.train.solo import Solo, Trained
from bench.engine.train.stage import Stages
from bench.keys import digest
from bench.network.flops import training_flops
from bench.spec.job import FitSpec, Job, unchosen_key
from bench.store import Record
from bench.store.results import Cost, EngineUse, FinalResult, Measured, Unscored


@dataclass(frozen=True)
class _Final:
    """One final, ready to train."""

    job: Job
    spec: FitSpec
    chosen: Tried
    begin: Start
    stream: Stream
    place: int | None = None  # among the points that the search did not choose; None: the chosen one

    @property
    def end(self) -> int:
        """Steps that it trains for."""
        return self.chosen.stop or self.spec.training.steps

    def record(self, context: Context, finished: Finished = NOTHING) -> Record:
        if self.place is None:
            return record_of(self.job, context, finished)
        return unchosen_record(self.job, self.place, (self.chosen.number, self.chosen.hyper), context, finished)


def make_finals(jobs: Sequence[Job], context: Context) -> bool:
    """False: asked to stop before the last one."""
    ready = [final for job in jobs for final in (_others if job.kind == "unchosen" else _prepare)(job, context)]
    meter = context.meter()
    if ready:  # all of them, so that a death while forms are tried out is no single final's
        context.begins(_dead(ready, context), 0)
    choice = without_fault(lambda: _choose(ready, context), context)
    before = Measured(feature_seconds=meter.read().feature_seconds)  # whoever comes first has paid
    while ready:
        together = ready[: choice.width] if _may_be_fleet(ready) else ready[:1]
        context.begins(_dead(together, context), 0)
        try:
            finished = _train(together, choice, before, context)
            before = Measured()
        except Exception as error:
            pass_on(error)
            if len(together) > 1:
                choice = narrower(choice, error, len(together))
                context.notice(why_narrower(together[0].spec, choice, error))
                continue
            finished = [failure(error)]
        for final, one in zip(together, finished, strict=True):
            write(context.store, final.record(context, one), context, one.predictions)
            if final.spec.recipe.soup is not None and one.status == "ok":
                drop_ingredients(final.job.needs[-1], context.store)
        ready = ready[len(together) :]
        if ready and context.stopping():
            return False
    return True


def _prepare(job: Job, context: Context) -> list[_Final]:
    """None at all: it has its record, or it cannot train, and then its record says why."""
    spec = job.spec
    assert isinstance(spec, FitSpec)
    if context.store.read(job.key) is not None:
        return []
    history = read_history(job.needs[-1], spec, context.store)
    context.begins([crashed(record_of(job, context))], 0)
    chosen = choose(history)
    if chosen is not None and spec.rate_factor is not None:  # it is no rate of the search, nor at an edge of it
        chosen = replace(chosen, hyper=replace(chosen.hyper, lr=chosen.hyper.lr * spec.rate_factor), edge="")
    try:
        if chosen is not None:
            spec = at_point(spec, chosen.hyper)
            return [_Final(job, spec, chosen, start(spec, context), final_stream(spec, data_of(spec, context)))]
        finished = why_no_score(job.needs[-1], spec, context.store)
    except Exception as error:
        pass_on(error)
        finished = failure(error)
    write(context.store, record_of(job, context, finished), context)
    return []


def _others(job: Job, context: Context) -> list[_Final]:
    """The points that the search did not choose, those without a record. One that had no score in the search gets none
    here."""
    spec = job.spec
    assert isinstance(spec, FitSpec)
    missing = [point for point in unchosen(read_history(job.needs[-1], spec, context.store))
               if context.store.read(unchosen_key(job.key, point[0])) is None]  # fmt: skip
    if not missing:
        return []
    first, one = missing[0]
    context.begins([crashed(unchosen_record(job, first, (one.number, one.hyper), context))], 0)
    begin = guarded(lambda: start(at_point(spec, one.hyper), context))
    ready = []
    for place, tried in missing:
        own = at_point(spec, tried.hyper)
        if spec.varied is not None and tried is not one:  # another network, or another loss
            begin = guarded(lambda own=own: start(own, context))  # type: ignore[misc]
        if isinstance(begin, Finished) or tried.score is None:
            finished = begin if isinstance(begin, Finished) else scoreless(job.needs[-1], tried.number, context.store)
            record = unchosen_record(job, place, (tried.number, tried.hyper), context, finished)
            write(context.store, record, context)
        else:
            stream = final_stream(own, data_of(own, context))
            ready.append(_Final(job, own, tried, begin, stream, place))
    return ready


def _dead(finals: list[_Final], context: Context) -> list[Record]:
    return [crashed(final.record(context)) for final in finals]


def _may_be_fleet(finals: list[_Final]) -> bool:
    if len({final.end for final in finals}) > 1:
        return False
    return have_equal_batches([final.stream for final in finals], finals[0].spec.training.batch_size)


def _choose(finals: list[_Final], context: Context) -> FleetChoice:
    first = finals[0] if finals else None
    if first is None or len(finals) < 2 or first.spec.varied is not None:
        return FleetChoice()
    return choose_form(first.spec, first.begin, _stages(finals, context), first.stream.images, context)


def _stages(finals: list[_Final], context: Context) -> Stages:
    first = finals[0]
    learned = [final.stream.images for final in finals]
    specs = {digest(final.spec.data): final.spec for final in finals}
    scored = [images for one in specs.values() for images in context.data(one.data, one.pipeline).scored]
    return stages_for(first.spec, first.begin, learned, context, scored)


def _train(finals: list[_Final], choice: FleetChoice, before: Measured, context: Context) -> list[Finished]:
    first = finals[0]
    if first.spec.recipe.soup is not None:
        return [_stir(first, before, context)]
    spec, begin = first.spec, first.begin
    meter = context.meter()
    if len(finals) > 1:
        rows = [FleetStream(final.stream, final.begin, [final.chosen.hyper]) for final in finals]
        session = fleet_session(spec.procedure, _stages(finals, context), rows)
    else:
        setting = setting_for(spec, begin, first.stream, context)
        team = Solo(begin.network, spec.procedure, first.chosen.hyper, begin.renew, setting)
        session = Session(team, _stages(finals, context), [first.stream])
    context.begins(_dead(finals, context), len(finals))
    session.advance(first.end, evaluation_steps(first.end, spec.training.evaluations))
    spent = Measured().plus(before.plus(meter.read()), len(finals))
    session.look_at_own()  # not part of the training's time, as the next one
    session.look_at_shift()
    known = context.flops(begin.network)
    flops = training_flops(begin.network, spec.procedure, session.batch_size, first.end, known)
    found = []
    for number, (final, (outcome,)) in enumerate(zip(finals, session.outcomes, strict=True)):
        cost = _cost(final, outcome, flops, spent, session.engine_use())
        found.append(_finish(final, outcome, cost, Trained(session.team, number), context))
    return found


def _stir(final: _Final, before: Measured, context: Context) -> Finished:
    """A soup costs what its ingredients cost, though no one trains for it."""
    spec, begin = final.spec, final.begin
    meter = context.meter()
    pot = SoupPot(spec, begin, final.chosen, final.job.needs[-1], context)
    context.begins(_dead([final], context), 1)
    soup = pot.make(final.stream)
    batch_size = min(spec.training.batch_size, len(final.stream.images))
    known = context.flops(begin.network)
    each = training_flops(begin.network, spec.procedure, batch_size, spec.training.steps, known)
    how = EngineUse(frozen=[], forms=["soup"], replicas=1)
    cost = _cost(final, soup.outcome, round(each * soup.share), before.plus(meter.read()), how)
    finished = _finish(final, soup.outcome, cost, Trained(soup.team), context)
    return replace(finished, result=finished.result.model_copy(update={"soup": soup.numbers}))


def _cost(final: _Final, outcome: Outcome, flops: int, spent: Measured, how: EngineUse) -> Cost:
    logical = logical_cost([outcome], final.begin.network, final.spec.recipe)
    return Cost(logical=logical.model_copy(update={"flops": flops}), measured=spent, engine=how)


def _finish(final: _Final, outcome: Outcome, cost: Cost, trained: Trained, context: Context) -> Finished:
    chosen, data = final.chosen, context.data(final.spec.data, final.spec.pipeline)
    given = {
        **chosen.hyper.as_dict(),
        "trial": chosen.number,
        "stop": chosen.stop,
        "lr_edge": chosen.edge,
        "num_labels": len(final.stream.images) if final.spec.recipe.labels is None else 0,  # of the target's
        "dataset_sha256": data.sha256,
        **weights_of(final.begin),
    }
    if outcome.diverged_at is not None:
        error = f"loss not finite at step {outcome.diverged_at}, rate {chosen.hyper.lr:g}"
        return Finished("diverged", Unscored(**given), cost, error)
    last, curve = outcome.last, outcome.curve
    assert last is not None
    if final.spec.deployed is not None:
        with trained.team.hold(trained.stream):
            module = final.begin.network.module
            found = guarded(lambda: scored_as_deployed(final.spec, module, data.test, len(final.stream.images)))
        if isinstance(found, Finished):  # it fails alone, whoever trained beside it
            return replace(found, cost=cost)
        last = found
        curve = [replace(curve[-1], accuracy=last.score, loss=last.loss)]
    assert last.num == len(data.test)
    if outcome.own is not None:
        collapsed = has_collapsed(outcome, final.spec.data.num_classes)
        given |= {"train_loss_end": outcome.own.loss, "collapsed": collapsed}
    if final.place is None:  # not part of the training's time
        if final.job.key not in context.mistaken:
            given["source"] = forgetting(final.spec, final.begin, trained, context)
        if context.similarity:
            given |= similarity(final.spec, final.begin, trained, context)
        if context.hand_over is not None:
            with trained.team.hold(trained.stream):
                context.hand_over(final.spec, final.begin.network, None)
    result = FinalResult(
        **given,
        metric=data.test.metric,
        score=last.score,
        loss=last.loss,
        num_test=last.num,
        **of_shift(outcome.shift),
        best_on_test=max(point.accuracy for point in curve),
        curve=curve,
    )
    return Finished("ok", result, cost, predictions=last.predictions if final.place is None else None)
