"""Score of the choice against the number of trials it is made from: would fewer have done, would more still help?"""

from collections.abc import Sequence

from bench.report.figures.lines import LinePoint, fit_scores, marks, style
from bench.report.svg import Picture, inline, name_axes, new_panel
from bench.report.view import Look


def trials_panel(lines: Sequence[tuple[Look, Sequence[LinePoint]]], name: str, what: str) -> Picture:
    """`what`: the score that is drawn, "Validation" or "Test"."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_panel(300, 215)
    most = max(point.x for _, points in lines for point in points)
    axes.set_xlim(0.6, most + 0.4)
    for series, points in lines:
        look = style(series)
        axes.plot([p.x for p in points], [p.y for p in points], **{**look, "marker": ""})  # type: ignore[arg-type]
        marks(axes, points[-1:], look)  # one names a line, and the page stays small
    fit_scores(axes, [point for _, points in lines for point in points])
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    name_axes(axes, "trials", f"{what.lower()} score, %")
    label = f"{what} score in percent of {len(lines)} strategies against the number of trials of a search"
    return inline(figure, name, label)
