"""Whether a record agrees with itself: its key with its content, its numbers with each other and with what was asked.
A file can be whole, every field of its type, and still be another training's or somebody's edit.

Only what holds of every record that the engine writes, closed forms, soups and own heads included.
"""

from collections.abc import Iterable, Sequence

from bench import metrics
from bench.spec.job import key_of, trial_key, unchosen_key
from bench.spec.refs import Metric
from bench.store.record import Record
from bench.store.results import AtPoint, FinalResult, FitAsked, Point, PretrainResult, TrialResult

JOBS = {"pretrain": "pretrain", "trial": "search", "final": "final", "unchosen": "unchosen"}  # by kind of record
OF_POINT = ("number", "hyper", "place")  # what a spec holds besides the content of its job
ROUNDING = 1e-6  # of a score's range


def check(record: Record) -> None:
    """Raises ValueError, with one line."""
    record.check()
    _check_key(record)
    if record.kind == "pretrain":
        if record.pretraining is not None:
            _check_test(record.pretraining, record.learned.data.metric)
    elif record.kind == "trial":
        _check_point(record, record.trial or record.unscored)
        if record.trial is not None:
            _check_trial(record.trial, record.asked)
    else:
        if record.kind == "unchosen":
            _check_point(record, record.unscored)
            final = record.final
            _must(final is None or final.trial == record.point.number, "result.trial is not the spec's number")
        if record.final is not None:
            _check_final(record.final, record.asked)


def key_from_spec(record: Record) -> str:
    """The key that follows from what a record says of its job. Raises KeyError."""
    spec = record.spec
    key, protocol = key_of({name: spec[name] for name in spec if name not in OF_POINT}), spec["protocol"]
    if record.kind == "trial":
        return trial_key(key, spec["number"], protocol)
    return unchosen_key(key, spec["place"], protocol) if record.kind == "unchosen" else key


def _check_key(record: Record) -> None:
    try:
        is_own = record.spec["job"] == JOBS[record.kind] and key_from_spec(record) == record.key
    except KeyError as error:
        raise ValueError(f"spec.{error.args[0]}: missing") from None
    _must(is_own, "its key does not follow from its spec: edited, or another record's content")


def _check_point(record: Record, result: AtPoint) -> None:
    asked = record.point
    _must(asked.number < asked.search.trials, f"trial {asked.number} of a search of {asked.search.trials}")
    given_fields = result.model_fields_set  # of a training that failed, nothing need be known
    for name in AtPoint.model_fields if record.status == "ok" else AtPoint.model_fields.keys() & given_fields:
        wanted, used = getattr(asked.hyper, name), getattr(result, name)
        _must(wanted == used, f"result.{name} is {used}, but the point asked for has {wanted}")


def _check_trial(result: TrialResult, asked: FitAsked) -> None:
    _check_scores([result.score, *(one.score for one in result.folds), *(one.score for one in result.rungs)],
                  asked.data.metric)  # fmt: skip
    _must(result.num_validation > 0, "result.num_validation is 0")
    most = max(1, asked.search.folds)  # of tiny sets there are fewer
    _must(1 <= len(result.folds) <= most, f"{len(result.folds)} folds, {most} asked for")
    if result.steps is not None:
        _must(result.steps <= asked.training.steps, f"{result.steps} steps, {asked.training.steps} asked for")
    if result.rungs:
        last = result.rungs[-1]
        ends = (last.step, last.score, last.loss, last.stop) == (result.steps, result.score, result.loss, result.stop)
        _must(ends, "the last rung is not what the trial came to")


def _check_final(result: FinalResult, asked: FitAsked) -> None:
    _check_test(result, asked.data.metric)
    best = max(point.accuracy for point in result.curve)
    _must(result.best_on_test == best, f"result.best_on_test is {result.best_on_test}, but its curve's best is {best}")
    _must(result.curve[-1].loss == result.loss, "result.loss is not where its curve ends")
    _must(asked.deployed is None or len(result.curve) == 1, "a network in wrong use has one score, its curve has more")
    if asked.recipe.labels is not None:
        _must(not result.num_labels, f"result.num_labels is {result.num_labels}, but it learned none of the target's")
    if result.shift is not None:
        _must(asked.deployed is None, "result.shift is there, but a network in wrong use has a test score alone")
        _must(result.shift.num > 0, "result.shift.num is 0")
        _check_scores([result.shift.score], asked.data.metric)
    for name, of_units in (("similarity", result.similarity), ("mix", result.mix)):
        if of_units is not None and asked.recipe.phases:
            num, below = len(of_units), len(asked.recipe.phases[0].rates) - 1
            _must(num == below, f"result.{name} has {num} values, one for each of {below} units was expected")
    if result.mix is not None:
        total = sum(share for share in result.mix if share is not None)
        _must(abs(total - 1) <= ROUNDING, f"result.mix adds up to {total:g}, 1 was expected")
    trials = asked.search.trials
    _must(result.trial is None or result.trial < trials, f"trial {result.trial} of a search of {trials}")


def _check_test(result: FinalResult | PretrainResult, metric: Metric) -> None:
    _must(result.metric == metric, f"result.metric is {result.metric}, but the data's is {metric}")
    _must(result.num_test > 0, "result.num_test is 0")
    _check_scores([result.score, *(point.accuracy for point in result.curve)], metric)
    _check_end(result.curve, result.score)


def _check_end(curve: Sequence[Point], score: float) -> None:
    """All of a curve is of the test split, and its last point of the last weights."""
    _must(len(curve) > 0, "result.curve is empty")
    _must(curve[-1].accuracy == score, f"result.score is {score}, but its curve ends at {curve[-1].accuracy}")


def _check_scores(scores: Iterable[float], metric: Metric) -> None:
    """`results.py` has the upper end."""
    low, score = metrics.lowest(metric), min(scores)
    _must(score >= low - ROUNDING, f"a score of {score}, but {metric} goes from {low:g} to 1")


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
