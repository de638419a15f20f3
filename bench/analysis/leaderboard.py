"""Strategies ranked over the tasks that all of them finished: a mean over different tasks would compare nothing."""

import math
from dataclasses import dataclass

import pandas as pd

from bench.analysis.cells import Row, Task, cell_summary, records, task_of
from bench.analysis.comparison import ByRepeat, Scores, differences_to
from bench.analysis.statistics import LEVEL, holm, mean_interval
from bench.analysis.words import shortened

COLUMNS = [
    "strategy", "baseline", "ranked", "mean", "low", "high", "n", "rank", "wins", "behind", "behind_low",
    "behind_high", "behind_p", "tied", "complete", "planned", "gap",
]  # fmt: skip


@dataclass(frozen=True)
class Leaderboard:
    rows: pd.DataFrame  # COLUMNS; ranked strategies first, best first
    tasks: list[Task]  # that the means are over
    left_out: list[Task]  # planned, but not finished by all ranked strategies


def leaderboard(finals: pd.DataFrame) -> Leaderboard:
    """Means, ranks and distance to the first, over the common tasks. The interval is over repeats, tasks held fixed."""
    summary = records(cell_summary(finals))
    tasks = list(dict.fromkeys(task_of(row) for row in summary))
    complete: dict[str, set[Task]] = {row["strategy"]: set() for row in summary}
    for row in summary:
        if row["complete"]:
            complete[row["strategy"]].add(task_of(row))
    ranked, shared = _common(complete)
    common = [task for task in tasks if task in shared]
    undrawn = {row["strategy"] for row in summary if row["undrawn"]}
    rows = _ranked_rows(Scores.of(finals), ranked, common)
    for row in rows:
        if row["strategy"] in undrawn:
            row |= {"low": math.nan, "high": math.nan}
    rows += [{"strategy": name, "ranked": False, "n": 0} for name in complete if name not in ranked]
    for row in rows:
        row |= _gaps(row["strategy"], summary)
    return Leaderboard(pd.DataFrame(rows, columns=COLUMNS), common, [task for task in tasks if task not in shared])


def _common(complete: dict[str, set[Task]]) -> tuple[list[str], set[Task]]:
    """Who is ranked and over which tasks: strategies that finished at least half as much as the furthest one."""
    most = max((len(tasks) for tasks in complete.values()), default=0)
    ranked = [name for name, tasks in complete.items() if tasks and 2 * len(tasks) >= most]
    while ranked:
        shared = set.intersection(*(complete[name] for name in ranked))
        if shared:
            return ranked, shared
        ranked.remove(min(reversed(ranked), key=lambda name: len(complete[name])))
    return [], set()


def _ranked_rows(scores: Scores, ranked: list[str], tasks: list[Task]) -> list[Row]:
    if not tasks:
        return []
    columns = {name: _per_repeat(scores, name, tasks) for name in ranked}
    intervals = {name: mean_interval(column.values()) for name, column in columns.items()}
    order = sorted(ranked, key=lambda name: -intervals[name].mean)
    means = _task_means(scores, ranked, tasks)
    ranks = means.rank(axis=1, ascending=False)  # 1 for the highest; ties share the average of their places
    first = means.rank(axis=1, ascending=False, method="min") == 1
    wins = first.div(first.sum(axis=1), axis=0)  # who share a first place share it out
    floor = min((scores.steps[task[0]] for task in tasks), default=0.0) / len(tasks)
    alone = scores.broken(order, tasks)
    behind = differences_to({name: columns[name] for name in order[1:]}, columns[order[0]], floor, alone)
    corrected = dict(zip(behind, holm(found.p for found in behind.values()), strict=True))
    rows: list[Row] = []
    for name in order:
        cell = intervals[name]
        row: Row = {"strategy": name, "ranked": True, "mean": cell.mean, "low": cell.low, "high": cell.high}
        row |= {"n": cell.n, "rank": float(ranks[name].mean()), "wins": float(wins[name].sum()), "tied": True}
        if name in behind:
            found = behind[name]
            row |= {"behind": found.mean, "behind_low": found.low, "behind_high": found.high}
            row |= {"behind_p": float(corrected[name]), "tied": not corrected[name] < 1 - LEVEL}
        rows.append(row)
    return rows


def _per_repeat(scores: Scores, name: str, tasks: list[Task]) -> ByRepeat:
    """Mean over the tasks, for each repeat that all of them have."""
    columns = [scores.values[task][name] for task in tasks]
    repeats = [r for r in columns[0] if all(r in column for column in columns)]
    return {r: sum(column[r] for column in columns) / len(columns) for r in repeats}


def _task_means(scores: Scores, ranked: list[str], tasks: list[Task]) -> pd.DataFrame:
    """[tasks, strategies], rounded so that equal scores tie."""
    means = [{name: mean_interval(scores.values[task][name].values()).mean for name in ranked} for task in tasks]
    return pd.DataFrame(means, columns=ranked).round(9)


def _gaps(strategy: str, summary: list[Row]) -> Row:
    mine = [row for row in summary if row["strategy"] == strategy and row["applicable"]]
    short = [row for row in mine if not row["complete"]]
    finished = len(mine) - len(short)
    gap = (
        ""
        if not short
        else "; ".join(f"{shortened(row['dataset'], 30)}, {row['budget']}: {row['statuses']}" for row in short[:3])
        + (f"; and {len(short) - 3} more" if len(short) > 3 else "")
    )
    baseline = any(bool(row["baseline"]) for row in summary if row["strategy"] == strategy)
    return {"baseline": baseline, "complete": finished, "planned": len(mine), "gap": gap}


def fewest_tasks(strategies: int) -> int:
    """How many tasks a Wilcoxon test needs, Holm-corrected over all pairs, before it can show anything at 5 %."""
    pairs = strategies * (strategies - 1) // 2
    tasks = 1
    while pairs * 2 / 2**tasks >= 1 - LEVEL:
        tasks += 1
    return tasks
