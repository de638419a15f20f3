"""What strategies cost and what selecting on test would have given them, as means over the same tasks for all."""

import pandas as pd

from bench.analysis.cells import Row, Task, mean_of, records, task_of
from bench.analysis.statistics import Interval, mean_interval

MEANS = ("score", "flops", "samples", "trainable_params", "total_params", "seconds", "peak_memory_bytes")


def cost_summary(finals: pd.DataFrame, trials: pd.DataFrame, tasks: list[Task]) -> pd.DataFrame:
    """One row per backbone and strategy: means per final training over `tasks`, and the search's seconds per task."""
    wanted = set(tasks)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in records(finals):
        if task_of(row) in wanted and row["status"] == "ok":
            groups.setdefault((row["backbone"], row["strategy"]), []).append(row)
    search = _search_seconds(trials, wanted)
    rows = [
        {"backbone": key[0], "strategy": key[1], "baseline": bool(rows[0]["baseline"])}
        | {name: mean_of(rows, name) for name in MEANS}
        | {"search_seconds": search.get(key, float("nan")), "tasks": len({task_of(row) for row in rows})}
        for key, rows in groups.items()
    ]
    columns = ["backbone", "strategy", "baseline", *MEANS, "search_seconds", "tasks"]
    return pd.DataFrame(rows, columns=columns)


def _search_seconds(trials: pd.DataFrame, wanted: set[Task]) -> dict[tuple[str, str], float]:
    """Seconds of one search, summed over its trials, mean over the searches."""
    totals: dict[tuple[str, str], dict[tuple[Task, int], float]] = {}
    for row in records(trials):
        if task_of(row) in wanted and row["seconds"] == row["seconds"]:
            searches = totals.setdefault((row["backbone"], row["strategy"]), {})
            search = (task_of(row), int(row["repeat"]))
            searches[search] = searches.get(search, 0.0) + float(row["seconds"])
    return {key: sum(found.values()) / len(found) for key, found in totals.items()}


def inflation(finals: pd.DataFrame, tasks: list[Task]) -> dict[str, Interval]:
    """By strategy: best test score along the training minus the last one, mean over `tasks`, interval over repeats."""
    wanted = set(tasks)
    gains: dict[str, dict[int, list[float]]] = {}
    for row in records(finals):
        if task_of(row) in wanted and row["status"] == "ok":
            gain = float(row["best_on_test"] - row["score"])
            gains.setdefault(row["strategy"], {}).setdefault(int(row["repeat"]), []).append(gain)
    return {
        strategy: mean_interval(sum(found) / len(found) for found in repeats.values())
        for strategy, repeats in gains.items()
    }
