"""A critical-difference diagram that stands upright: one row per strategy by mean rank, a bar beside each clique."""

from markupsafe import Markup, escape

from bench.analysis.words import shortened
from bench.report.figures.axis import PictureAxis
from bench.report.figures.changes import LABELS, ROW, TOP, squeezed
from bench.report.palette import SHAPES
from bench.report.view import Look

WIDTH, GAP, FOOT = 330, 11, 20  # CSS pixels at its natural size; between bars


def ranks_panel(ranks: list[tuple[Look, float]], cliques: list[tuple[int, int]], label: str) -> Markup:
    """`cliques`: first and last row of each."""
    bottom = TOP + ROW * len(ranks)
    axis = PictureAxis(1, max(len(ranks), 2), LABELS + 12, WIDTH - 16 - GAP * len(cliques))
    parts = [_row(series, rank, axis, TOP + ROW * i + ROW // 2) for i, (series, rank) in enumerate(ranks)]
    for number, (first, last) in enumerate(cliques):
        x = WIDTH - 4 - GAP * (len(cliques) - 1 - number)
        ends = f'y1="{TOP + ROW * first + 4}" y2="{TOP + ROW * (last + 1) - 4}"'
        parts.append(f'<line class="level" x1="{x}" x2="{x}" {ends}/>')
    for tick in axis.ticks(6):
        if tick == round(tick):
            parts.append(f'<text class="tick" x="{axis.place(tick)}" y="{bottom + 14}">{tick:g}</text>')
    head = f'<svg class="plot drawn" viewBox="0 0 {WIDTH} {bottom + FOOT}" role="img" aria-label="{escape(label)}">'
    return Markup(head + "".join(parts) + "</svg>")


def _row(series: Look, rank: float, axis: PictureAxis, y: int) -> str:
    x = axis.place(rank)
    name = shortened(series.name, 20)
    base = f'<line class="margin" x1="{axis.start}" x2="{x}" y1="{y}" y2="{y}"/>'
    mark = f'<path class="mark{" hollow" if series.hollow else ""}" transform="translate({x} {y})" '
    mark += f'd="{SHAPES[series.marker][1]}"/>'
    title = f"<title>{escape(shortened(series.name))}: mean rank {rank:.2f}</title>"
    text = f'<text class="label" x="{LABELS}" y="{y + 4}"{squeezed(name, LABELS)}>{escape(name)}</text>'
    return f'<g style="color:var(--{series.color})">{title}{text}{base}{mark}</g>'
