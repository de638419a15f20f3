"""What is told of each unit, a line for each strategy: how alike its outputs are before and after training, or how much
it counts."""

from bench.report.figures.lines import LinePoint, line
from bench.report.svg import Picture, inline, name_axes, new_panel
from bench.report.view import Look


def similarity_panel(lines: list[tuple[Look, list[LinePoint]]], num_units: int, name: str) -> Picture:
    """`num_units`: without the head."""
    said = "Similarity of each unit's outputs before and after training, from 0 to 1"
    return _panel(lines, (num_units, 1.0, "similarity to before (CKA)"), name, said)


def mix_panel(lines: list[tuple[Look, list[LinePoint]]], num_units: int, name: str) -> Picture:
    top = 0.5 if all(point.y <= 0.5 for _, points in lines for point in points) else 1.0
    return _panel(lines, (num_units, top, "share of the unit"), name, "How much each unit counts, as shares of 1")


def _panel(lines: list[tuple[Look, list[LinePoint]]], size: tuple[int, float, str], name: str, said: str) -> Picture:
    """`size`: units, and where the upright axis ends; its name."""
    num_units, top, upright = size
    figure, axes = new_panel()
    for look, points in lines:
        line(axes, look, points)
    axes.set_ylim(-0.05 * top, 1.05 * top)
    axes.set_yticks([share * top for share in (0, 0.25, 0.5, 0.75, 1)])
    axes.set_xlim(-0.4, num_units - 0.6)
    axes.set_xticks(range(0, num_units, max(1, num_units // 8)))
    name_axes(axes, "unit, counted from the input", upright)
    return inline(figure, name, said)
