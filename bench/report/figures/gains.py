"""What transfer gains over scratch against how far the target lies, one mark per pair of target and network."""

from collections.abc import Mapping

from markupsafe import Markup

from bench.analysis.distances import Trend
from bench.report.figures.lines import style
from bench.report.palette import SENTINELS
from bench.report.svg import inline, new_panel
from bench.report.view import Look


def gains_by_distance_panel(trends: list[Trend], looks: Mapping[str, Look], name: str) -> Markup:
    figure, axes = new_panel()
    for trend in trends:
        x, y = zip(*trend.points, strict=True)
        marks = {**style(looks[trend.strategy]), "linestyle": "none"}
        axes.plot(x, [100 * gain for gain in y], **marks)  # type: ignore[arg-type]
    axes.axhline(0, color=SENTINELS["ink"], linewidth=1.1, linestyle=(0, (4, 3)))
    axes.set_xlabel("proxy A-distance of the features")
    axes.set_ylabel("points over scratch")
    return inline(figure, name, "Points over scratch against the proxy A-distance, one mark per target and network")
