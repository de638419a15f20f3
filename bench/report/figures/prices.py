"""Mean score against one kind of cost, one mark per strategy."""

from markupsafe import Markup

from bench.report.figures.lines import LinePoint, decades, fit_scores, log_ticks, style, whiskers
from bench.report.svg import inline, new_panel
from bench.report.view import Look, compact


def prices_panel(marks: list[tuple[Look, LinePoint]], axis: str, name: str) -> Markup:
    figure, axes = new_panel(310, 220)
    xs = [point.x for _, point in marks]
    axes.set_xlim(min(xs) / 1.5, max(xs) * 1.5)
    for series, point in marks:
        whiskers(axes, series, [point])
        axes.plot([point.x], [point.y], **{**style(series, 7), "linestyle": "none"})  # type: ignore[arg-type]
    fit_scores(axes, [point for _, point in marks])
    ticks = decades(min(xs) / 1.5, max(xs) * 1.5)
    log_ticks(axes, ticks, [compact(tick) for tick in ticks])
    axes.set_xlabel(axis)
    return inline(figure, name, f"Mean test score in percent against {axis}")
