"""A critical-difference diagram that stands upright: one row per strategy by mean rank, a bar beside each clique."""

from bench.analysis.words import shortened
from bench.report.figures.lines import LinePoint, marks, style, tell
from bench.report.palette import SENTINELS
from bench.report.svg import BOTTOM, TOP, Picture, inline, name_axes, new_panel
from bench.report.view import Look

WIDTH, NAMES, ROW, GAP = 400, 150, 22, 12  # CSS pixels at its natural size: names, a row's height, between bars


def ranks_panel(ranks: list[tuple[Look, float]], cliques: list[tuple[int, int]], label: str) -> Picture:
    """`cliques`: first and last row of each."""
    last = max(len(ranks), 2)
    height = TOP + ROW * len(ranks) + BOTTOM
    width = WIDTH - NAMES - 14 - GAP * len(cliques)
    figure, axes = new_panel(WIDTH, height)
    axes.set_position((NAMES / WIDTH, BOTTOM / height, width / WIDTH, ROW * len(ranks) / height))
    axes.grid(visible=False)
    for row, (series, rank) in enumerate(ranks):
        axes.plot([1, rank], [row, row], color=SENTINELS["muted"], linewidth=1, linestyle=(0, (3, 3)))
        told = tell(series.name, "mean rank", f"{rank:.2f}")
        marks(axes, [LinePoint(rank, row, told=told)], {**style(series), "linestyle": "none", "clip_on": False})
    for number, (first, until) in enumerate(cliques):
        x = 1 + (number + 1) * GAP / width
        axes.plot([x, x], [first - 0.3, until + 0.3], color=SENTINELS["ink"], linewidth=2.6,
                  transform=axes.get_yaxis_transform(), clip_on=False)  # fmt: skip
    axes.set_xlim(1, last)
    axes.set_xticks(range(1, last + 1, max(1, round(last / 6))))
    axes.set_ylim(len(ranks) - 0.5, -0.5)
    axes.set_yticks(range(len(ranks)), [shortened(series.name, 20) for series, _ in ranks], color=SENTINELS["ink"])
    name_axes(axes, "mean rank, 1 is best", "strategy")
    return inline(figure, "ranks", label)
