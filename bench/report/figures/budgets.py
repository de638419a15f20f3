"""Score against labels per class, one drawing per dataset and backbone, one line per strategy."""

from bench.report.figures.lines import LinePoint, fit_scores, line, log_ticks
from bench.report.svg import Picture, inline, name_axes, new_panel
from bench.report.view import Look, compact


def budgets_panel(lines: list[tuple[Look, list[LinePoint]]], name: str) -> Picture:
    """Points of one budget stand side by side, as their intervals would hide each other."""
    figure, axes = new_panel(370, 270)
    xs = sorted({point.x for _, points in lines for point in points})
    step = _step(xs, len(lines))
    shown: list[LinePoint] = []
    axes.set_xlim(xs[0] / step ** (len(lines) / 2 + 1.5), xs[-1] * step ** (len(lines) / 2 + 1.5))
    for place, (series, points) in enumerate(lines):
        factor = step ** (place - (len(lines) - 1) / 2)
        moved = [point.at(point.x * factor) for point in points]
        line(axes, series, moved)
        shown += moved
    log_ticks(axes, xs, [compact(x).replace(" ", "") for x in xs])
    fit_scores(axes, shown)
    name_axes(axes, "labels per class", "test score, %")
    return inline(figure, name, f"Test score in percent of {len(lines)} strategies against labels per class")


def _step(xs: list[float], count: int) -> float:
    """The factor between neighbours on the logarithmic axis."""
    if len(xs) == 1:
        return 1.25
    closest = min(after / before for before, after in zip(xs, xs[1:], strict=False))
    whole = xs[-1] / xs[0]
    return float(min(closest ** (0.5 / max(count, 1)), whole ** (0.018)))
