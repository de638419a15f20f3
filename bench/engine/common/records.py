"""From what happened to a record, and from records to a search's history."""

import dataclasses
import logging
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from bench.engine.common.context import Context
from bench.engine.common.distance import distance_of
from bench.engine.common.forecast import forecast_of
from bench.engine.common.samples import keep_samples
from bench.engine.common.seen import seen_before
from bench.engine.common.start import Finished
from bench.engine.train.faults import is_out_of_memory, pass_on, why_not_deterministic
from bench.engine.train.optimize import Hyper
from bench.errors import NotApplicable
from bench.planning.precision import FULL
from bench.spec.job import FitSpec, Job, trial_key, unchosen_key
from bench.spec.refs import arithmetic_key
from bench.store import Record, Store, predictions
from bench.store.predictions import Predictions
from bench.store.record import Status
from bench.store.results import Arithmetic, Cost, SeenBefore, Unscored

T = TypeVar("T")

logger = logging.getLogger(__name__)

TRACEBACK_CHARACTERS = 4000
NOTHING = Finished("crashed", error="the worker process died")


def crashed(record: Record) -> Record:
    """What a death of this process would leave of a training."""
    return dataclasses.replace(record, status="crashed", result={}, cost={}, error=NOTHING.error)


def record_of(job: Job, context: Context, finished: Finished = NOTHING) -> Record:
    is_score = job.kind == "final" and finished.status == "ok"
    about, diagnoses = SeenBefore(), {}
    if isinstance(job.spec, FitSpec) and is_score:
        about = seen_before(job.spec, context)
        keep_samples(job.spec.data, context)
        if job.key not in context.mistaken:
            diagnoses = {**distance_of(job.spec, context), **forecast_of(job.spec, context)}
    return Record(
        key=job.key,
        kind="pretrain" if job.kind == "pretrain" else "final",
        status=finished.status,
        spec=job.content,
        result={**finished.result.plain(), **about.plain(), **diagnoses},
        cost=_with_precision(job, finished.cost, context).plain(),
        provenance=context.provenance,
        error=finished.error,
    )


def _with_precision(job: Job, cost: Cost, context: Context) -> Cost:
    """And why it was this one, which is in no key."""
    if not cost.model_fields_set or not isinstance(job.spec, FitSpec):
        return cost
    known = FULL if job.spec.recipe.own_head is not None else context.arithmetic.get(arithmetic_key(job.spec.backbone))
    used = Arithmetic(used=job.spec.training.precision, why=known.why if known is not None else "")
    return cost.model_copy(update={"precision": used})


def trial_record(
    job: Job, point: tuple[int, Hyper | dict[str, Any]], context: Context, finished: Finished = NOTHING
) -> Record:
    number, hyper = point
    record = record_of(job, context, finished)
    point_fields = hyper.as_dict() if isinstance(hyper, Hyper) else hyper
    spec = {**record.spec, "number": number, "hyper": point_fields}
    return dataclasses.replace(record, key=trial_key(job.key, number), kind="trial", spec=spec)


def unchosen_record(
    job: Job, place: int, point: tuple[int, Hyper | dict[str, Any]], context: Context, finished: Finished = NOTHING
) -> Record:
    """`place`: among the points that were not chosen. `point`: as of its trial."""
    record = trial_record(job, point, context, finished)
    spec = {**record.spec, "place": place}
    return dataclasses.replace(record, key=unchosen_key(job.key, place), kind="unchosen", spec=spec)


def why_no_score(search_key: str, spec: FitSpec, store: Store) -> Finished:
    """What a final comes to where no trial of its search has a score."""
    trials = [store.read(trial_key(search_key, number)) for number in range(spec.search.trials)]
    reasons = [trial.error or "" for trial in trials if trial is not None and trial.status == "not_applicable"]
    if len(reasons) == len(trials):
        return Finished("not_applicable", error=reasons[0])
    return Finished("failed", error=f"none of the {len(trials)} trials of its search has a score")


def scoreless(search_key: str, number: int, store: Store) -> Finished:
    """What a final comes to of a trial that has no score."""
    trial = store.read(trial_key(search_key, number))
    assert trial is not None
    status: Status = "diverged" if trial.status == "diverged" else "not_applicable"
    return Finished(status, error=f"its trial has no score ({trial.status}): {trial.error}")


def guarded(run: Callable[[], T]) -> T | Finished:
    """What `run` gives, or what its exception comes to as a record."""
    try:
        return run()
    except Exception as error:
        pass_on(error)
        return failure(error)


def failure(error: Exception) -> Finished:
    if isinstance(error, NotApplicable):
        return Finished("not_applicable", error=str(error))
    status: Status = "oom" if is_out_of_memory(error) else "failed"
    text = why_not_deterministic(error) or f"{type(error).__name__}: {error}"
    logger.debug("training failed", exc_info=error)
    trace = "".join(traceback.format_exception(error))[-TRACEBACK_CHARACTERS:]
    return Finished(status, Unscored(traceback=trace), error=text)


def write(store: Store, record: Record, context: Context, told: Predictions | None = None) -> None:
    """`told`: of each test example. On disk before the record that names it."""
    if told is not None:
        sha256 = predictions.put(store, record.key, told)
        record = dataclasses.replace(record, result={**record.result, "predictions": sha256})
    store.write(record)
    context.announce(record)
