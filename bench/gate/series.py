"""What the trend page is made of. Scores are shares between 0 and 1."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from bench.gate.verdict import CellName


@dataclass(frozen=True)
class NightPoint:
    """One cell in one night."""

    when: str  # ISO date or time: nights are put in its order
    commit: str
    environment: str  # its class in words, as `torch 2.15, timm 1.0.31, NVIDIA H100`
    mean: float
    low: float  # the interval of the mean; NaN where n is 1
    high: float
    n: int


class Stretch(NamedTuple):
    """`nights[start:end]` have one level; where the next begins is a step."""

    start: int
    end: int
    mean: float


@dataclass(frozen=True)
class NightSeries:
    cell: CellName
    nights: tuple[NightPoint, ...]  # oldest first
    segments: tuple[Stretch | tuple[int, int, float], ...] = ()  # in order; empty: none was looked for
    baseline: float | None = None  # the accepted score

    @property
    def steps(self) -> "list[Jump]":
        levels = [Stretch(*segment) for segment in self.segments]
        return [
            Jump(self, before, after)
            for before, after in zip(levels, levels[1:], strict=False)
            if 0 < after.start < len(self.nights)
        ]

    @property
    def largest(self) -> float:
        """Points of the largest step, 0 without one."""
        return max((abs(step.points) for step in self.steps), default=0.0)

    @property
    def movement(self) -> float:
        """Points between the lowest night and the highest."""
        means = [night.mean for night in self.nights if math.isfinite(night.mean)]
        return 100 * (max(means) - min(means)) if means else 0.0


@dataclass(frozen=True)
class Jump:
    series: NightSeries
    before: Stretch
    after: Stretch

    @property
    def points(self) -> float:
        return 100 * (self.after.mean - self.before.mean)

    @property
    def last(self) -> NightPoint:
        """The last night on the old level."""
        return self.series.nights[self.after.start - 1]

    @property
    def first(self) -> NightPoint:
        """The first night on the new level."""
        return self.series.nights[self.after.start]
