"""The paper's own reading of a layer-transfer study: the mean of the ten best test scores along each training.

It chooses by the test set, so it stands beside the last score for comparison, and nothing else reads it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.cells import Row
from bench.analysis.comparison import average
from bench.analysis.frame import SuiteResults
from bench.analysis.statistics import Interval, mean_interval
from bench.analysis.treatments import POOL, Curve, Places, curves_of, mean_base, places_of, rows_by_kind
from bench.suite.study_schema import BEST


@dataclass(frozen=True)
class Inflation:
    """Of one treatment, over all targets and depths. Shares."""

    treatment: str
    last: float
    ten_best: float
    gain: Interval  # over repeats


@dataclass(frozen=True)
class TenBest:
    """Of one kind of pair."""

    kind: str
    num_units: int
    base: float
    curves: list[Curve]
    inflations: list[Inflation]  # the base first


def is_wanted(results: SuiteResults) -> bool:
    asked = results.suite.get("transferability")
    return asked is not None and asked["reading"] == "yosinski"


def num_readings(results: SuiteResults) -> int:
    """Test scores along each training, the fewest that one has."""
    return min((len(curve) for curve in results.finals["curve"] if curve), default=0)


def ten_best(results: SuiteResults) -> list[TenBest]:
    """One for each kind of pair, where the suite asks for it."""
    if not is_wanted(results):
        return []
    found = []
    for kind, rows in rows_by_kind(results).items():
        last, best = places_of(rows), places_of([_as_in_the_paper(row) for row in rows])
        num_units = max(int(row["num_units"]) for row in rows)
        found.append(TenBest(kind, num_units, mean_base(best), curves_of(best), _inflations(last, best)))
    return found


def _as_in_the_paper(row: Row) -> Row:
    # What was predicted belongs to the last score.
    return {**row, "score": mean_of_best(row["curve"]), "predictions": None}


def mean_of_best(curve: Sequence[tuple[int, float]]) -> float:
    """Of the test scores along a training, given with their steps; NaN where there are too few."""
    scores = sorted(score for _, score in curve)
    return sum(scores[-BEST:]) / BEST if len(scores) >= BEST else math.nan


def _inflations(last: Places, best: Places) -> list[Inflation]:
    found = []
    for treatment in dict.fromkeys(name for name, _ in last):
        where = [(place, target) for place, columns in last.items() if place[0] == treatment
                 for target, column in columns.items() if column.scores]
        if not where:
            continue
        honest, chosen = (average([(POOL, places[place][target]) for place, target in where])
                          for places in (last, best))  # fmt: skip
        gains = chosen.minus(honest).values
        shared = [repeat for repeat in honest.scores if repeat in chosen.scores]
        means = [mean_interval(one.scores[r] for r in shared).mean for one in (honest, chosen)]
        found.append(Inflation(treatment, means[0], means[1], mean_interval(gains)))
    return found
