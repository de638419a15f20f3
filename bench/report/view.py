"""What a page is made of: sections of blocks. Sections build these, the templates only lay them out."""

import math
from dataclasses import dataclass, field

from markupsafe import Markup

ABSENT = "—"
LONG_NAME = 24  # characters; longer ones do not fit a phone beside a number
Value = float | int | str | None


@dataclass(frozen=True)
class Look:
    """How one strategy or budget looks everywhere on the page: colour and shape, so neither has to carry it alone."""

    name: str
    color: str  # of a CSS variable: "s3"
    marker: int  # index into palette.SHAPES
    dashes: tuple[float, ...] = ()  # of its line; () is solid
    hollow: bool = False
    about: str = ""  # marks that a filter hides it by; `filters.py` has them


@dataclass(frozen=True)
class TableCell:
    text: str
    value: Value = None  # what sorting and the CSV use; the text where it is None
    sub: str = ""  # a second, quiet line
    css: str = ""
    title: str = ""  # the full text, where `text` was shortened
    series: Look | None = None
    picture: Markup = Markup("")
    bounds: tuple[float, float, int] | None = None  # low, high, n: three more columns of the CSV
    about: str = ""  # marks of its row

    @property
    def data(self) -> str | None:
        """What the page keeps beside the text, unless it is the text."""
        plain = (
            self.text if self.value is None else _six(self.value) if isinstance(self.value, float) else str(self.value)
        )
        return None if plain == self.text else plain

    @property
    def limits(self) -> str:
        return " ".join(_six(number) for number in self.bounds or ())


def _six(value: float) -> str:
    """Six digits, as a spreadsheet reads them; nothing for NaN."""
    return f"{value:.6g}" if math.isfinite(value) else ""


@dataclass(frozen=True)
class Column:
    title: str
    note: str = ""  # the unit, or the scale of a picture
    numeric: bool = True
    interval: bool = False  # its cells have bounds
    about: str = ""


@dataclass(frozen=True)
class Table:
    name: str  # of the CSV file, and the id
    columns: list[Column]
    rows: list[list[TableCell]]
    caption: str
    title: str = ""
    folded: bool = False
    dense: bool = False  # a column for each class
    about: str = ""
    method: str = ""  # how it is computed, folded under it
    kind = "table"


@dataclass(frozen=True)
class Panel:
    title: str
    detail: str
    picture: Markup
    about: str = ""


@dataclass(frozen=True)
class Figure:
    panels: list[Panel]
    legend: list[Look]
    caption: str
    title: str = ""
    folded: bool = False
    wide: bool = False  # two in a row, not three
    cards: bool = False  # as many in a row as there is room for
    about: str = ""
    method: str = ""
    kind = "figure"


@dataclass(frozen=True)
class Words:
    items: list[str]
    tone: str = ""  # "note" or "warning"
    listed: bool = False
    method: str = ""
    kind = "words"


@dataclass(frozen=True)
class Verbatim:
    text: str
    kind = "verbatim"


@dataclass(frozen=True)
class Switch:
    """Several figures of which the reader chooses one."""

    name: str  # unlike any other's of the page
    title: str
    figures: list[tuple[str, Figure]]
    kind = "switch"


@dataclass(frozen=True)
class Group:
    """Tables under one fold."""

    title: str
    blocks: list[Table]
    kind = "group"


Block = Table | Figure | Words | Verbatim | Switch | Group


@dataclass(frozen=True)
class Section:
    anchor: str
    title: str
    how: str  # one sentence: how to read it
    blocks: list[Block] = field(default_factory=list)


def percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f}".replace("-", "−") if math.isfinite(value) else ABSENT


def signed(value: float, digits: int = 1) -> str:
    """Percentage points with a sign and a true minus."""
    if not math.isfinite(value):
        return ABSENT
    text = f"{100 * value:+.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "−")


def sign_mark(mean: float, is_shown: bool) -> tuple[str, str]:
    """What is said of a difference that a test shows or not, and its CSS class."""
    if not is_shown:
        return "○ undecided", "undecided"
    return ("▲ above 0", "helps") if mean > 0 else ("▼ below 0", "hurts")


def compact(value: float, unit: str = "") -> str:
    """`311 k`, `1.2 T`: three digits are what these numbers are good for."""
    if not math.isfinite(value):
        return ABSENT
    for factor, prefix in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()


def duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return ABSENT
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def rate(value: float) -> str:
    """A learning rate as people write it: `0.0631`, `1e-5`."""
    if not math.isfinite(value):
        return ABSENT
    text = f"{value:.3g}"
    return text.replace("e-0", "e-").replace("e+0", "e")
