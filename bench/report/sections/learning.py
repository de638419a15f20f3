"""Scores against labels; `worth.py` goes on. `depths.py` has those against depth, `rates.py` those of the searches."""

import math

from bench.analysis.cells import Row
from bench.analysis.words import labels
from bench.report.facts import Facts
from bench.report.figures.budgets import budgets_panel
from bench.report.figures.lines import LinePoint, tell
from bench.report.sections.gallery import DRAWN, first_of, gallery
from bench.report.sections.worth import worth_blocks
from bench.report.view import Figure, Look, Panel, Section, percent


def point(row: Row, x: float) -> LinePoint:
    ends = f"{percent(row['low'])} to {percent(row['high'])}" if math.isfinite(row["low"]) else ""
    told = tell(row["strategy"], labels(row["budget"]), f"{percent(row['mean'])} %", ends, row["n"])
    return LinePoint(x, 100 * row["mean"], 100 * row["low"], 100 * row["high"], told)


def labels_section(facts: Facts) -> Section | None:
    how = "Above the dashed line from scratch, a strategy gains from transfer. Labels grow to the right."
    drawn = [(task, lines) for task, rows in facts.groups.items() if (lines := _lines(facts, rows))]
    if not drawn:
        return None
    panels = [
        Panel(facts.named(dataset), facts.which(backbone), budgets_panel(lines, f"labels{number}"),
              facts.about(dataset, backbone=backbone))
        for number, ((dataset, backbone), lines) in enumerate(drawn[:DRAWN])
    ]  # fmt: skip
    caption = (
        f"Test {facts.metric} in percent, mean over the finished repeats (n in the tables above); whiskers are 95 % "
        "intervals. Each drawing has its own y axis."
    )
    method = (
        "The x axis is logarithmic; strategies stand side by side at each budget only to be seen. The y axis need not "
        "start at 0; very long whiskers are cut at its edge."
    )
    legend = list(facts.strategies.values())
    figure = Figure([], legend, caption + first_of(len(drawn), what="panel"), wide=True, method=method)
    blocks = [*gallery(figure, panels, what="panel"), *worth_blocks(facts)]
    return Section("labels", "Score against labels", how, blocks)


def _lines(facts: Facts, rows: list[Row]) -> list[tuple[Look, list[LinePoint]]]:
    """Of the strategies that have a point."""
    found = []
    for name, series in facts.strategies.items():
        mine = [row for row in rows if row["strategy"] == name and row["n"] and row["labels_per_class"] > 0]
        if mine:
            found.append((series, [point(row, row["labels_per_class"]) for row in mine]))
    return found
