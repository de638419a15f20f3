"""The scores of a layer-transfer study: by treatment and depth, then by target. `transferability.py` comes next."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.analysis.cells import Row, has_collapsed, records
from bench.analysis.columns import column_of, of_halves
from bench.analysis.frame import SuiteResults
from bench.analysis.variance import Column

BASE = "base"
SIMILAR = "random halves"
POOL = "study"  # of test images, which all of its targets take theirs from

Places = dict[tuple[str, int], dict[str, Column]]  # by treatment and depth, then target: a column of its repeats


@dataclass(frozen=True)
class Curve:
    """Mean score of a treatment at each depth, and the score of each target, a mean over its repeats."""

    treatment: str
    means: dict[int, float]
    targets: dict[int, list[float]]


@dataclass(frozen=True)
class LeftOut:
    """Repeats of a cell that collapsed while others did not: such a mean has no honest interval."""

    treatment: str
    keep: int
    target: str  # with its pair
    num: int
    of: int


def rows_by_kind(results: SuiteResults) -> dict[str, list[Row]]:
    """Those of the study."""
    kinds: dict[str, list[Row]] = {}
    for row in records(results.finals):
        if row["treatment"]:
            kinds.setdefault(SIMILAR if row["pair"].startswith("split ") else row["pair"], []).append(row)
    return kinds


def places_of(rows: list[Row]) -> Places:
    """Without the repeats that collapsed, unless all of a cell did: as verdicts between strategies are."""
    return {
        place: {target: _column(_sound(own)) for target, own in targets.items()}
        for place, targets in _cells(rows).items()
    }


def _cells(rows: list[Row]) -> dict[tuple[str, int], dict[str, list[Row]]]:
    cells: dict[tuple[str, int], dict[str, list[Row]]] = {}
    for row in rows:
        target = f"{row['pair']} {row['target']}"
        cells.setdefault((row["treatment"], int(row["keep"])), {}).setdefault(target, []).append(row)
    return cells


def _sound(rows: list[Row]) -> list[Row]:
    sound = [row for row in rows if not has_collapsed(row)]
    return sound if any(row["status"] == "ok" for row in sound) else rows


def left_out(rows: list[Row]) -> list[LeftOut]:
    return [
        LeftOut(treatment, keep, target, len(own) - len(_sound(own)), len(own))
        for (treatment, keep), targets in _cells(rows).items()
        for target, own in targets.items()
        if len(_sound(own)) < len(own)
    ]


def _column(rows: list[Row]) -> Column:
    return of_halves(column_of(rows), rows)


def curves_of(places: Places) -> list[Curve]:
    treatments = dict.fromkeys(treatment for treatment, _ in places if treatment != BASE)
    made = []
    for treatment in treatments:
        targets = {keep: _targets(own) for (name, keep), own in sorted(places.items()) if name == treatment}
        means = {keep: float(np.mean(scores)) for keep, scores in targets.items() if scores}
        made.append(Curve(treatment, means, targets))
    return made


def _targets(columns: Mapping[str, Column]) -> list[float]:
    return [float(np.mean(list(column.scores.values()))) for column in columns.values() if column.scores]


def mean_base(places: Places) -> float:
    scores = _targets(places.get((BASE, 0), {}))
    return float(np.mean(scores)) if scores else math.nan


