"""Test score along the training, a line for each strategy, with the interval where it ends."""

from collections.abc import Sequence

from bench.report.figures.lines import LinePoint, decades, fit_scores, log_ticks, marks, style, whiskers
from bench.report.svg import Picture, inline, name_axes, new_panel
from bench.report.view import Look, compact


def courses_panel(lines: Sequence[tuple[Look, Sequence[LinePoint]]], name: str, axis: str, log: bool) -> Picture:
    """`axis`: what the points' x are. `log`: where strategies differ in it by orders."""
    figure, axes = new_panel(370, 270)
    for series, points in lines:
        look = style(series)
        axes.plot([p.x for p in points], [p.y for p in points], **{**look, "marker": ""})  # type: ignore[arg-type]
        whiskers(axes, series, points[-1:])
        marks(axes, points[-1:], look)
    if log:
        ticks = decades(*_ends(lines))
        log_ticks(axes, ticks, [compact(tick).replace(" ", "") for tick in ticks])
    fit_scores(axes, [point for _, points in lines for point in points])
    name_axes(axes, axis, "test score, %")
    return inline(figure, name, f"Test score in percent of {len(lines)} strategies against {axis}")


def _ends(lines: Sequence[tuple[Look, Sequence[LinePoint]]]) -> tuple[float, float]:
    xs = [point.x for _, points in lines for point in points]
    return min(xs), max(xs)
