"""Intervals as small drawings that live in table cells, written by hand: a table of them is a labelled dot plot."""

import math
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT, MARGIN = 120, 40, 7


@dataclass(frozen=True)
class Scale:
    low: float
    high: float

    @staticmethod
    def over(values: list[float], around: float | None = None) -> "Scale":
        """From the smallest to the largest finite value, `around` included, with a little air."""
        kept = [value for value in values if math.isfinite(value)] + ([] if around is None else [around])
        low, high = (min(kept), max(kept)) if kept else (0.0, 1.0)
        air = 0.04 * (high - low) or 0.01
        return Scale(low - air, high + air)

    def place(self, value: float) -> float:
        inside = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return round(MARGIN + inside * (WIDTH - 2 * MARGIN), 1)


def strip(scale: Scale, middle: float, bounds: tuple[float, float], css: str = "", zero: float | None = None) -> Markup:
    """A dot with its interval, and a line where nothing would change."""
    if not math.isfinite(middle):
        return Markup("")
    y = HEIGHT // 2
    parts = [f'<line class="base" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y}" y2="{y}"/>']
    if zero is not None:
        x = scale.place(zero)
        parts.append(f'<line class="zero" x1="{x}" x2="{x}" y1="0" y2="{HEIGHT}"/>')
    if all(math.isfinite(bound) for bound in bounds):
        low, high = (scale.place(bound) for bound in bounds)
        parts.append(f'<line class="span" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>')
    parts.append(f'<circle cx="{scale.place(middle)}" cy="{y}" r="4"/>')
    head = (
        f'<svg class="strip {css}" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" aria-hidden="true">'
    )
    return Markup(head + "".join(parts) + "</svg>")
