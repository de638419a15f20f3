"""A job in, its records out. This is what a worker process runs; `fit.py` and `pretrain.py` do the training.

Whatever goes wrong inside a training becomes a record too, so one bad cell never stops a suite.
"""

import dataclasses
import logging
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from bench.engine.context import Context
from bench.engine.fit import Finished, Start, run_final, run_trial, start
from bench.engine.optimize import Hyper
from bench.engine.pretrain import run_pretraining
from bench.engine.search import Tried, ask
from bench.errors import StoreError
from bench.plan.spec import FitSpec, Job, PretrainSpec, trial_key
from bench.store import Record, Store
from bench.store.record import Status

logger = logging.getLogger(__name__)

TRACEBACK_CHARACTERS = 4000


CRASHED = Finished("crashed", {}, {}, "the worker process died")


def perform(job: Job, context: Context) -> bool:
    """Bring every record of the job about. False: told to stop before the last one."""
    spec = job.spec
    if isinstance(spec, PretrainSpec):
        if context.shared.read(job.key) is None:
            context.begins(_record(job, CRASHED, context))
            finished = _guarded(lambda: run_pretraining(spec, context))
            _write(context.shared, _record(job, finished, context), context)
        return True
    if job.kind == "search":
        return _search(job, spec, context)
    if context.store.read(job.key) is None:
        context.begins(_record(job, CRASHED, context))
        history = read_history(job.needs[-1], spec, context.store)
        finished = _guarded(lambda: run_final(spec, history, start(spec, context), context))
        _write(context.store, _record(job, finished, context), context)
    return True


def _search(job: Job, spec: FitSpec, context: Context) -> bool:
    begin: Start | Finished | None = None  # a network to start from, or why there is none
    history: list[Tried] = []
    for number in range(spec.search.trials):
        record = context.store.read(trial_key(job.key, number))
        if record is None:
            if context.stopping():
                return False
            hyper = ask(spec, history)
            context.begins(_trial_record(job, number, hyper, (CRASHED, context)))
            begin = begin if begin is not None else _start_or_failure(spec, context)
            if isinstance(begin, Finished):
                finished = begin
            else:
                finished = _guarded(partial(run_trial, spec, hyper, begin, context))
            record = _trial_record(job, number, hyper, (finished, context))
            _write(context.store, record, context)
        history.append(as_tried(number, record))
    return True


def _start_or_failure(spec: FitSpec, context: Context) -> Start | Finished:
    """Where a network cannot be made, every trial fails alike, and each says so."""
    try:
        return start(spec, context)
    except StoreError:
        raise
    except Exception as error:
        return _failure(error)


def read_history(search_key: str, spec: FitSpec, store: Store) -> list[Tried]:
    """The finished trials of a search, in order; a gap means the search is not over."""
    history = []
    for number in range(spec.search.trials):
        record = store.read(trial_key(search_key, number))
        if record is None:
            raise RuntimeError(f"trial {number} of search {search_key} has no record")
        history.append(as_tried(number, record))
    return history


def as_tried(number: int, record: Record) -> Tried:
    point = record.spec["hyper"]
    scored = record.status == "ok"
    return Tried(
        number=number,
        hyper=Hyper(point["lr"], point["weight_decay"]),
        score=record.result["score"] if scored else None,
        loss=record.result["loss"] if scored else None,
    )


def _guarded(run: Callable[[], Finished]) -> Finished:
    try:
        return run()
    except StoreError:
        raise  # nothing could be written: no record of it either, the runner must stop
    except Exception as error:
        return _failure(error)


def _failure(error: Exception) -> Finished:
    status: Status = "oom" if isinstance(error, torch.OutOfMemoryError | MemoryError) else "failed"
    logger.debug("training failed", exc_info=error)
    trace = "".join(traceback.format_exception(error))[-TRACEBACK_CHARACTERS:]
    return Finished(status, {"traceback": trace}, {}, f"{type(error).__name__}: {error}")


def _trial_record(job: Job, number: int, hyper: Hyper, outcome: tuple[Finished, Context]) -> Record:
    record = _record(job, *outcome)
    spec = {**record.spec, "number": number, "hyper": dataclasses.asdict(hyper)}
    return dataclasses.replace(record, key=trial_key(job.key, number), kind="trial", spec=spec)


def _record(job: Job, finished: Finished, context: Context) -> Record:
    spec: dict[str, Any] = {"job": job.kind, "needs": list(job.needs), **dataclasses.asdict(job.spec)}
    return Record(
        key=job.key,
        kind="pretrain" if job.kind == "pretrain" else "final",
        status=finished.status,
        spec=spec,
        result=finished.result,
        cost=finished.cost,
        provenance=context.provenance,
        error=finished.error,
    )


def _write(store: Store, record: Record, context: Context) -> None:
    store.write(record)
    context.announce(record)

