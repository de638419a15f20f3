"""Changes with their intervals against the margin, one row per strategy, one drawing per task; all on one scale."""

import math
import unicodedata
from dataclasses import dataclass

from markupsafe import Markup, escape

from bench.analysis.words import shortened
from bench.report.figures.axis import PictureAxis
from bench.report.palette import SHAPES
from bench.report.view import Look

WIDTH, ROW, TOP, FOOT = 330, 22, 16, 38  # CSS pixels at its natural size
LABELS = 128  # of the width
NEAR = 30  # labels of the axis that are closer would touch


@dataclass(frozen=True)
class ChangeBar:
    """In points."""

    name: str  # of the row
    title: str  # in words, for a pointer that rests on it
    middle: float
    low: float
    high: float
    look: Look


def changes_panel(rows: list[ChangeBar], margin: float, limits: tuple[float, float], label: str) -> Markup:
    axis = PictureAxis(*limits, LABELS + 8, WIDTH - 8)
    bottom = TOP + ROW * len(rows)
    lines = [("zero", 0.0), ("margin", -margin), ("margin", margin)] if margin else [("zero", 0.0)]
    places = [(css, axis.place(value)) for css, value in lines]
    parts = [f'<line class="{css}" x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}"/>' for css, x in places]
    parts += [_row(row, axis, TOP + ROW * i + ROW // 2) for i, row in enumerate(rows)]
    for x, text in _labels(axis, margin):
        parts.append(f'<text class="tick" x="{x}" y="{bottom + 14}">{text}</text>')
    middle = (axis.start + axis.end) / 2
    parts.append(f'<text class="tick" x="{middle:g}" y="{bottom + 32}">change, points</text>')
    head = f'<svg class="plot drawn" viewBox="0 0 {WIDTH} {bottom + FOOT}" role="img" aria-label="{escape(label)}">'
    return Markup(head + "".join(parts) + "</svg>")


def _row(row: ChangeBar, axis: PictureAxis, y: int) -> str:
    x = axis.place(row.middle)
    span = ""
    if math.isfinite(row.low) and math.isfinite(row.high):
        span = f'<line class="span" x1="{axis.place(row.low)}" x2="{axis.place(row.high)}" y1="{y}" y2="{y}"/>'
    hollow = " hollow" if row.look.hollow else ""
    mark = f'<path class="mark{hollow}" transform="translate({x} {y})" d="{SHAPES[row.look.marker][1]}"/>'
    name = shortened(row.name, 20)
    text = f'<text class="label" x="{LABELS}" y="{y + 4}"{squeezed(name, LABELS)}>{escape(name)}</text>'
    return f'<g style="color:var(--{row.look.color})"><title>{escape(row.title)}</title>{text}{span}{mark}</g>'


def squeezed(text: str, most: int) -> str:
    """What keeps a label within so many pixels."""
    return f' textLength="{most}" lengthAdjust="spacingAndGlyphs"' if _length(text) > most else ""


def _length(text: str) -> float:
    """Pixels, about: nobody knows the reader's font."""
    return sum(11 if unicodedata.east_asian_width(c) in "WF" else 9.5 if c in "mwMW@%—…" else 6.5 for c in text)


def _labels(axis: PictureAxis, margin: float) -> list[tuple[float, str]]:
    """0 and the margins first, then round values where there is room."""
    found: list[tuple[float, str]] = []
    for value in dict.fromkeys([0.0, -margin, margin, *axis.ticks(4)]):
        x = axis.place(value)
        if axis.low <= value <= axis.high and all(abs(x - other) >= NEAR for other, _ in found):
            found.append((x, f"{value:+g}".replace("-", "−") if value else "0"))
    return sorted(found)
