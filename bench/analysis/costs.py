"""What strategies cost and what selecting on test would have given them, as means over the same tasks for all."""

import math

import pandas as pd

from bench.analysis.cells import MEANS, Row, Task, mean_of, records, task_of
from bench.analysis.frame import CELL
from bench.analysis.statistics import Interval, mean_interval


def cost_summary(finals: pd.DataFrame, trials: pd.DataFrame, tasks: list[Task]) -> pd.DataFrame:
    """One row per backbone and strategy: means per final training over `tasks`; seconds of one search, and the share of
    steps that its trials took of those they would take if all ran to their end."""
    wanted = set(tasks)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in records(finals, [*CELL, "baseline", "status", "score", *MEANS]):
        if task_of(row) in wanted and row["status"] == "ok":
            groups.setdefault((row["backbone"], row["strategy"]), []).append(row)
    search, steps = _search_seconds(trials, wanted), _search_steps(trials, wanted)
    rows = [
        {"backbone": key[0], "strategy": key[1], "baseline": bool(rows[0]["baseline"])}
        | {name: mean_of(rows, name) for name in ("score", *MEANS)}
        | {"search_seconds": search.get(key, math.nan), "search_steps": steps.get(key, math.nan)}
        | {"tasks": len({task_of(row) for row in rows})}
        for key, rows in groups.items()
    ]
    columns = ["backbone", "strategy", "baseline", "score", *MEANS, "search_seconds", "search_steps", "tasks"]
    return pd.DataFrame(rows, columns=columns)


def _search_seconds(trials: pd.DataFrame, wanted: set[Task]) -> dict[tuple[str, str], float]:
    """Seconds of one search, summed over its trials, mean over the searches."""
    totals: dict[tuple[str, str], dict[tuple[Task, int], float]] = {}
    for row in records(trials, [*CELL, "repeat", "seconds"]):
        if task_of(row) in wanted and row["seconds"] == row["seconds"]:
            searches = totals.setdefault((row["backbone"], row["strategy"]), {})
            search = (task_of(row), int(row["repeat"]))
            searches[search] = searches.get(search, 0.0) + float(row["seconds"])
    return {key: sum(found.values()) / len(found) for key, found in totals.items()}


def _search_steps(trials: pd.DataFrame, wanted: set[Task]) -> dict[tuple[str, str], float]:
    """Steps taken over steps of the budget, trials that say neither left out."""
    taken: dict[tuple[str, str], tuple[float, float]] = {}
    for row in records(trials, [*CELL, "steps", "full_steps"]):
        if task_of(row) in wanted and row["steps"] == row["steps"] and row["full_steps"] > 0:
            steps, full = taken.get((row["backbone"], row["strategy"]), (0.0, 0.0))
            taken[row["backbone"], row["strategy"]] = steps + float(row["steps"]), full + float(row["full_steps"])
    return {key: steps / full for key, (steps, full) in taken.items()}


def inflation(finals: pd.DataFrame, tasks: list[Task]) -> dict[str, Interval]:
    """By strategy: best test score along the training minus the last one, mean over `tasks`, interval over repeats."""
    wanted = set(tasks)
    gains: dict[str, dict[int, list[float]]] = {}
    for row in records(finals, [*CELL, "repeat", "status", "score", "best_on_test"]):
        if task_of(row) in wanted and row["status"] == "ok":
            gain = float(row["best_on_test"] - row["score"])
            gains.setdefault(row["strategy"], {}).setdefault(int(row["repeat"]), []).append(gain)
    return {
        strategy: mean_interval(sum(found) / len(found) for found in repeats.values())
        for strategy, repeats in gains.items()
    }
