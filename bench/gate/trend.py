"""Kept nights -> one series for each cell of the last one, with the steps that are found in it. The page of many nights
draws them.
"""

from collections.abc import Sequence

from bench.analysis.statistics import mean_interval
from bench.gate.baseline import Baseline, Row
from bench.gate.series import NightPoint, NightSeries, Stretch
from bench.gate.steps import Course, courses
from bench.gate.verdict import CellName


def series_of(nights: Sequence[Baseline], accepted: Baseline | None = None) -> list[NightSeries]:
    """`nights`: oldest first. Nights of other environments are drawn too; steps are looked for among those that can be
    compared with the last one."""
    cells = [night.cells() for night in nights]
    means = {name: _mean(rows) for name, rows in accepted.cells().items()} if accepted is not None else {}
    found = []
    for name, course in courses(nights).items():
        places = [number for number, of in enumerate(cells) if name in of]
        points = tuple(_point(nights[number], cells[number][name]) for number in places)
        found.append(NightSeries(name, points, _segments(course, places), means.get(name)))
    return found


def _segments(course: Course, places: Sequence[int]) -> tuple[Stretch, ...]:
    """Counted along the nights that are drawn."""
    drawn = {night: place for place, night in enumerate(places)}
    at = [drawn[night] for night in course.nights]
    return tuple(Stretch(at[one.start], at[one.end - 1] + 1, one.mean) for one in course.segments)


def _point(night: Baseline, rows: Sequence[Row]) -> NightPoint:
    seen = mean_interval(row.score for row in rows)
    commit = (night.commit or "no commit")[:12] + (" + changes" if night.dirty else "")
    return NightPoint(night.accepted, commit, str(night.environment), seen.mean, seen.low, seen.high, seen.n)


def _mean(rows: Sequence[Row]) -> float:
    return mean_interval(row.score for row in rows).mean


def stepped(series: Sequence[NightSeries]) -> dict[CellName, float]:
    """Cells whose level has changed, with the largest step in points."""
    return {one.cell: one.largest for one in series if one.steps}
