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
