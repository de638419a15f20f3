"""Options that a search chooses along with the rate: what may stand in a suite instead of a value, and where the points
lie. `varied.py` makes recipes of them.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

ENDS = "[low, high], {range: [low, high], scale: log or linear}, {choices: [...]} or default"


@dataclass(frozen=True)
class Span:
    """What an option may be."""

    scale: Literal["log", "linear", "choices"]
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()
    is_whole: bool = False  # whether values are rounded to whole numbers

    def at(self, share: float) -> Any:
        """The value at a share of the span, 0 to 1."""
        if self.scale == "choices":
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        if share in (0.0, 1.0):
            value = self.high if share else self.low  # exactly, whatever the rounding
        elif self.scale == "log":
            value = math.exp(math.log(self.low) + share * math.log(self.high / self.low))
        else:
            value = self.low + share * (self.high - self.low)
        return round(value) if self.is_whole else value

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Whatever holds at these is taken to hold in between."""
        return self.choices or (self.at(0.0), self.at(1.0))

    @property
    def text(self) -> str:
        """`0.001..1`, `2|4|8`"""
        if self.choices:
            return "|".join(str(one) for one in self.choices)
        return f"{self.low:g}..{self.high:g}"


def log(low: float, high: float) -> Span:
    return Span("log", low, high)


def linear(low: float, high: float) -> Span:
    return Span("linear", low, high)


def choices(*values: Any) -> Span:
    return Span("choices", choices=values)


@dataclass(frozen=True)
class Varied:
    """A strategy some of whose options are searched."""

    strategy: str
    options: dict[str, Any]  # the others, defaults filled
    spans: tuple[tuple[str, Span], ...]

    def at(self, shares: list[float]) -> tuple[tuple[str, Any], ...]:
        return tuple((name, span.at(share)) for (name, span), share in zip(self.spans, shares, strict=True))

    @property
    def middle(self) -> dict[str, Any]:
        return dict(self.at([0.5] * len(self.spans)))


def spread(number: int, dims: int) -> list[float]:
    """Shares of the trial of that number: evenly in all dimensions together, whatever the number of trials. Roberts'
    sequence; in one dimension, multiples of the golden ratio."""
    ratio = 1.5
    for _ in range(100):
        ratio = (1 + ratio) ** (1 / (dims + 1))  # settles where ratio^(dims + 1) = ratio + 1
    return [(0.5 + number * ratio ** -(dim + 1)) % 1 for dim in range(dims)]


def is_searched(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"search"}


def read_span(wanted: Any, default: Span | None, is_whole: bool) -> Span:
    """What stands behind `search:`. Raises ValueError."""
    if wanted == "default":
        if default is None:
            raise ValueError("this option has no default range; give [low, high] or {choices: [...]}")
        found = default
    elif isinstance(wanted, list):
        found = _range(wanted, default.scale if default is not None else None)
    elif isinstance(wanted, dict) and set(wanted) == {"choices"}:
        found = _choices(wanted["choices"])
    elif isinstance(wanted, dict) and set(wanted) in ({"range"}, {"range", "scale"}):
        found = _range(wanted["range"], wanted.get("scale", default.scale if default is not None else None))
    else:
        raise ValueError(f"expected {ENDS}, got {wanted!r}")
    whole = is_whole and found.scale != "choices"
    return Span(found.scale, found.low, found.high, found.choices, whole)


def _range(ends: Any, scale: Any) -> Span:
    numbers = isinstance(ends, list) and all(isinstance(e, int | float) and not isinstance(e, bool) for e in ends)
    if not numbers or len(ends) != 2 or not ends[0] < ends[1]:
        raise ValueError(f"expected two numbers, the lower first, got {ends!r}")
    low, high = float(ends[0]), float(ends[1])
    if scale not in ("log", "linear", "choices", None):
        raise ValueError(f"expected the scale 'log' or 'linear', got {scale!r}")
    if scale == "log" and low <= 0:
        raise ValueError(f"a logarithmic range begins above 0, got {ends!r}")
    if scale in ("log", "linear"):
        return Span(scale, low, high)
    return Span("log" if low > 0 else "linear", low, high)


def _choices(values: Any) -> Span:
    if not isinstance(values, list) or len(values) < 2 or len({repr(value) for value in values}) < len(values):
        raise ValueError(f"expected a list of different choices, two at the least, got {values!r}")
    return Span("choices", choices=tuple(values))
