"""A matplotlib figure -> SVG that may stand beside others in one page.

matplotlib's own SVG has a `*{}` rule that would style the whole page, ids that repeat between figures, a date, an XML
head and coordinates to a millionth. All of that goes.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from bench.report.palette import SENTINELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKED = "about "  # how the gid of a series begins
FONT = "DejaVu Sans"  # what widths are measured with; the page's own font is drawn
TEXT = 12.0  # CSS pixels at a drawing's natural size
LEFT, RIGHT, TOP, BOTTOM = 40, 14, 28, 44  # beside the axes: room for their labels
TOLD = "told:"  # begins a gid whose rest is how the page finds the series, then what its marks say, a line each
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "transfer-bench",
    "text.parse_math": False,
    "font.family": FONT,
    "font.size": TEXT,
    "path.simplify": False,
    "axes.linewidth": 0.8,
}
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(?:href="|url\()#([^")]+)')
_MARK = re.compile(rf"""<g id=(["']){TOLD}(.*?)\1>|<use [^>]*/>""", re.DOTALL)
_PLACE = re.compile("\0(\\d+)\0")
_NUMBER = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
_PATH, _LETTER = re.compile(r' d="[^"]*"'), re.compile(r"\s*([MLCQz])\s*")
_COORDINATES = re.compile(r' (?:d|x|y|x1|x2|y1|y2|width|height|transform)="[^"]*"')


@contextmanager
def drawing() -> Iterator[None]:
    """matplotlib's defaults and ours, whatever the person's own matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the page's own font draws names of any script
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)  # type: ignore[arg-type]  # its stubs list every name
        yield


class Picture(Markup):
    """A drawing as it stands in the page, and the figure that it came from, which can be written to a file too."""

    figure: "Figure"


def new_panel(width: int = 300, height: int = 230) -> tuple["Figure", "Axes"]:
    """One small drawing; a unit is a CSS pixel at its natural size, so its text stays legible on a phone."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    box = (LEFT / width, BOTTOM / height, 1 - (LEFT + RIGHT) / width, 1 - (TOP + BOTTOM) / height)
    axes = figure.add_axes(box)
    axes.patch.set_visible(False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SENTINELS["rule"])
    axes.tick_params(length=3, width=0.8, color=SENTINELS["rule"], labelcolor=SENTINELS["muted"], labelsize=TEXT)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=SENTINELS["rule"], linewidth=0.6)
    axes.set_axisbelow(True)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(SENTINELS["muted"])
    return figure, axes


def name_axes(axes: "Axes", x: str, y: str) -> None:
    """The upright axis is named above it, in level letters: nobody turns the head, and they take no width."""
    width, height = axes.figure.bbox.size
    axes.set_xlabel(x)
    axes.set_ylabel(y, color=SENTINELS["muted"], rotation=0, ha="left", va="top", y=0)
    axes.yaxis.set_label_coords(2 / width, 1 - 2 / height, axes.figure.transFigure)


def inline(figure: "Figure", name: str, label: str) -> Picture:
    """The figure as text; `name` makes its ids unique on the page, `label` is what a screen reader says. What a mark
    stands for (`lines.py`) is its `<title>`, which browsers show to a pointer and `page.js` to the keyboard."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    start = text.index("<svg")
    head, body = text[start : text.index(">", start)], text[text.index(">", start) + 1 :]
    box = re.search(r'viewBox="([^"]*)"', head)
    assert box is not None
    opening = f'<svg class="plot" viewBox="{box.group(1)}" role="img" aria-label="{escape(label)}">'
    picture = Picture(opening + _clean(body, name))
    picture.figure = figure
    return picture


def _clean(body: str, name: str) -> str:
    body, titles = _titled(body)
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href").replace(f"'{FONT}'", "inherit").replace(f'"{FONT}"', "inherit")
    short = {long: f"{name}-{place}" for place, long in enumerate(dict.fromkeys(_REFERENCE.findall(body)))}
    body = _ID.sub(lambda found: _kept(found[1], short), body)
    body = re.sub(r'(href="#|url\(#)([^")]+)', lambda found: found[1] + short[found[2]], body)
    body = _COORDINATES.sub(lambda found: _NUMBER.sub(_short, found[0]), body)
    for variable, sentinel in SENTINELS.items():
        body = body.replace(sentinel, f"var(--{variable})")
    body = re.sub(r"<defs>\s*</defs>|; stroke-dashoffset: 0(?=[;\"])", "", body)
    body = _PATH.sub(lambda found: _LETTER.sub(r"\1", found[0]), body)
    body = re.sub(r' transform="rotate\(-?0 [^"]*"| ?font-family: inherit;', "", body)
    body = re.sub(r'style="[^"]*"', lambda found: found[0].replace(": ", ":").replace("; ", ";"), body)
    body = _unwrapped(re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", body)).strip())
    return _PLACE.sub(lambda found: f"<title>{titles[int(found[1])]}</title>", body)


def _titled(body: str) -> tuple[str, list[str]]:
    """With a place for a title in each mark that has one, and the titles: what people call things is not to be cleaned.
    matplotlib has escaped them, as they stood in an attribute."""
    titles: list[str] = []
    waiting: list[str] = []

    def place(found: re.Match[str]) -> str:
        if found[2] is not None:
            assert not waiting, "a mark that says something was not drawn"
            about, *told = found[2].split("\n")
            waiting.extend(told)
            return f'<g data-f="{about}">' if about else "<g>"
        if not waiting:
            return found[0]
        titles.append(waiting.pop(0))
        return f"{found[0][:-2]}>\0{len(titles) - 1}\0</use>"

    return _MARK.sub(place, body), titles


def _kept(found: str, short: dict[str, str]) -> str:
    """Of an id: the marks that a filter hides a series by, or what something in the figure refers to."""
    if found.startswith(MARKED):
        return f' data-f="{found.removeprefix(MARKED)}"'
    return f' id="{short[found]}"' if found in short else ""


def _unwrapped(body: str) -> str:
    """Without the groups that say nothing; matplotlib nests five around every tick."""
    kept: list[bool] = []

    def judge(found: re.Match[str]) -> str:
        if found[0] == "</g>":
            return "</g>" if kept.pop() else ""
        kept.append(found[0] != "<g>")
        return found[0] if kept[-1] else ""

    return re.sub(r"<g(?: [^>]*)?>|</g>", judge, re.sub(r"<g[^>]*/>", "", body))


def _short(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")
