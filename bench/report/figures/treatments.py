"""The two figures of the layer-transfer study: scores of its treatments by depth, and what they gain over the base."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.analysis.ten_best import TenBest
from bench.analysis.transferability import Study
from bench.report.figures.lines import LinePoint, line, tell
from bench.report.palette import SENTINELS
from bench.report.svg import Picture, inline, name_axes, new_panel
from bench.report.view import Look, percent, signed
from bench.report.yosinski_2014 import GAINS, GAINS_DISSIMILAR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEPTH = "units kept, counted from the input"


def scores_panel(study: Study, looks: Mapping[str, Look], name: str) -> Picture:
    """A line through the means, a stroke from the lowest target part to the highest; dashed is the base."""
    figure, axes = new_panel()
    for curve in study.curves:
        look = looks[curve.treatment]
        points = [
            LinePoint(keep, 100 * mean, 100 * min(curve.targets[keep]), 100 * max(curve.targets[keep]),
                      tell(look.name, _kept(keep), f"{percent(mean)} %"))
            for keep, mean in curve.means.items()
        ]  # fmt: skip
        line(axes, look, points)
    axes.axhline(100 * study.base, color=SENTINELS["ink"], linewidth=1.1, linestyle=(0, (4, 3)))
    axes.set_xticks(range(1, study.num_units))
    name_axes(axes, DEPTH, "test score, %")
    return inline(figure, name, "Test score in percent against the number of units kept, a line for each treatment")


def gains_panel(
    study: Study | TenBest, looks: Mapping[str, Look], name: str, limits: tuple[float, float] | None = None
) -> Picture:
    """`limits`: of the y axis, where two drawings are to be compared."""
    figure, axes = new_panel()
    for curve in study.curves:
        if curve.treatment == "random":
            continue  # it falls so far that nothing else could be read
        _gains(axes, looks[curve.treatment], {keep: 100 * (one - study.base) for keep, one in curve.means.items()})
    _zero(axes, DEPTH)
    if limits is not None:
        axes.set_ylim(*limits)
    axes.set_xticks(range(1, study.num_units))
    return inline(figure, name, "Points above the base against the number of units kept")


def paper_panel(looks: Mapping[str, Look], is_similar: bool, name: str) -> Picture:
    figure, axes = new_panel()
    for treatment, gains in (GAINS if is_similar else {"AnB": GAINS_DISSIMILAR}).items():
        _gains(axes, looks[treatment], dict(enumerate(gains, 1)))
    _zero(axes, "layers kept, of 8")
    axes.set_xticks(range(1, 8))
    return inline(figure, name, "Points above the base in Yosinski et al. 2014 against the number of layers kept")


def _gains(axes: "Axes", look: Look, gains: Mapping[int, float]) -> None:
    """In points, by what is kept."""
    points = [
        LinePoint(keep, gain, told=tell(look.name, _kept(keep), f"{signed(gain / 100)} points"))
        for keep, gain in gains.items()
    ]
    line(axes, look, points)


def _kept(keep: int) -> str:
    return f"{keep} kept"


def _zero(axes: "Axes", what: str) -> None:
    """`what`: the level axis counts."""
    axes.axhline(0, color=SENTINELS["ink"], linewidth=1.1, linestyle=(0, (4, 3)))
    name_axes(axes, what, "points above the base")
