"""What records tell of each unit, by cell, over the repeats: how much training changed it (CKA of its outputs, start
against end), or how much a classifier of all units weighs it.
"""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from bench.analysis.cells import Row, Task, cells
from bench.analysis.statistics import Interval, mean_interval


@dataclass(frozen=True)
class OfUnits:
    task: Task
    strategy: str
    units: list[Interval]  # stem first, without the head; a unit of which nothing is told has n = 0
    repeats: int  # that tell of it


def of_units(finals: pd.DataFrame, column: Literal["similarity", "mix"]) -> list[OfUnits]:
    """Of the cells whose records tell, in suite order."""
    found = []
    for cell, rows in cells(finals) if finals[column].map(bool).any() else ():
        told = [row[column] for row in rows if row["status"] == "ok" and row[column]]
        if told:
            units = [_over_repeats(unit) for unit in zip(*told, strict=True)]
            found.append(OfUnits((cell[0], cell[1], cell[2]), cell[3], units, len(told)))
    return found


def _over_repeats(values: tuple[float | None, ...]) -> Interval:
    return mean_interval(value for value in values if value is not None)


def num_silent(rows: list[Row]) -> int:
    """Finals that trained in steps and tell nothing, though a suite asks: they were there before."""
    return sum(row["status"] == "ok" and not row["solved"] and not row["similarity"] for row in rows)
