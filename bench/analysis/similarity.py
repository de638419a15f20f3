"""How much training changed each unit, by cell: CKA of its outputs, start against end, over the repeats."""

from dataclasses import dataclass

import pandas as pd

from bench.analysis.cells import Row, Task, cells
from bench.analysis.statistics import Interval, mean_interval


@dataclass(frozen=True)
class Changed:
    task: Task
    strategy: str
    units: list[Interval]  # stem first, without the head; a unit that puts out the same for every image has n = 0
    repeats: int  # that tell of it


def changed(finals: pd.DataFrame) -> list[Changed]:
    """Of the cells whose records tell, in suite order."""
    found = []
    for cell, rows in cells(finals):
        told = [row["similarity"] for row in rows if row["status"] == "ok" and row["similarity"]]
        if told:
            units = [_over_repeats(unit) for unit in zip(*told, strict=True)]
            found.append(Changed((cell[0], cell[1], cell[2]), cell[3], units, len(told)))
    return found


def _over_repeats(values: tuple[float | None, ...]) -> Interval:
    return mean_interval(value for value in values if value is not None)


def num_silent(rows: list[Row]) -> int:
    """Finals that trained in steps and tell nothing, though a suite asks: they were there before."""
    return sum(row["status"] == "ok" and not row["solved"] and not row["similarity"] for row in rows)
