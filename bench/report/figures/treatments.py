"""The two figures of the layer-transfer study: scores of its treatments by depth, and what they gain over the base."""

from collections.abc import Mapping

from markupsafe import Markup

from bench.analysis.ten_best import TenBest
from bench.analysis.transferability import Study
from bench.report.figures.lines import style
from bench.report.palette import SENTINELS
from bench.report.svg import inline, new_panel
from bench.report.view import Look
from bench.report.yosinski_2014 import GAINS, GAINS_DISSIMILAR

DEPTH = "units kept, counted from the input"


def scores_panel(study: Study, looks: Mapping[str, Look], name: str) -> Markup:
    """A mark for each target part, a line through the means; dashed is the base."""
    figure, axes = new_panel()
    for curve in study.curves:
        marks = style(looks[curve.treatment])
        for keep, scores in curve.targets.items():
            axes.plot([keep] * len(scores), [100 * one for one in scores],
                      **{**marks, "linestyle": "none", "markersize": 3.5, "alpha": 0.55})  # type: ignore[arg-type]
        axes.plot(list(curve.means), [100 * one for one in curve.means.values()], **marks)  # type: ignore[arg-type]
    axes.axhline(100 * study.base, color=SENTINELS["ink"], linewidth=1.1, linestyle=(0, (4, 3)))
    axes.set_xticks(range(1, study.num_units))
    axes.set_xlabel(DEPTH)
    axes.set_ylabel("test score, %")
    return inline(figure, name, "Test score in percent against the number of units kept, a line for each treatment")


def gains_panel(
    study: Study | TenBest, looks: Mapping[str, Look], name: str, limits: tuple[float, float] | None = None
) -> Markup:
    """`limits`: of the y axis, where two drawings are to be compared."""
    figure, axes = new_panel()
    for curve in study.curves:
        if curve.treatment == "random":
            continue  # it falls so far that nothing else could be read
        gains = [100 * (one - study.base) for one in curve.means.values()]
        axes.plot(list(curve.means), gains, **style(looks[curve.treatment]))  # type: ignore[arg-type]
    _zero(axes)
    if limits is not None:
        axes.set_ylim(*limits)
    axes.set_xticks(range(1, study.num_units))
    axes.set_xlabel(DEPTH)
    return inline(figure, name, "Points above the base against the number of units kept")


def paper_panel(looks: Mapping[str, Look], is_similar: bool, name: str) -> Markup:
    figure, axes = new_panel()
    for treatment, gains in (GAINS if is_similar else {"AnB": GAINS_DISSIMILAR}).items():
        axes.plot(range(1, len(gains) + 1), gains, **style(looks[treatment]))  # type: ignore[arg-type]
    _zero(axes)
    axes.set_xticks(range(1, 8))
    axes.set_xlabel("layers kept, of 8")
    return inline(figure, name, "Points above the base in Yosinski et al. 2014 against the number of layers kept")


def _zero(axes: object) -> None:
    axes.axhline(0, color=SENTINELS["ink"], linewidth=1.1, linestyle=(0, (4, 3)))  # type: ignore[attr-defined]
    axes.set_ylabel("points above the base")  # type: ignore[attr-defined]
