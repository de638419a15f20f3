"""What a forecast said of each network against what the network came to, one mark per target and network."""

from collections.abc import Mapping

from markupsafe import Markup

from bench.analysis.forecasts import Mark, Target
from bench.report.figures.lines import style
from bench.report.palette import SENTINELS
from bench.report.svg import inline, new_panel
from bench.report.view import Look


def forecast_panel(marks: list[Mark], looks: Mapping[Target, Look], title: str, name: str) -> Markup:
    figure, axes = new_panel()
    for target, look in looks.items():
        mine = [one for one in marks if one.target == target]
        how = {**style(look), "linestyle": "none"}
        axes.plot([one.forecast for one in mine], [100 * one.score for one in mine], **how)  # type: ignore[arg-type]
    axes.set_xlabel(title)
    axes.set_ylabel("test score, %", color=SENTINELS["muted"])
    axes.margins(0.08)
    return inline(figure, name, f"Test score in percent against {title}, one mark per target and network")
