"""What is told of each unit, a line for each strategy: how alike its outputs are before and after training, or how much
it counts."""

from markupsafe import Markup

from bench.report.figures.lines import LinePoint, line
from bench.report.svg import inline, new_panel
from bench.report.view import Look


def similarity_panel(lines: list[tuple[Look, list[LinePoint]]], num_units: int, name: str) -> Markup:
    """`num_units`: without the head."""
    return _panel(lines, num_units, name, "Similarity of each unit's outputs before and after training, from 0 to 1")


def mix_panel(lines: list[tuple[Look, list[LinePoint]]], num_units: int, name: str) -> Markup:
    return _panel(lines, num_units, name, "How much each unit counts, as shares from 0 to 1")


def _panel(lines: list[tuple[Look, list[LinePoint]]], num_units: int, name: str, said: str) -> Markup:
    figure, axes = new_panel()
    for look, points in lines:
        line(axes, look, points)
    axes.set_ylim(-0.05, 1.05)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_xlim(-0.4, num_units - 0.6)
    axes.set_xticks(range(0, num_units, max(1, num_units // 8)))
    axes.set_xlabel("unit, counted from the input")
    return inline(figure, name, said)
