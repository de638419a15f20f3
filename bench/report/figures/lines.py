"""The marks that all figures share: a line of means with interval whiskers, in a series' colour and shape."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.analysis.words import shortened
from bench.report.palette import SENTINELS, SHAPES
from bench.report.svg import MARKED, TEXT, TOLD
from bench.report.view import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MARK = 7.5  # CSS pixels: below 7 shapes cannot be told apart
WIDE = 0.62  # of a letter, as a share of its height


@dataclass(frozen=True)
class LinePoint:
    x: float
    y: float  # percent
    low: float = math.nan
    high: float = math.nan
    told: str = ""  # what the mark says when it is pointed at

    def at(self, x: float) -> "LinePoint":
        return replace(self, x=x)


def gid(series: Look) -> str | None:
    """What the page finds a series by, to hide it."""
    return MARKED + series.about if series.about else None


def tell(name: str, where: str, value: str, ends: str = "", n: int = 0) -> str:
    """`lora, 5 labels per class: 71.2 % (70.0 to 72.4), n = 3`. `ends`: of the 95 % interval."""
    interval = f" ({ends})" if ends else ""
    count = f", n = {n}" if n else ""
    return f"{shortened(name)}, {where}: {value}{interval}{count}"


def style(series: Look, size: float = MARK) -> dict[str, object]:
    color = SENTINELS[series.color]
    return {
        "color": color,
        "marker": SHAPES[series.marker][0],
        "markersize": size,
        "markerfacecolor": SENTINELS["panel"] if series.hollow else color,
        "markeredgecolor": color if series.hollow else SENTINELS["panel"],
        "markeredgewidth": 1.3 if series.hollow else 0.7,
        "linewidth": 1.3,
        "linestyle": (0, series.dashes) if series.dashes else "-",
        "gid": gid(series),
    }


def whiskers(axes: "Axes", series: Look, points: Sequence[LinePoint]) -> None:
    kept = [point for point in points if math.isfinite(point.low)]
    if kept:  # one broken line: a page has hundreds
        xs = [x for point in kept for x in (point.x, point.x, math.nan)]
        ys = [y for point in kept for y in (max(point.low, 0), min(point.high, 100), math.nan)]
        axes.plot(xs, ys, color=SENTINELS[series.color], linewidth=1.1, alpha=0.65, solid_capstyle="butt",
                  gid=gid(series))  # fmt: skip


def line(axes: "Axes", series: Look, points: Sequence[LinePoint]) -> None:
    whiskers(axes, series, points)
    marks(axes, points, style(series))


def marks(axes: "Axes", points: Sequence[LinePoint], look: dict[str, object]) -> None:
    """All points say what they stand for, or none does."""
    drawn = [point for point in points if math.isfinite(point.y)]
    if not drawn:
        return
    told = [" ".join(point.told.split()) for point in drawn]
    if any(told):
        about = str(look.get("gid") or "").removeprefix(MARKED)
        look = {**look, "gid": TOLD + "\n".join([about, *told])}
    axes.plot([p.x for p in drawn], [p.y for p in drawn], **look)  # type: ignore[arg-type]


def fit_scores(axes: "Axes", points: Sequence[LinePoint]) -> None:
    """Limits from the means, whiskers included as far as they do not squeeze the means together."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ys = [point.y for point in points]
    ends = [end for point in points for end in (point.low, point.high) if math.isfinite(end)]
    low, high = min(ys), max(ys)
    reach = max(high - low, 2.0)
    bottom = max(min([low, *ends]), low - reach / 2, min(low, 0))  # Matthews' correlation may lie below 0
    top = min(max([high, *ends]), high + reach / 2, max(high, 100))
    air = max(0.05 * (top - bottom), 0.5)  # equal scores still need a range
    axes.set_ylim(bottom - air, top + air)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def log_ticks(axes: "Axes", ticks: list[float], texts: list[str]) -> None:
    """A logarithmic x axis with our own labels, thinned out where they would touch."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    letter = math.log(high / low) * TEXT * WIDE / axes.bbox.width
    kept: list[tuple[float, str]] = []
    for tick, text in zip(ticks, texts, strict=True):
        if not kept or math.log(tick / kept[-1][0]) > letter * ((len(text) + len(kept[-1][1])) / 2 + 1):
            kept.append((tick, text))
    axes.xaxis.set_major_locator(FixedLocator([tick for tick, _ in kept]))
    axes.xaxis.set_major_formatter(FixedFormatter([text for _, text in kept]))
    axes.xaxis.set_minor_locator(NullLocator())


def decades(low: float, high: float, most: int = 5) -> list[float]:
    """Powers of ten inside a range, every k-th of them if there are many; with fewer than two, 1-2-5 steps."""
    exponents = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    if len(exponents) < 2:
        first = math.floor(math.log10(low))
        steps = [m * 10.0**e for e in range(first, first + 3) for m in (1, 2, 5)]
        return [step for step in steps if low <= step <= high]
    return [10.0**e for e in exponents[:: math.ceil(len(exponents) / most)]]
