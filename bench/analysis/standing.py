"""Who leads a task, and who cannot be told from the leader."""

import pandas as pd

from bench.analysis.cells import Task, cell_summary, records, task_of
from bench.analysis.comparison import ByRepeat, Scores, differences_to
from bench.analysis.statistics import LEVEL, holm, mean_interval

BEST, TIED, BEHIND = "best", "tied", "behind"


def standings(finals: pd.DataFrame) -> dict[Task, dict[str, str]]:
    """By task: each complete strategy is best, tied with the best (Holm within the task), or behind.

    The leader is picked after the fact, so "best" is the highest mean and no more; "behind" is a finding.
    """
    scores = Scores.of(finals)
    complete: dict[Task, dict[str, ByRepeat]] = {}
    for row in records(cell_summary(finals)):
        found = complete.setdefault(task_of(row), {})
        if row["complete"]:
            found[row["strategy"]] = scores.values[task_of(row)][row["strategy"]]
    return {
        task: _standing(columns, scores.steps.get(task[0], 0.0), scores.broken(columns, [task]))
        for task, columns in complete.items()
    }


def _standing(columns: dict[str, ByRepeat], floor: float, alone: set[str]) -> dict[str, str]:
    if not columns:
        return {}
    leader = max(columns, key=lambda name: mean_interval(columns[name].values()).mean)
    others = {name: column for name, column in columns.items() if name != leader}
    found = differences_to(others, columns[leader], floor, alone)
    corrected = dict(zip(found, holm(item.p for item in found.values()), strict=True))
    judged = {name: BEHIND if corrected[name] < 1 - LEVEL else TIED for name in found}
    return {name: BEST if name == leader else judged[name] for name in columns}
