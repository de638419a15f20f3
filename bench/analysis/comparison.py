"""Paired comparisons inside one task: same labels, same test images, another strategy. `variance.py` says what the
differences owe to chance; verdicts, candidates and the leaderboard read them here.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from bench.analysis.cells import Row, Task, has_collapsed, records, task_of
from bench.analysis.columns import column_of
from bench.analysis.statistics import finite, resolution
from bench.analysis.variance import Column, Estimate, Indices, Sample, pool

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Scores:
    """Finished repeats, by task and strategy, in suite order."""

    columns: dict[Task, dict[str, Column]]
    collapsed: dict[tuple[Task, str], frozenset[int]]  # repeats, where there are any

    @staticmethod
    def of(finals: pd.DataFrame) -> "Scores":
        cells: dict[Task, dict[str, list[Row]]] = {}
        for row in records(finals):
            cells.setdefault(task_of(row), {}).setdefault(row["strategy"], []).append(row)
        seen: dict[str, list[float]] = {}
        for row in records(finals):
            seen.setdefault(row["dataset"], []).append(row["score"])
        steps = {dataset: resolution(finite(scores)) for dataset, scores in seen.items()}
        columns = {
            task: {strategy: column_of(rows, steps[task[0]]) for strategy, rows in strategies.items()}
            for task, strategies in cells.items()
        }
        collapsed = {
            (task, strategy): frozenset(int(row["repeat"]) for row in rows if has_collapsed(row))
            for task, strategies in cells.items()
            for strategy, rows in strategies.items()
        }
        return Scores(columns, {name: repeats for name, repeats in collapsed.items() if repeats})

    def breaks(self, task: Task, strategy: str) -> int:
        """Repeats in which it collapsed, where it did not in all of them: its mean has no honest interval then."""
        collapsed = self.collapsed.get((task, strategy), frozenset())
        return len(collapsed) if len(collapsed) < len(self.columns[task][strategy].scores) else 0

    def judged(self, task: Task, strategy: str) -> Column:
        """Without the repeats in which it collapsed, unless all of them did."""
        column = self.columns[task][strategy]
        if not self.breaks(task, strategy):
            return column
        collapsed = self.collapsed[task, strategy]
        return replace(column, scores={r: score for r, score in column.scores.items() if r not in collapsed})


def estimates(samples: Mapping[Name, Sample]) -> dict[Name, Estimate]:
    """Each with what all of them say of the spread between repeats."""
    others = pool(list(samples.values()))
    return {name: Estimate.of(sample, others) for name, sample in samples.items()}


def average(columns: Sequence[tuple[str, Column]]) -> Column:
    """The mean over tasks, given with their data sets, for each repeat that all of them have. Tasks of one data set
    share its test images; those of different ones are independent."""
    repeats = [r for r in columns[0][1].scores if all(r in column.scores for _, column in columns)]
    size = len(columns)
    scores = {r: sum(column.scores[r] for _, column in columns) / size for r in repeats}
    step = min(column.step for _, column in columns) / size
    known = [r for r in repeats if all(r in column.images for _, column in columns)]
    by_dataset: dict[str, list[Column]] = {}
    for dataset, column in columns:
        by_dataset.setdefault(dataset, []).append(column)
    images = {
        r: np.concatenate([np.sum([one.images[r] for one in same], axis=0) / size for same in by_dataset.values()])
        for r in known
    }
    firsts = [same[0] for same in by_dataset.values()]
    which = {r: _numbered(firsts, r) for r in known} if any(one.which is not None for one in firsts) else None
    return Column(scores, images, which, step)


def _numbered(columns: list[Column], repeat: int) -> Indices:
    """The images of one repeat, no two data sets sharing a number."""
    numbers: list[Indices] = []
    start = 0
    for column in columns:
        size = len(column.images[repeat])
        numbers.append(start + (np.arange(size) if column.which is None else column.which[repeat]))
        start += size if column.which is None else 1 + max(int(one.max()) for one in column.which.values())
    return np.concatenate(numbers)
