"""Where strategies err: what finals said of each test example, summed up over the repeats of a cell.

The functions of one final are pure and take arrays; `mistakes` reads the files. `report/sections/mistakes.py` shows it.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.analysis.cells import Row, Task, cells, task_of
from bench.analysis.statistics import Floats, Interval, finite, mean_interval
from bench.metrics import METRICS, Metric, confusion, score_of
from bench.store.predictions import Kept, Predictions

BINS = 15  # of the calibration error, equally wide
MOST_CLASSES = 20  # of a confusion table that anybody would read
Table = npt.NDArray[np.int64]
Classes = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Mistakes:
    """Of one cell: means over the repeats whose predictions could be read, and all of their examples in one table."""

    task: Task
    strategy: str
    planned: int  # repeats
    num_classes: int
    metric: Metric  # that the suite scores by
    scores: dict[Metric, Interval]
    log_loss: Interval
    calibration: Interval
    auroc: Interval
    recalls: Floats  # [K] of all examples together; NaN of a class without examples, and where bits alone were kept
    table: Table | None  # [K, K], or [K, K + 1] where a checkpoint answered something else; None: of many classes too


@dataclass(frozen=True)
class Found:
    cells: list[Mistakes]
    problems: list[str] = field(default_factory=list)  # files that could not be read, each with its reason


def mistakes(finals: pd.DataFrame) -> Found:
    """In the suite's order; cells of which nothing was kept are left out."""
    found, problems = [], []
    for _, rows in cells(finals):
        handles: list[Kept] = [row["predictions"] for row in rows if row["predictions"] is not None]
        problems += [handle.problem for handle in handles if handle.problem]
        if readable := [handle for handle in handles if handle.load() is not None]:
            found.append(_of_cell(rows, readable))
    return Found(found, list(dict.fromkeys(problems)))


def highest(found: list[Mistakes]) -> list[Mistakes]:
    """For each task the strategy with the highest mean by the suite's own metric, where there is a table of it."""
    best: dict[Task, Mistakes] = {}
    for one in found:
        before = best.get(one.task)
        mean = one.scores[one.metric].mean
        if one.table is not None and (before is None or mean > before.scores[before.metric].mean):
            best[one.task] = one
    return list(best.values())


def _of_cell(rows: list[Row], handles: list[Kept]) -> Mistakes:
    num_classes = int(rows[0]["num_classes"])
    kept = [told for handle in handles if (told := handle.load()) is not None]

    def over(values: list[float]) -> Interval:
        interval = mean_interval(finite(values))
        return interval if interval.sd > 0 else interval.without_ends()  # the same number every time

    pairs = [(one.truth, one.classes) for one in kept if one.truth is not None and one.classes is not None]
    scores = {metric: over([score_of(metric, *pair, num_classes) for pair in pairs]) for metric in METRICS}
    scores["accuracy"] = over([float(one.right.mean()) for one in kept])
    truth, classes = (np.concatenate(part) for part in zip(*pairs, strict=True)) if pairs else (None, None)
    return Mistakes(
        task_of(rows[0]), rows[0]["strategy"], len(rows), num_classes, rows[0]["metric"], scores,
        log_loss=over([log_loss(one) for one in kept]),
        calibration=over([calibration_error(one) for one in kept]),
        auroc=over([auroc(whole, num_classes) for one in handles if (whole := one.whole()) is not None]),
        recalls=_recalls(truth, classes, num_classes),
        table=_table(truth, classes, num_classes),
    )  # fmt: skip


def _table(truth: Classes | None, classes: Classes | None, num_classes: int) -> Table | None:
    if truth is None or classes is None or num_classes > MOST_CLASSES:
        return None
    return confusion(truth, classes, num_classes)


def _recalls(truth: Classes | None, classes: Classes | None, num_classes: int) -> Floats:
    if truth is None or classes is None:
        return np.full(num_classes, math.nan)
    counts = np.bincount(truth, minlength=num_classes)
    right = np.bincount(truth[truth == classes], minlength=num_classes)
    return np.asarray(right / np.where(counts > 0, counts, math.nan))


def log_loss(one: Predictions) -> float:
    """Mean negative log-probability of the true class; NaN where there are no probabilities."""
    return math.nan if one.log_truth is None else -float(one.log_truth.astype(np.float64).mean())


def calibration_error(one: Predictions) -> float:
    """Expected calibration error: how far the probability of the predicted class is from the share that is right, by
    bins of that probability, each counting by its size."""
    if one.log_classes is None:
        return math.nan
    sure = np.exp(one.log_classes.astype(np.float64))
    if not np.isfinite(sure).all():
        return math.nan
    place = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.bincount(place, one.right - sure, BINS)
    return float(np.abs(gaps).sum() / len(sure))


def auroc(one: Predictions, num_classes: int) -> float:
    """Of two classes the chance that an example of the second one is given a higher probability of it than one of the
    first; of more, the mean over the classes of each against the others, where all probabilities were kept."""
    if one.truth is None or one.classes is None or one.log_classes is None:
        return math.nan
    if num_classes == 2 and bool((one.classes < 2).all()):
        return rank_statistic(_log_odds(one.classes, one.log_classes), one.truth == 1)
    if one.probabilities is None:
        return math.nan
    each = [rank_statistic(one.probabilities[:, k], one.truth == k) for k in range(num_classes)]
    there = finite(each)
    return float(there.mean()) if len(there) else math.nan


def _log_odds(classes: npt.NDArray[np.uint16], log_classes: npt.NDArray[np.float16]) -> Floats:
    """Of the second of two classes. From the logarithm, for near 1 a probability in half precision tells nothing."""
    logs = log_classes.astype(np.float64)
    with np.errstate(divide="ignore"):
        odds = logs - np.log(-np.expm1(logs))
    return np.asarray(np.where(classes == 1, odds, -odds))


def rank_statistic(values: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_]) -> float:
    """Mann and Whitney's, equal values counting half; NaN where one of the two kinds is lacking, or a value is NaN."""
    num, others = int(positive.sum()), int((~positive).sum())
    if not num or not others or np.isnan(values).any():
        return math.nan
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[place][positive].sum() - num * (num + 1) / 2) / (num * others))


