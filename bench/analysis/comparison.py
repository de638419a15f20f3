"""Paired comparisons inside one task: same labels, same test images, another strategy. `variance.py` says what the
differences owe to chance; verdicts, candidates and the leaderboard read them here.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from bench.analysis.cells import Row, Task, cells, has_collapsed, records, task_of
from bench.analysis.columns import column_of
from bench.analysis.statistics import Floats, finite, resolution
from bench.analysis.variance import Column, Estimate, Estimates, Indices, Sample, Samples, pool

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Scores:
    """Finished repeats, by task and strategy, in suite order."""

    cells: list[tuple[tuple[str, ...], list[Row]]]  # the rows that they are of, finished or not
    columns: dict[Task, dict[str, Column]]
    collapsed: dict[tuple[Task, str], frozenset[int]]  # repeats, where there are any

    @staticmethod
    def of(finals: pd.DataFrame) -> "Scores":
        rows = records(finals)
        tasks: dict[Task, dict[str, list[Row]]] = {}
        seen: dict[str, list[float]] = {}
        for row in rows:
            tasks.setdefault(task_of(row), {}).setdefault(row["strategy"], []).append(row)
            seen.setdefault(row["dataset"], []).append(row["score"])
        steps = {dataset: resolution(finite(scores)) for dataset, scores in seen.items()}
        columns = {
            task: {strategy: column_of(own, steps[task[0]]) for strategy, own in strategies.items()}
            for task, strategies in tasks.items()
        }
        collapsed = {
            (task, strategy): frozenset(int(row["repeat"]) for row in own if has_collapsed(row))
            for task, strategies in tasks.items()
            for strategy, own in strategies.items()
        }
        return Scores(cells(finals, rows), columns, {name: repeats for name, repeats in collapsed.items() if repeats})

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


class Contest:
    """Columns of one question, each held against all others, in the repeats that all of them have."""

    def __init__(self, columns: Sequence[Column]) -> None:
        repeats = [r for r in columns[0].scores if all(r in one.scores for one in columns)] if columns else []
        self._columns = [replace(one, scores={r: one.scores[r] for r in repeats}) for one in columns]
        self._scores = np.array([list(one.scores.values()) for one in self._columns], np.float64)  # [m, n]
        self._steps = np.array([one.step for one in columns], np.float64)
        self._knows_images = any(one.images for one in columns)
        self._pairs: dict[tuple[int, int], tuple[float, float, int]] = {}

    @property
    def can_tell(self) -> bool:
        """Whether there are two, and two repeats."""
        return len(self._columns) > 1 and self._scores.shape[1] > 1

    def others_minus(self, place: int) -> Estimates:
        """Each other minus this one, in order."""
        samples = self._samples(np.delete(np.arange(len(self._columns)), place), place)
        return Estimates.of(samples, samples.spread())

    def _samples(self, others: Indices, place: int) -> Samples:
        said = [self._images(min(one, place), max(one, place)) for one in others.tolist()]
        within, images, num = zip(*said, strict=True) if said else ((), (), ())
        return Samples(
            self._scores[others] - self._scores[place],
            np.array(within, np.float64),
            np.array(images, np.float64),
            np.array(num, np.int64),
            np.maximum(self._steps[others], self._steps[place]),
        )

    def _images(self, one: int, other: int) -> tuple[float, float, int]:
        """What images say of a pair, which is the same either way round."""
        if not self._knows_images:
            return 0.0, 0.0, 0
        if (one, other) not in self._pairs:
            sample = self._columns[one].minus(self._columns[other])
            self._pairs[one, other] = sample.within, sample.images, sample.num_images
        return self._pairs[one, other]


def average(columns: Sequence[tuple[str, Column]]) -> Column:
    """The mean over tasks, given with their data sets, for each repeat that all of them have."""
    return blend([(1 / len(columns), dataset, column) for dataset, column in columns])


def blend(terms: Sequence[tuple[float, str, Column]]) -> Column:
    """A sum of columns, each with its weight and the pool of its test images, for each repeat that all of them have.
    Columns of one pool share its images; images of different pools are independent."""
    columns = [column for _, _, column in terms]
    repeats = [r for r in columns[0].scores if all(r in column.scores for column in columns)]
    pools: dict[str, list[tuple[float, Column]]] = {}
    for weight, name, column in terms:
        pools.setdefault(name, []).append((weight, column))
    known = [r for r in repeats if all(_know_alike(own, r) for own in pools.values())]
    images: dict[int, list[Floats]] = {r: [] for r in known}
    numbers: dict[int, list[Indices]] = {r: [] for r in known}
    start = 0
    for own in pools.values():
        summed = {r: _summed(own, r) for r in known}
        for r, (total, places) in summed.items():
            images[r].append(total)
            numbers[r].append(start + places)
        start += 1 + max((int(places.max(initial=0)) for _, places in summed.values()), default=0)
    is_numbered = any(column.which is not None for column in columns)
    return Column(
        {r: sum(weight * column.scores[r] for weight, _, column in terms) for r in repeats},
        {r: np.concatenate(one).astype(np.float32) for r, one in images.items()},
        {r: np.concatenate(one) for r, one in numbers.items()} if is_numbered and known else None,
        min(abs(weight) * column.step for weight, _, column in terms),
    )


def _know_alike(own: list[tuple[float, Column]], repeat: int) -> bool:
    """Whether images of one pool can be told from each other: all by their numbers, or all by their order."""
    columns = [column for _, column in own]
    if any(repeat not in column.images for column in columns):
        return False
    if all(column.which is None for column in columns):
        return len({len(column.images[repeat]) for column in columns}) == 1
    return all(column.which is not None and repeat in column.which for column in columns)


def _summed(own: list[tuple[float, Column]], repeat: int) -> tuple[Floats, Indices]:
    """What the images of one pool add, each once, and their numbers."""
    first = own[0][1]
    if first.which is None:
        total = np.sum([weight * column.images[repeat] for weight, column in own], axis=0)
        return total, np.arange(len(total))
    listed = [column.which[repeat] for _, column in own if column.which is not None]
    if all(np.array_equal(one, listed[0]) for one in listed):
        return np.sum([weight * column.images[repeat] for weight, column in own], axis=0), listed[0]
    places = np.unique(np.concatenate(listed))
    total = np.zeros(len(places))
    for (weight, column), numbers in zip(own, listed, strict=True):
        total[np.searchsorted(places, numbers)] += weight * column.images[repeat]
    return total, places
