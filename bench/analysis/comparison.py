"""Paired comparisons inside one task: same subset, same split, another strategy. Used by verdicts and leaderboard."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.analysis.cells import Task, has_collapsed, records, task_of
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
    collapsed: frozenset[tuple[Task, str]] = frozenset()  # strategies of which a repeat has collapsed there

    @staticmethod
    def of(finals: pd.DataFrame) -> "Scores":
        values: dict[Task, dict[str, ByRepeat]] = {}
        seen: dict[str, list[float]] = {}
        collapsed = {(task_of(row), row["strategy"]) for row in records(finals) if has_collapsed(row)}
        for row in records(finals):
            found = values.setdefault(task_of(row), {}).setdefault(row["strategy"], {})
            if row["status"] == "ok" and np.isfinite(row["score"]):
                found[int(row["repeat"])] = float(row["score"])
                seen.setdefault(row["dataset"], []).append(float(row["score"]))
        steps = {dataset: resolution(scores) for dataset, scores in seen.items()}
        return Scores(values, steps, frozenset(collapsed))

    def broken(self, strategies: Iterable[str], tasks: Iterable[Task]) -> set[str]:
        """Strategies of which a repeat has collapsed on one of the tasks: nobody else is judged by their spread."""
        wanted = set(tasks)
        return {name for name in strategies if any(task in wanted for task, one in self.collapsed if one == name)}


def differences_to(
    columns: dict[str, ByRepeat], reference: ByRepeat, floor: float = 0.0, alone: Collection[str] = ()
) -> dict[str, Difference]:
    """Each column minus the reference, paired by repeat, judged by the spread they share. `alone`: columns that are
    judged by their own and lend it to nobody, as one collapsed repeat would drown what the others show."""
    pairs = {name: paired_differences(column, reference) for name, column in columns.items()}
    pool = {name: column for name, column in columns.items() if name not in alone}
    spread = shared_spread(_matrix(pool, reference), floor)
    own = {*alone, *_unlike({name: pairs[name] for name in pool})}
    return {name: difference(values, None if name in own else spread) for name, values in pairs.items()}


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
