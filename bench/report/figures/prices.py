"""Score against one kind of cost: a mark a strategy, the front that no cheaper one beats, and the one to take."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from bench.report.figures.lines import LinePoint, decades, fit_scores, log_ticks, marks, style, tell, whiskers
from bench.report.palette import SENTINELS
from bench.report.svg import TEXT, inline, name_axes, new_panel
from bench.report.view import Look, compact

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LETTER = 7.0  # width of one, on average
NAMED = 4  # strategies of the front that are named in the figure
APART = 1.5  # a gap so many times as wide as all scores above it: what lies below is told, not drawn to scale


@dataclass(frozen=True)
class PriceMark:
    look: Look
    name: str
    cost: float
    score: float  # percent, as the next two
    low: float
    high: float
    n: int  # repeats
    is_taken: bool

    @property
    def point(self) -> LinePoint:
        ends = f"{self.low:.1f} to {self.high:.1f}" if math.isfinite(self.low) else ""
        told = tell(self.name, f"at {compact(self.cost)}", f"{self.score:.1f} %", ends, self.n)
        return LinePoint(self.cost, self.score, self.low, self.high, told)


def front(marks: list[PriceMark]) -> list[PriceMark]:
    """Those whose mean is higher than that of all that cost no more, the cheapest first."""
    found: list[PriceMark] = []
    for mark in sorted(marks, key=lambda one: (one.cost, -one.score)):
        if not found or mark.score > found[-1].score:
            found.append(mark)
    return found


def prices_panel(strategies: list[PriceMark], axis: str, metric: str, name: str) -> Markup:
    figure, axes = new_panel(360, 270)
    drawn, below = _to_scale(strategies)
    low, high = min(one.cost for one in strategies) / 1.6, max(one.cost for one in strategies) * 1.6
    axes.set_xlim(low, high)
    fit_scores(axes, [one.point for one in drawn])
    best = front(drawn)
    xs, ys = [one.cost for one in best], [one.score for one in best]
    axes.step([*xs, high], [*ys, ys[-1]], where="post", color=SENTINELS["muted"], linewidth=1.1, zorder=1)
    for one in drawn:
        whiskers(axes, one.look, [one.point])
        if one.is_taken:
            axes.plot([one.cost], [one.score], marker="o", markersize=15, markerfacecolor="none",
                      markeredgecolor=SENTINELS["ink"], markeredgewidth=1.6, linestyle="none")  # fmt: skip
        marks(axes, [one.point], {**style(one.look, 8), "linestyle": "none"})
    _name_front(axes, best, figure.get_size_inches()[0] * 72)
    if below:
        axes.text(0.02, 0.03, _told(below), transform=axes.transAxes, color=SENTINELS["muted"], fontsize=TEXT)
    log_ticks(axes, ticks := decades(low, high), [compact(tick) for tick in ticks])
    name_axes(axes, f"{axis} (log)", f"test {metric}, %")
    return inline(figure, name, f"Test {metric} in percent against {axis}; {_read(strategies)}")


def _name_front(axes: "Axes", best: list[PriceMark], width: float) -> None:
    """Above their marks, as far as names do not run into each other; the one to take first."""
    low, high = (math.log(end) for end in axes.get_xlim())
    spans: list[tuple[float, float]] = []  # as shares of the width
    for one in sorted(best, key=lambda one: not one.is_taken):
        long = LETTER * len(one.name) / width
        start = min(max((math.log(one.cost) - low) / (high - low) - long / 2, 0.0), 1 - long)
        if start >= 0 and all(start + long < other or start > end for other, end in spans):
            spans.append((start, start + long))
            left = math.exp(low + (high - low) * start), one.score
            axes.annotate(one.name, left, (0, 9), textcoords="offset points", color=SENTINELS["ink"], fontsize=TEXT)


def _to_scale(marks: list[PriceMark]) -> tuple[list[PriceMark], list[PriceMark]]:
    """What is drawn, and what lies so far below that it would press the others together: a few at the most."""
    order = sorted(marks, key=lambda one: -one.score)
    for at in range(len(order) - 1, len(order) // 2, -1):
        kept, rest = order[:at], order[at:]
        spread = max(kept[0].score - kept[-1].score, 2.0)
        if kept[-1].score - rest[0].score > APART * spread and not any(one.is_taken for one in rest):
            return kept, rest
    return order, []


def _told(below: list[PriceMark]) -> str:
    return "   ".join(f"↓ {one.name[:24]} {one.score:.0f} %" for one in below[:2])


def _read(marks: list[PriceMark]) -> str:
    """For who cannot see it."""
    best = front(marks)
    told = [f"{one.name} {one.score:.1f} at {compact(one.cost)}" for one in best[:NAMED]]
    return f"the front: {', '.join(told)}"
