"""A matplotlib figure -> SVG that may stand beside others in one page.

matplotlib's own SVG has a `*{}` rule that would style the whole page, ids that repeat between figures, a date, an XML
head and coordinates to a millionth. All of that goes.
"""

import io
import re
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
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "transfer-bench",
    "text.parse_math": False,
    "font.family": FONT,
    "font.size": 11.0,
    "path.simplify": False,
    "axes.linewidth": 0.8,
}
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(?:href="|url\()#([^")]+)')
_NUMBER = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
_COORDINATES = re.compile(r' (?:d|x|y|x1|x2|y1|y2|width|height|transform)="[^"]*"')


@contextmanager
def drawing() -> Iterator[None]:
    """matplotlib's defaults and ours, whatever the person's own matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)  # type: ignore[arg-type]  # its stubs list every name
        yield


def new_panel(width: int = 330, height: int = 236) -> tuple["Figure", "Axes"]:
    """One small drawing; a unit is a CSS pixel at its natural size, so its text stays legible on a phone."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    axes = figure.add_axes((44 / width, 40 / height, 1 - 56 / width, 1 - 52 / height))
    axes.patch.set_visible(False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SENTINELS["rule"])
    axes.tick_params(length=3, width=0.8, color=SENTINELS["rule"], labelcolor=SENTINELS["muted"], labelsize=10.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=SENTINELS["rule"], linewidth=0.6)
    axes.set_axisbelow(True)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(SENTINELS["muted"])
    return figure, axes


def inline(figure: "Figure", name: str, label: str) -> Markup:
    """The figure as text; `name` makes its ids unique on the page, `label` is what a screen reader says."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    start = text.index("<svg")
    head, body = text[start : text.index(">", start)], text[text.index(">", start) + 1 :]
    box = re.search(r'viewBox="([^"]*)"', head)
    assert box is not None
    opening = f'<svg class="plot" viewBox="{box.group(1)}" role="img" aria-label="{escape(label)}">'
    return Markup(opening + _clean(body, name))


def _clean(body: str, name: str) -> str:
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href").replace(f"'{FONT}'", "inherit").replace(f'"{FONT}"', "inherit")
    used = set(_REFERENCE.findall(body))
    body = _ID.sub(lambda found: _kept(found[1], name, used), body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
    body = _COORDINATES.sub(lambda found: _NUMBER.sub(_short, found[0]), body)
    for variable, sentinel in SENTINELS.items():
        body = body.replace(sentinel, f"var(--{variable})")
    body = re.sub(r"<defs>\s*</defs>", "", body)
    body = re.sub(r' transform="rotate\(-?0 [^"]*"| ?font-family: inherit;', "", body)
    return _unwrapped(re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", body)).strip())


def _kept(found: str, name: str, used: set[str]) -> str:
    """Of an id: the marks that a filter hides a series by, or what something in the figure refers to."""
    if found.startswith(MARKED):
        return f' data-f="{found.removeprefix(MARKED)}"'
    return f' id="{name}-{found}"' if found in used else ""


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
