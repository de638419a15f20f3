"""What transfer gains over scratch against how far the target lies, one mark per pair of target and network."""

from collections.abc import Mapping

from bench.analysis.distances import Trend
from bench.report.figures.lines import LinePoint, marks, style, tell
from bench.report.palette import SENTINELS
from bench.report.svg import Picture, inline, name_axes, new_panel
from bench.report.view import Look, signed


def gains_by_distance_panel(trends: list[Trend], looks: Mapping[str, Look], name: str) -> Picture:
    figure, axes = new_panel()
    for trend in trends:
        where = "distance {:.2f}"
        points = [
            LinePoint(x, 100 * gain, told=tell(trend.strategy, where.format(x), f"{signed(gain)} points"))
            for x, gain in trend.points
        ]
        marks(axes, points, {**style(looks[trend.strategy]), "linestyle": "none"})
    axes.axhline(0, color=SENTINELS["ink"], linewidth=1.1, linestyle=(0, (4, 3)))
    name_axes(axes, "proxy A-distance, 0 (alike) to 2 (far)", "points over scratch")
    return inline(figure, name, "Points over scratch against the proxy A-distance, one mark per target and network")
