"""Invented nights: one cell that falls, one that rises where the environment changes, others that only move."""

import math
from collections.abc import Sequence

import numpy as np

from bench.gate.series import NightPoint, NightSeries, Stretch
from bench.gate.verdict import CellName

OLD, NEW = "torch 2.15, timm 1.0.31, NVIDIA H100", "torch 2.16, timm 1.0.31, NVIDIA H100"


def one(
    cell: CellName, levels: Sequence[float], per_level: int = 12, seed: int = 0, moved: bool = False
) -> NightSeries:
    """`moved`: the environment is another from the last level on."""
    draw = np.random.default_rng(seed)
    nights, segments = [], []
    for i, level in enumerate(levels):
        segments.append(Stretch(i * per_level, (i + 1) * per_level, level))
        for _ in range(per_level):
            day, mean = len(nights), level + float(draw.normal(0, 0.004))
            environment = NEW if moved and i == len(levels) - 1 else OLD
            when = str(np.datetime64("2026-05-01") + np.timedelta64(day, "D"))
            nights.append(NightPoint(when, f"{day:07x}c0ffee", environment, mean, mean - 0.008, mean + 0.008, 5))
    return NightSeries(cell, tuple(nights), tuple(segments), levels[0])


def many(count: int, nights: int = 30) -> list[NightSeries]:
    """The first falls by 3 points, the second rises by 2 with a new environment, the fifth by 1.5 and falls again."""
    found = []
    for i in range(count):
        cell = CellName(f"digits{i % 3}", ("5", "20", "full")[i % 3], "small", f"freeze(upto={i})")
        levels = {0: (0.92, 0.89), 1: (0.70, 0.72), 4: (0.80, 0.815, 0.79)}.get(i, (0.5 + i / 400,))
        found.append(one(cell, levels, nights // len(levels), i, moved=i == 1))
    return found


def lone() -> NightSeries:
    """One night without an interval, and one that has no score."""
    night = NightPoint("2026-05-01", "ab12cd3", OLD, 0.9, math.nan, math.nan, 1)
    nothing = NightPoint("2026-05-02", "ff", OLD, math.nan, math.nan, math.nan, 0)
    return NightSeries(CellName("near", "5", "small", "lone"), (night, nothing))
