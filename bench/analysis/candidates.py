"""Who may be the best. The highest mean was picked after the fact, so a test against it finds too much; a strategy
stays a candidate unless some other one is shown to be better than it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from bench.analysis.cells import Task, cell_summary, records, task_of
from bench.analysis.comparison import Scores, estimates
from bench.analysis.statistics import LEVEL
from bench.analysis.variance import Column


@dataclass(frozen=True)
class Place:
    is_candidate: bool
    is_highest: bool  # of all means
    behind: float = math.nan  # to the highest mean, at most 0
    # How far its true mean lies below the best of the others, at most 0: for any one strategy the interval holds on
    # 95 % of pages, in all tasks at once.
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan  # that no other is better, corrected


def candidates(columns: Mapping[str, Column], families: int) -> dict[str, Place]:
    """By one-sided paired tests against every other strategy, Bonferroni over these and over `families` such questions
    of a page: the true best is among the candidates on 95 % of pages."""
    means = {name: column.alone().mean for name, column in columns.items()}
    highest = max(means, key=lambda name: means[name], default="")
    pairs = {(a, b): columns[a].minus(columns[b]) for a, b in combinations(columns, 2)}
    pairs |= {(b, a): sample.opposite for (a, b), sample in pairs.items()}
    found = {}
    for name in columns:
        rivals = estimates({other: pairs[other, name] for other in columns if other != name})
        tests = len(rivals) * families
        level = (1 - LEVEL) / max(tests, 1)
        p = [tests * one.p_above() for one in rivals.values()]
        ends = [one.ends(2 * level) for one in rivals.values()]
        found[name] = Place(
            is_candidate=not any(one < 1 - LEVEL for one in p),
            is_highest=name == highest,
            behind=means[name] - means[highest],
            low=min(0.0, -max((high for _, high in ends), default=math.nan)),
            high=min(0.0, -max((low for low, _ in ends), default=math.nan)),
            p=min(1.0, *p) if p else math.nan,
        )
    return found


def standings(finals: pd.DataFrame, scores: Scores | None = None) -> dict[Task, dict[str, Place]]:
    """By task, the strategies that finished all repeats."""
    scores = scores or Scores.of(finals)
    complete = complete_columns(finals, scores)
    families = num_families(complete)
    return {task: candidates(columns, families) for task, columns in complete.items()}


def complete_columns(finals: pd.DataFrame, scores: Scores) -> dict[Task, dict[str, Column]]:
    found: dict[Task, dict[str, Column]] = {}
    for row in records(cell_summary(finals)):
        mine = found.setdefault(task_of(row), {})
        if row["complete"]:
            mine[row["strategy"]] = scores.columns[task_of(row)][row["strategy"]]
    return found


def num_families(complete: dict[Task, dict[str, Column]]) -> int:
    """Questions for the best on a page: one for each task with a choice, and the mean over them where there are
    several."""
    asked = sum(len(columns) > 1 for columns in complete.values())
    return asked + (asked > 1)
