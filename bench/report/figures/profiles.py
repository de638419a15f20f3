"""Share of task-repeats that score above a height, one falling line per strategy."""

import math
from dataclasses import dataclass

from bench.report.figures.lines import LinePoint, gid, marks, style, tell
from bench.report.palette import SENTINELS
from bench.report.svg import Picture, inline, name_axes, new_panel
from bench.report.view import Look

MARKS = 5  # on each line, to tell them apart without colour


@dataclass(frozen=True)
class Profile:
    """In percent, from the left to the right."""

    series: Look
    heights: list[float]
    shares: list[float]
    low: list[float]  # empty where no band is to be drawn
    high: list[float]


def profiles_panel(profiles: list[Profile], name: str) -> Picture:
    figure, axes = new_panel(370, 270)
    for number, one in enumerate(profiles):
        if one.low and math.isfinite(one.low[0]):
            color = SENTINELS[one.series.color]
            band = axes.fill_between(one.heights, one.low, one.high, color=color, alpha=0.16, linewidth=0, step="post")
            band.set_gid(gid(one.series))
        every = max(len(one.heights) // MARKS, 1)
        look = style(one.series)
        axes.plot(one.heights, one.shares, **{**look, "marker": "", "drawstyle": "steps-post"})  # type: ignore[arg-type]
        points = [
            LinePoint(x, y, told=tell(one.series.name, f"above {x:.0f} %", f"{y:.0f} % of trainings"))
            for x, y in zip(one.heights, one.shares, strict=True)
        ]
        marks(axes, points[number * every // len(profiles) :: every], {**look, "linestyle": "none"})
    axes.set_ylim(-3, 103)
    axes.set_yticks([0, 25, 50, 75, 100])
    name_axes(axes, "test score, %", "trainings that score higher, %")
    label = f"Share of tasks and repeats, in percent, on which each of {len(profiles)} strategies scores above a height"
    return inline(figure, name, label)
