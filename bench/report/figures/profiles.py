"""Share of task-repeats that score above a height, one falling line per strategy."""

import math
from dataclasses import dataclass

from markupsafe import Markup

from bench.report.figures.lines import gid, style
from bench.report.palette import SENTINELS
from bench.report.svg import inline, new_panel
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


def profiles_panel(profiles: list[Profile], name: str) -> Markup:
    figure, axes = new_panel(410, 280)
    for number, one in enumerate(profiles):
        if one.low and math.isfinite(one.low[0]):
            color = SENTINELS[one.series.color]
            band = axes.fill_between(one.heights, one.low, one.high, color=color, alpha=0.16, linewidth=0, step="post")
            band.set_gid(gid(one.series))
        every = max(len(one.heights) // MARKS, 1)
        marks = number * every // len(profiles), every
        look = {**style(one.series, 6), "drawstyle": "steps-post", "markevery": marks}
        axes.plot(one.heights, one.shares, **look)  # type: ignore[arg-type]
    axes.set_ylim(-3, 103)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_xlabel("score above … percent")
    label = f"Share of tasks and repeats, in percent, on which each of {len(profiles)} strategies scores above a height"
    return inline(figure, name, label)
