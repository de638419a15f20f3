"""Validation score against learning rate, one line per strategy: does the search decide, or does any rate do?"""

from dataclasses import dataclass

from bench.report.figures.lines import MARK, LinePoint, decades, fit_scores, gid, log_ticks, marks, style
from bench.report.palette import SENTINELS
from bench.report.svg import Picture, inline, name_axes, new_panel
from bench.report.view import Look, rate

CHOSEN, FINISHED = 10.0, MARK  # sizes of marks


@dataclass(frozen=True)
class Curve:
    series: Look
    points: list[LinePoint]  # scored trials by rate, all after the same number of steps
    chosen: list[LinePoint]
    finished: list[LinePoint]  # others that ran to their end, where not all did
    broken: list[float]  # rates of trials without a score


def rates_panel(curves: list[Curve], name: str) -> Picture:
    figure, axes = new_panel()
    shown = [point for curve in curves for point in curve.points]
    rates = [point.x for point in shown] + [x for curve in curves for x in curve.broken]
    axes.set_xlim(min(rates) / 1.25, max(rates) * 1.25)
    fit_scores(axes, [point for curve in curves for point in (*curve.points, *curve.chosen, *curve.finished)])
    floor = axes.get_ylim()[0]
    for curve in curves:
        color = SENTINELS[curve.series.color]
        dashes = (0, curve.series.dashes) if curve.series.dashes else "-"
        axes.plot(
            [p.x for p in curve.points], [p.y for p in curve.points], color=color, linewidth=1.2, linestyle=dashes,
            gid=gid(curve.series),
        )  # fmt: skip
        marks(axes, curve.finished, {**style(curve.series, FINISHED), "linestyle": "none"})
        marks(axes, curve.chosen, {**style(curve.series, CHOSEN), "linestyle": "none"})
        if curve.broken:
            axes.plot(curve.broken, [floor] * len(curve.broken), "x", color=color, markersize=MARK, clip_on=False,
                      gid=gid(curve.series))  # fmt: skip
    ticks = decades(min(rates), max(rates))
    log_ticks(axes, ticks, [rate(tick) for tick in ticks])
    name_axes(axes, "learning rate", "validation score, %")
    return inline(figure, name, f"Validation score in percent of {len(curves)} strategies against the learning rate")
