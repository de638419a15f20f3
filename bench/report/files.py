"""The figures of a page as files: each drawing as SVG and as PNG at twice its size, with its title and its legend.

They come from the very figures that the page shows, in the page's light colours.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.analysis.words import shortened
from bench.report.figures.lines import WIDE, style
from bench.report.fill import TEMPLATES
from bench.report.palette import SENTINELS
from bench.report.svg import FONT, TEXT, Picture
from bench.report.view import Figure, Look, Panel, Section, Switch
from bench.store.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

PNG = 144  # dots per inch, of which a drawing's natural size has 72
KEY = 40  # CSS pixels of a legend's entry beside its letters
FONTS = f"'{FONT}', Verdana, sans-serif"  # for machines without the first; the second is as wide


def write_figures(sections: list[Section], suite: str, folder: Path) -> None:
    """`SUITE-SECTION-NUMBER-TITLE.svg` and `.png` for each."""
    light = _light_colors()
    for section in sections:
        for number, (panel, figure) in enumerate(_panels(section), 1):
            name = "-".join(filter(None, [_slug(suite), section.anchor, str(number), _slug(panel.title, panel.detail)]))
            drawing = _framed(section.title, panel, figure)
            for artist in drawing.findobj():
                artist.set_gid(None)  # what marks say is for the page
                _recolor(artist, light)
            about: dict[str, str | None] = {"Title": f"{section.title}: {_title(panel)}", "Description": figure.caption}
            about |= {"Date": None, "Creator": None}  # the same results give the same bytes
            write_bytes(folder / f"{name}.svg", _saved(drawing, format="svg", metadata=about).replace(
                f"'{FONT}'".encode(), FONTS.encode()))  # fmt: skip
            write_bytes(folder / f"{name}.png", _saved(drawing, format="png", dpi=PNG, metadata={"Software": None}))


def _panels(section: Section) -> Iterator[tuple[Panel, Figure]]:
    for block in section.blocks:
        figures = [block] if isinstance(block, Figure) and not block.cards else []  # cards are examples, not drawings
        figures += [figure for _, figure in block.figures] if isinstance(block, Switch) else []
        yield from ((panel, figure) for figure in figures for panel in figure.panels)


def _framed(title: str, panel: Panel, block: Figure) -> "Drawing":
    """The panel's figure with what the page writes around it, outside of the figure: a file is cut to fit all."""
    from matplotlib.lines import Line2D

    assert isinstance(panel.picture, Picture), f"{panel.title} was drawn by hand, and cannot be a PNG"
    figure = panel.picture.figure
    width, height = figure.bbox.size
    figure.text(2 / width, 1 + 28 / height, title, weight="bold", va="bottom", color=SENTINELS["ink"])
    figure.text(2 / width, 1 + 8 / height, _title(panel), va="bottom", color=SENTINELS["ink"])
    if block.legend:
        keys = [Line2D([], [], **style(look)) for look in block.legend]  # type: ignore[arg-type]
        longest = max(len(_label(look)) for look in block.legend)
        columns = max(1, int(width // (longest * TEXT * WIDE + KEY)))
        figure.legend(keys, [_label(look) for look in block.legend], loc="upper left", bbox_to_anchor=(0, 0),
                      ncols=columns, frameon=False, labelcolor=SENTINELS["ink"])  # fmt: skip
    return figure


def _recolor(artist: Any, light: dict[str, str]) -> None:
    """Sentinel colours -> those of the page in the light."""
    from matplotlib.colors import to_hex, to_rgba_array

    for what in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
        if not hasattr(artist, f"get_{what}") or not hasattr(artist, f"set_{what}"):
            continue
        found = [(to_hex(one[:3]), float(one[3])) for one in to_rgba_array(getattr(artist, f"get_{what}")())]
        if any(color in light for color, _ in found):
            new = [(light.get(color, color), alpha) for color, alpha in found]
            getattr(artist, f"set_{what}")(new if hasattr(artist, "get_paths") else new[0])


def _saved(figure: "Drawing", **how: Any) -> bytes:
    buffer = io.BytesIO()
    figure.patch.set_visible(True)
    figure.savefig(buffer, facecolor="white", bbox_inches="tight", pad_inches=8 / 72, **how)
    return buffer.getvalue()


def _light_colors() -> dict[str, str]:
    """By sentinel, as the page's style sheet has them."""
    style_sheet = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    light = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", style_sheet[: style_sheet.index("@media")]))
    return {sentinel: light[variable] for variable, sentinel in SENTINELS.items()}


def _title(panel: Panel) -> str:
    return " · ".join(filter(None, [panel.title, panel.detail]))


def _label(look: Look) -> str:
    return shortened(look.name, 40)


def _slug(*names: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", " ".join(names).lower()).strip("-")[:60].strip("-")
