"""One axis of a drawing that is written by hand: where a value stands, and which values are labelled."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

STEPS = (1, 2, 5, 10)


@dataclass(frozen=True)
class PictureAxis:
    low: float
    high: float
    start: float  # where `low` stands, in the drawing's units; an upward axis starts below
    end: float

    def place(self, value: float) -> float:
        """A value outside stands at the edge."""
        inside = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return round(self.start + inside * (self.end - self.start), 1)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values inside, at most so many."""
        span = (self.high - self.low) / most
        unit = 10.0 ** math.floor(math.log10(span))
        step = unit * next(m for m in STEPS if m * unit >= span * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) for i in range(first, last + 1)]


def limits(middles: Iterable[float], ends: Iterable[float], least: float) -> tuple[float, float]:
    """All middles, and the ends of their intervals as far as these do not squeeze the middles together."""
    found = [value for value in middles if math.isfinite(value)]
    whiskers = [value for value in ends if math.isfinite(value)]
    if not found:
        return 0.0, least
    low, high = min(found), max(found)
    reach = max(high - low, least)
    bottom = max(min([low, *whiskers]), low - reach / 2)
    top = min(max([high, *whiskers]), high + reach / 2)
    air = max(0.05 * (top - bottom), 0.05 * least)
    return bottom - air, top + air
