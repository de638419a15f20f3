"""What a forecast said of each network against what the network came to, one mark per target and network."""

from collections.abc import Mapping

from bench.analysis.forecasts import Mark, Target
from bench.report.figures.lines import LinePoint, marks, style, tell
from bench.report.svg import Picture, inline, name_axes, new_panel
from bench.report.view import Look


def forecast_panel(found: list[Mark], looks: Mapping[Target, Look], title: str, name: str) -> Picture:
    figure, axes = new_panel()
    for target, look in looks.items():
        points = [
            LinePoint(one.forecast, 100 * one.score, told=tell(one.network, look.name, f"{100 * one.score:.1f} %"))
            for one in found if one.target == target
        ]  # fmt: skip
        marks(axes, points, {**style(look), "linestyle": "none"})
    name_axes(axes, title, "test score, %")
    axes.margins(0.08)
    return inline(figure, name, f"Test score in percent against {title}, one mark per target and network")
