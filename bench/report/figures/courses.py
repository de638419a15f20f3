"""Test score along the training, a line for each strategy, with the interval where it ends."""

from collections.abc import Sequence

from bench.report.figures.lines import LinePoint, fit_scores, marks, style, whiskers
from bench.report.svg import Picture, inline, name_axes, new_panel
from bench.report.view import Look


def courses_panel(lines: Sequence[tuple[Look, Sequence[LinePoint]]], name: str) -> Picture:
    figure, axes = new_panel()
    for series, points in lines:
        look = style(series)
        axes.plot([p.x for p in points], [p.y for p in points], **{**look, "marker": ""})  # type: ignore[arg-type]
        whiskers(axes, series, points[-1:])
        marks(axes, points[-1:], look)
    fit_scores(axes, [point for _, points in lines for point in points])
    name_axes(axes, "training steps", "test score, %")
    label = f"Test score in percent of {len(lines)} strategies against the number of training steps"
    return inline(figure, name, label)
