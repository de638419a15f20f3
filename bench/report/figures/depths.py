"""Score against the number of units that are frozen or kept: where along the network transfer stops paying."""

import math
from dataclasses import dataclass
from typing import Any

from bench.report.figures.lines import LinePoint, fit_scores, marks, style, whiskers
from bench.report.svg import Picture, inline, name_axes, new_panel
from bench.report.view import Look


@dataclass(frozen=True)
class Depths:
    """One line: a budget's, of one kind. The references are means in percent, NaN where there is none to be drawn."""

    series: Look
    points: list[LinePoint]
    scratch: float
    full: float = math.nan  # of full fine-tuning


def depths_panel(lines: list[Depths], num_units: int, name: str, what: str = "frozen") -> Picture:
    """`what`: is counted."""
    figure, axes = new_panel()
    shown: list[LinePoint] = []
    for place, found in enumerate(lines):
        shift = 0.07 * (place - (len(lines) - 1) / 2)
        moved = [point.at(point.x + shift) for point in found.points]
        whiskers(axes, found.series, moved)
        look: dict[str, Any] = style(found.series)
        middle = {name: look[name] for name in ("color", "linestyle", "gid")}
        axes.plot(*_middle_line(moved), linewidth=1.5, **middle)
        marks(axes, moved, {**look, "linestyle": "none"})
        shown += moved
        for height, dashes in ((found.scratch, (4, 3)), (found.full, (1, 2))):
            if not math.isnan(height):
                level = {**middle, "linestyle": (0, dashes)}
                axes.axhline(height, linewidth=1.1, **level)
                shown.append(LinePoint(0, height))
    axes.set_xlim(-0.4, num_units - 0.6)
    axes.set_xticks(range(0, num_units, max(1, num_units // 8)))
    fit_scores(axes, shown)
    name_axes(axes, f"{what} units, counted from the input", "test score, %")
    return inline(figure, name, f"Test score in percent against the number of {what} units")


def _middle_line(points: list[LinePoint]) -> tuple[list[float], list[float]]:
    """Through the mean of the strategies at each depth: two may freeze the same units."""
    by_depth: dict[float, list[float]] = {}
    for point in points:
        by_depth.setdefault(point.x, []).append(point.y)
    xs = sorted(by_depth)
    return xs, [sum(by_depth[x]) / len(by_depth[x]) for x in xs]
