"""Score of the choice against the number of trials it is made from: would fewer have done, would more still help?"""

from collections.abc import Sequence

from markupsafe import Markup

from bench.report.figures.lines import LinePoint, fit_scores, style
from bench.report.svg import inline, new_panel
from bench.report.view import Look


def trials_panel(lines: Sequence[tuple[Look, Sequence[LinePoint]]], name: str, what: str) -> Markup:
    """`what`: the score that is drawn, "Validation" or "Test"."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_panel(300, 190)
    most = max(point.x for _, points in lines for point in points)
    axes.set_xlim(0.6, most + 0.4)
    for series, points in lines:
        look = {**style(series), "markevery": [-1]}  # one mark names a line, and the page stays small
        axes.plot([p.x for p in points], [p.y for p in points], **look)  # type: ignore[arg-type]
    fit_scores(axes, [point for _, points in lines for point in points])
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("trials")
    label = f"{what} score in percent of {len(lines)} strategies against the number of trials of a search"
    return inline(figure, name, label)
