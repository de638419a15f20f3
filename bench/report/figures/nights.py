"""One cell over many nights: means with intervals, levels, the baseline, and where the environment changed.

Written by hand, as hundreds of them stand on one page and every point says which commit it is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from bench.gate.outputs.sentences import share, signed
from bench.gate.series import NightPoint, NightSeries, Stretch
from bench.report.figures.axis import PictureAxis, limits

WIDTH, HEIGHT = 330, 206  # CSS pixels at its natural size
LEFT, RIGHT, TOP, BOTTOM = 42, 322, 34, 176
LEAST = 0.5  # points: a smaller range is not stretched to the whole height
RISE, FALL = "M0-4.4 4.4 3.8h-8.8z", "M0 4.4 4.4-3.8h-8.8z"


@dataclass(frozen=True)
class Calendar:
    """All drawings of a page share the nights on their x axis."""

    places: Mapping[str, int]  # `when` of every night that is drawn -> its number from the left
    environments: Mapping[str, str]  # class -> `E1`

    def x(self, when: str) -> float:
        last = max(len(self.places) - 1, 1)
        return round(LEFT + 8 + self.places[when] / last * (RIGHT - LEFT - 16), 1)


def nights_panel(series: NightSeries, calendar: Calendar, label: str) -> Markup:
    shown = [night for night in series.nights if night.when in calendar.places and math.isfinite(night.mean)]
    axis = _axis(series, shown)
    parts = [_grid(axis, value) for value in axis.ticks(4)]
    parts += _changes(series, calendar)
    if series.baseline is not None and math.isfinite(series.baseline):
        y = axis.place(100 * series.baseline)
        title = f"<title>accepted baseline: {share(series.baseline)} %</title>"
        parts.append(f'<line class="baseline" x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}">{title}</line>')
    parts.append(f'<path class="spans" d="{_spans(shown, axis, calendar)}"/>')
    parts += [_point(night, axis, calendar) for night in shown]
    parts += _levels(series, axis, calendar)
    parts += _dates(calendar)
    parts.append('<text class="left" x="2" y="12">test score, %</text>')
    parts.append(f'<text class="tick" x="{(LEFT + RIGHT) / 2:g}" y="{BOTTOM + 18}">night</text>')
    head = f'<svg class="plot drawn" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
    return Markup(head + "".join(parts) + "</svg>")


def _axis(series: NightSeries, shown: list[NightPoint]) -> PictureAxis:
    middles = [night.mean for night in shown] + [Stretch(*segment).mean for segment in series.segments]
    if series.baseline is not None:
        middles.append(series.baseline)
    ends = [end for night in shown for end in (night.low, night.high)]
    low, high = limits([100 * value for value in middles], [100 * value for value in ends], LEAST)
    return PictureAxis(max(low, -0.5), min(high, 100.5), BOTTOM, TOP)


def _grid(axis: PictureAxis, value: float) -> str:
    y = axis.place(value)
    line = f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}"/>'
    return f'{line}<text class="right" x="{LEFT - 5}" y="{y + 4:g}">{value:g}</text>'


def _changes(series: NightSeries, calendar: Calendar) -> list[str]:
    """Half way between two nights of this cell that ran in different environments."""
    parts = []
    labelled = -math.inf
    for before, after in zip(series.nights, series.nights[1:], strict=False):
        if before.environment == after.environment or not {before.when, after.when} <= calendar.places.keys():
            continue
        x = round((calendar.x(before.when) + calendar.x(after.when)) / 2, 1)
        name = calendar.environments[after.environment]
        title = f"<title>from here on {name}: {escape(after.environment)}</title>"
        parts.append(f'<line class="change" x1="{x}" x2="{x}" y1="{TOP}" y2="{BOTTOM}">{title}</line>')
        if x - labelled > 20:  # where machines take turns, labels would lie on each other
            parts.append(f'<text class="tick" x="{x}" y="{TOP - 5}">{name}{title}</text>')
            labelled = x
    return parts


def _spans(shown: list[NightPoint], axis: PictureAxis, calendar: Calendar) -> str:
    kept = [night for night in shown if math.isfinite(night.low) and math.isfinite(night.high)]
    return "".join(
        f"M{calendar.x(night.when)} {axis.place(100 * night.low)}V{axis.place(100 * night.high)}" for night in kept
    )


def _point(night: NightPoint, axis: PictureAxis, calendar: Calendar) -> str:
    radius = 3 if len(calendar.places) <= 60 else 2
    span = f" ({share(night.low)} to {share(night.high)})" if math.isfinite(night.low) else ""
    where = calendar.environments[night.environment]
    told = f"{night.when} · commit {night.commit} · {share(night.mean)} %{span}, n = {night.n} · {where}"
    place = f'cx="{calendar.x(night.when)}" cy="{axis.place(100 * night.mean)}"'
    return f'<circle {place} r="{radius}"><title>{escape(told)}</title></circle>'


def _levels(series: NightSeries, axis: PictureAxis, calendar: Calendar) -> list[str]:
    """A fall and a rise also have a shape where they begin."""
    parts = []
    before = math.nan
    for start, end, mean in series.segments:
        xs = [calendar.x(night.when) for night in series.nights[start:end] if night.when in calendar.places]
        change = 100 * (mean - before)
        before = mean
        if not xs:
            continue
        color = "muted" if math.isnan(change) else "bad" if change < 0 else "good"
        y = axis.place(100 * mean)
        title = f"<title>level {share(mean)} %{'' if math.isnan(change) else f', {signed(change)} points'}</title>"
        low, high = (xs[0] - 4, xs[0] + 4) if len(xs) == 1 else (xs[0], xs[-1])
        line = f'<line class="level" x1="{low:g}" x2="{high:g}" y1="{y}" y2="{y}"/>'
        shape = RISE if color == "good" else FALL
        mark = "" if color == "muted" else f'<path class="mark" transform="translate({xs[0]} {y})" d="{shape}"/>'
        parts.append(f'<g style="color:var(--{color})">{title}{line}{mark}</g>')
    return parts


def _dates(calendar: Calendar) -> list[str]:
    names = list(calendar.places)
    ends = [("left", LEFT, names[0]), ("right", RIGHT, names[-1])][: len(names)]
    return [f'<text class="{css}" x="{x}" y="{BOTTOM + 18}">{escape(when[:10])}</text>' for css, x, when in ends]
