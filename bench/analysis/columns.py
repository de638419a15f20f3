"""From rows of finals to a `Column`: the scores of one cell and what each test image adds to them. `cells.py` and
`comparison.py` come next.
"""

from typing import Any

import numpy as np

from bench import metrics
from bench.analysis.statistics import Floats
from bench.analysis.variance import Column, Indices, Singles
from bench.spec.refs import Metric
from bench.store.predictions import Predictions


def column_of(rows: list[dict[str, Any]], step: float = 0.0) -> Column:
    """Of the finished repeats of one cell. `step`: the smallest difference between scores on its test set."""
    done = [row for row in rows if row["status"] == "ok" and np.isfinite(row["score"])]
    images: dict[int, Singles] = {}
    which: dict[int, Indices] = {}
    for row in done:
        said = row["predictions"].load() if row["predictions"] is not None else None
        adds = _added(row["metric"], said) if said is not None else None
        if said is None or adds is None:
            continue
        images[int(row["repeat"])] = Column.centred(adds)
        if said.images is not None:
            which[int(row["repeat"])] = said.images.astype(np.int64)
    scores = {int(row["repeat"]): float(row["score"]) for row in done}
    return Column(scores, images, which or None, step)


def _added(metric: Metric, said: Predictions) -> Floats | None:
    """What each image adds to the score; None where too little was kept to tell."""
    if metric == "accuracy":
        return np.asarray(said.right, np.float64)
    if said.classes is None or said.truth is None:
        return None
    most = int(max(said.truth.max(initial=0), said.classes.max(initial=0)))
    return metrics.contributions(metric, said.truth, said.classes, most + 1)


def of_halves(column: Column, rows: list[dict[str, Any]]) -> Column:
    """Test images by a number that is the same in every half: the set's class, and its place within the class."""
    if column.which is not None or not column.images:
        return column
    which: dict[int, Indices] = {}
    for row in rows:
        said = row["predictions"].load() if row["predictions"] is not None else None
        if int(row["repeat"]) in column.images and said is not None and said.truth is not None:
            which[int(row["repeat"])] = numbered(np.asarray(row["classes"], np.int64)[said.truth])
    return Column(column.scores, column.images, which or None, column.step)


def numbered(classes: Indices) -> Indices:
    """Of each image, its class and its place within the class: the same number in every half that holds the class."""
    order = np.argsort(classes, kind="stable")
    ranks = np.empty(len(classes), np.int64)
    starts = np.r_[0, np.flatnonzero(np.diff(classes[order])) + 1]
    ranks[order] = np.arange(len(classes)) - np.repeat(starts, np.diff(np.r_[starts, len(classes)]))
    return classes * (1 << 32) + ranks
