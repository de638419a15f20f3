"""Paired comparisons inside one task: same subset, same split, another strategy. Used by verdicts and leaderboard."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.analysis.cells import Task, records, task_of
from bench.analysis.statistics import (
    Difference,
    Floats,
    difference,
    paired_differences,
    resolution,
    shared_spread,
)

ByRepeat = dict[int, float]

UNLIKE = 4.0  # ratio of variances


@dataclass(frozen=True)
class Scores:
    """Test scores of the finished repeats, by task and strategy, in suite order."""

    values: dict[Task, dict[str, ByRepeat]]
    steps: dict[str, float]  # resolution of each dataset's test score

    @staticmethod
    def of(finals: pd.DataFrame) -> "Scores":
        values: dict[Task, dict[str, ByRepeat]] = {}
        seen: dict[str, list[float]] = {}
        for row in records(finals):
            found = values.setdefault(task_of(row), {}).setdefault(row["strategy"], {})
            if row["status"] == "ok" and np.isfinite(row["score"]):
                found[int(row["repeat"])] = float(row["score"])
                seen.setdefault(row["dataset"], []).append(float(row["score"]))
        return Scores(values, {dataset: resolution(scores) for dataset, scores in seen.items()})


def differences_to(columns: dict[str, ByRepeat], reference: ByRepeat, floor: float = 0.0) -> dict[str, Difference]:
    """Each column minus the reference, paired by repeat, judged by the spread they share."""
    pairs = {name: paired_differences(column, reference) for name, column in columns.items()}
    spread = shared_spread(_matrix(columns, reference), floor)
    unlike = _unlike(pairs)
    return {name: difference(values, None if name in unlike else spread) for name, values in pairs.items()}


def _unlike(pairs: dict[str, Floats]) -> set[str]:
    """Columns far noisier than the others: a shared sd would make them look certain, so their own judges them."""
    variances = {name: float(np.var(values, ddof=1)) for name, values in pairs.items() if len(values) > 1}
    if len(variances) < 2:
        return set()
    total = sum(variances.values())
    return {n for n, own in variances.items() if own > UNLIKE * (total - own) / (len(variances) - 1) > 0}


def _matrix(columns: dict[str, ByRepeat], reference: ByRepeat) -> Floats:
    """[repeats, columns] of differences; a column with fewer pairs than the others does not shape the spread."""
    repeats = sorted(reference)
    table = np.array(
        [[column.get(r, np.nan) - reference[r] for r in repeats] for column in columns.values()], dtype=np.float64
    ).reshape(len(columns), len(repeats))
    counts = np.isfinite(table).sum(axis=1)
    fullest: Floats = table[counts == counts.max(initial=0)].T
    return fullest
