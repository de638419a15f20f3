"""Who may be the best. The highest mean was picked after the fact, so a test against it finds too much; a strategy
stays a candidate unless some other one is shown to be better than it.
"""

import math
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from bench.analysis.cells import Row, Task, task_of
from bench.analysis.comparison import Contest, Scores
from bench.analysis.statistics import LEVEL
from bench.analysis.variance import Column

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Place:
    is_candidate: bool
    is_highest: bool  # of all means
    behind: float = math.nan  # to the highest mean, at most 0
    # How far its true mean lies below the best of the others, at most 0: for any one strategy the interval holds on
    # 95 % of pages, in all tasks at once. `low` does for all strategies at once, as it errs only where the one
    # comparison with the true best does. NaN, as p, where nothing could be tested.
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan  # that no other is better, corrected

    @property
    def is_tested(self) -> bool:
        return math.isfinite(self.p)


def candidates(columns: Mapping[Name, Column], families: int, broken: Collection[Name] = ()) -> dict[Name, Place]:
    """By one-sided paired tests against every other strategy, Bonferroni over all of them and over `families` such
    questions of a page: the true best is among the candidates on 95 % of pages. `broken`: strategies that collapse at
    times, for whose means no test is honest; they stay candidates, and rule out nobody."""
    means = {name: column.mean for name, column in columns.items()}
    best = max(means.values(), default=math.nan)
    highest = max(means, key=lambda name: means[name], default=None)
    sound = [name for name in columns if name not in broken]
    least = -2.0 if any(score < 0 for column in columns.values() for score in column.scores.values()) else -1.0
    num = len(sound) * families  # one more than its rivals: the two ends of an interval err together
    places = {name: Place(True, name == highest, means[name] - best) for name in columns}
    contest = Contest([columns[name] for name in sound])
    for place, name in enumerate(sound if contest.can_tell else ()):
        rivals = contest.others_minus(place)
        lows, highs = rivals.ends(2 * (1 - LEVEL) / num)
        p = min(1.0, num * float(rivals.p_above().min()))
        low, high = (min(0.0, -float(end.max())) for end in (highs, lows))
        places[name] = replace(places[name], is_candidate=p >= 1 - LEVEL, low=max(low, least), high=high, p=p)
    return places


def standings(summary: list[Row], scores: Scores) -> dict[Task, dict[str, Place]]:
    """By task, the strategies that finished all repeats. `summary`: of the cells."""
    complete = complete_columns(summary, scores)
    families = num_families(complete)
    return {
        task: candidates(columns, families, [name for name in columns if scores.breaks(task, name)])
        for task, columns in complete.items()
    }


def complete_columns(summary: list[Row], scores: Scores) -> dict[Task, dict[str, Column]]:
    found: dict[Task, dict[str, Column]] = {}
    for row in summary:
        mine = found.setdefault(task_of(row), {})
        if row["complete"]:
            mine[row["strategy"]] = scores.columns[task_of(row)][row["strategy"]]
    return found


def num_families(complete: dict[Task, dict[str, Column]]) -> int:
    """Questions for the best on a page: one for each task with a choice, and the mean over them where there are
    several."""
    asked = sum(len(columns) > 1 for columns in complete.values())
    return asked + (asked > 1)
