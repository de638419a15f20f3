"""Where a series of nights changes its level: drifts, and steps too small for a single night to show.

Binary segmentation: the split that explains most of the series' variance is kept where a shuffled series hardly ever
has one as good, then each side is looked at in the same way.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.analysis.statistics import Floats
from bench.gate.baseline import Baseline, Row
from bench.gate.verdict import CellName

SHORTEST = 3  # nights between two steps
MOST_SHUFFLES = 20_000  # for suites of hundreds of cells, where a page must not take an hour
SHUFFLES = 999  # at least; the smallest p that shuffling can tell is one over their number
LEVEL = 0.05  # of series without any step, the share in which one is found


@dataclass(frozen=True)
class Segment:
    start: int  # first night
    end: int  # one past the last
    mean: float

    @property
    def n(self) -> int:
        return self.end - self.start


def segments(series: Sequence[float], level: float = LEVEL, seed: int = 0) -> list[Segment]:
    """Stretches of one level, in order; one of them where there is no step. Of several series, divide the level by
    their number."""
    values = np.asarray(series, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a series of nights has a number for each of them")
    rng = np.random.default_rng(seed)
    bounds = [0, *_splits(values, 0, len(values), level, rng), len(values)]
    return [Segment(a, b, float(values[a:b].mean())) for a, b in zip(bounds, bounds[1:], strict=False) if b > a]


def _splits(
    values: Floats, start: int, end: int, level: float, rng: np.random.Generator
) -> list[int]:
    part = values[start:end]
    if len(part) < 2 * SHORTEST or not np.ptp(part) > 0:
        return []
    gains = _gains(part[None])[0]
    best = int(gains.argmax())
    times = min(max(SHUFFLES, math.ceil(4 / level)), MOST_SHUFFLES)
    shuffled = _gains(rng.permuted(np.broadcast_to(part, (times, len(part))), axis=1)).max(axis=1)
    # A shuffled series that ties counts against the step; the margin is for rounding.
    if (1 + int((shuffled >= gains[best] * (1 - 1e-9)).sum())) / (1 + times) > level:
        return []
    middle = start + SHORTEST + best
    return [*_splits(values, start, middle, level, rng), middle, *_splits(values, middle, end, level, rng)]


def _gains(series: Floats) -> Floats:
    """[series, splits]: the variance between the two sides of each split. Grows with Student's t, and is finite where
    both sides are constant."""
    nights = series.shape[1]
    left = np.arange(SHORTEST, nights - SHORTEST + 1)
    sums = np.cumsum(series - series.mean(axis=1, keepdims=True), axis=1)[:, left - 1]
    gains: Floats = sums**2 / left + sums**2 / (nights - left)
    return gains


@dataclass(frozen=True)
class Course:
    """A cell over the nights that can be compared with the last one."""

    nights: tuple[int, ...]  # places in what was given; `segments` count along these
    means: tuple[float, ...]  # shares
    segments: tuple[Segment, ...]


def courses(nights: Sequence[Baseline], level: float = LEVEL) -> dict[CellName, Course]:
    """Of every cell, as far as nights can be compared with the last one that has it. `level`: of nothing but noise, the
    share of suites in which a step is found."""
    cells = [night.cells() for night in nights]
    last = {name: number for number, of in enumerate(cells) for name in of}
    found = {}
    for name, newest in last.items():
        rows = cells[newest][name]
        places = [
            number for number, night in enumerate(nights)
            if night.environment == nights[newest].environment and _alike(cells[number].get(name, []), rows)
        ]  # fmt: skip
        means = tuple(float(np.mean([row.score for row in cells[number][name]])) for number in places)
        firsts = _firsts([[row.score for row in cells[number][name]] for number in places])
        levels = segments([means[first] for first in firsts], level / len(last))
        found[name] = Course(tuple(places), means, tuple(_over(levels, firsts, means)))
    return found


def _firsts(drawn: Sequence[list[float]]) -> list[int]:
    """Where the scores are others than the night before's. Code that has not changed repeats itself to the bit; such
    nights are one draw, however many there are."""
    return [number for number, scores in enumerate(drawn) if number == 0 or scores != drawn[number - 1]]


def _over(levels: Sequence[Segment], firsts: Sequence[int], means: Sequence[float]) -> list[Segment]:
    """The same stretches, counted in nights."""
    bounds = [*(firsts[one.start] for one in levels), len(means)]
    return [Segment(a, b, float(np.mean(means[a:b]))) for a, b in zip(bounds, bounds[1:], strict=False)]


def _alike(some: Sequence[Row], rows: Sequence[Row]) -> bool:
    return [(r.repeat, r.fingerprint, r.metric) for r in some] == [(r.repeat, r.fingerprint, r.metric) for r in rows]
