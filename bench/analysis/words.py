"""Names, counts and differences as they stand in sentences and cells."""

import math
import unicodedata

UNEVEN = 0.15  # points between the halves of an interval that is still written as one


def points(value: float) -> str:
    """A share as percentage points, with the sign in front and a true minus: `+1.3`, `−0.4`."""
    return f"{100 * value:+.1f}".replace("-", "−")


def shortened(name: str, most: int = 60) -> str:
    """A name as it can stand in a sentence: not too long, and unable to turn the text after it around."""
    short = name if len(name) <= most else f"{name[: most - 16]}…{name[-15:]}"
    turns = any(unicodedata.bidirectional(c) in ("R", "AL", "AN", "RLO", "RLE", "LRO", "LRE", "RLI") for c in short)
    return f"\u2068{short}\u2069" if turns else short  # first strong isolate ... pop directional isolate


def listed(names: list[str], most: int = 4) -> str:
    """`a, b and c`; a long list ends in a count."""
    short = [shortened(name) for name in names]
    shown = short if len(names) <= most else [*short[: most - 1], f"{len(names) - most + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else "none"


def labels(budget: str) -> str:
    """A budget in words: `5 labels per class`, `all labels`, `10% of the labels`, `1000 labels in total`."""
    if budget.isdigit():
        return plural(int(budget), "label per class", "labels per class")
    if budget == "full":
        return "all labels"
    if budget.endswith("%"):
        return f"{budget} of the labels"
    return f"{budget.removeprefix('total ')} labels in total" if budget.startswith("total ") else f"budget {budget}"


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def in_points(points: float) -> str:
    """`1 point`, `2.5 points`"""
    text = f"{points:g}"
    return f"{text} point{'' if text == '1' else 's'}"


def plus_minus(low: float, mean: float, high: float) -> str:
    """` ±1.3`; near 0 and 100 %, where intervals lean inwards, ` +0.4 −1.9`. Nothing where there is no interval."""
    above, below = 100 * (high - mean), 100 * (mean - low)
    if not math.isfinite(above - below) or above == below == 0:
        return ""
    return f" +{above:.1f} −{below:.1f}" if abs(above - below) > UNEVEN else f" ±{(above + below) / 2:.1f}"
