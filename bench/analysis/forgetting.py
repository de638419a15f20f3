"""What became of the source task, by strategy and backbone."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from bench.analysis.cells import Row, finite_rows, records
from bench.analysis.statistics import Interval, mean_interval


@dataclass(frozen=True)
class Forgotten:
    """Shares of the source's images. The changes are after minus before, mean over tasks, interval over repeats."""

    before: float
    after: float
    change: Interval  # by the original head
    refitted: Interval  # by a head fitted anew


def forgotten(finals: pd.DataFrame) -> dict[tuple[str, str], Forgotten]:
    """By (backbone, strategy), where the source's images were at hand; in the suite's order."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in finite_rows(records(finals), "source_after"):
        groups.setdefault((row["backbone"], row["strategy"]), []).append(row)
    return {
        name: Forgotten(
            before=_mean(row["source_before"] for row in rows),
            after=_mean(row["source_after"] for row in rows),
            change=_change(rows, "source"),
            refitted=_change(rows, "refitted"),
        )
        for name, rows in groups.items()
    }


def _change(rows: list[Row], head: str) -> Interval:
    by_repeat: dict[int, list[float]] = {}
    for row in rows:
        by_repeat.setdefault(int(row["repeat"]), []).append(row[f"{head}_after"] - row[f"{head}_before"])
    return mean_interval(_mean(found) for found in by_repeat.values())


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
