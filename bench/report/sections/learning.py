"""Scores against labels; `worth.py` goes on. `depths.py` has those against depth, `rates.py` those of the searches."""

import math

from bench.analysis.cells import Row
from bench.analysis.words import labels
from bench.report.facts import Facts
from bench.report.figures.budgets import budgets_panel
from bench.report.figures.lines import LinePoint, tell
from bench.report.sections.worth import worth_blocks
from bench.report.view import Figure, Look, Panel, Section, percent


def point(row: Row, x: float) -> LinePoint:
    ends = f"{percent(row['low'])} to {percent(row['high'])}" if math.isfinite(row["low"]) else ""
    told = tell(row["strategy"], labels(row["budget"]), f"{percent(row['mean'])} %", ends, row["n"])
    return LinePoint(x, 100 * row["mean"], 100 * row["low"], 100 * row["high"], told)


def labels_section(facts: Facts) -> Section | None:
    how = "Above the dashed line from scratch, a strategy gains from transfer. Labels grow to the right."
    panels = []
    for number, ((dataset, backbone), rows) in enumerate(facts.groups().items()):
        lines: list[tuple[Look, list[LinePoint]]] = []
        for name, series in facts.strategies.items():
            mine = [row for row in rows if row["strategy"] == name and row["n"] and row["labels_per_class"] > 0]
            points = [point(row, row["labels_per_class"]) for row in mine]
            if points:
                lines.append((series, points))
        if lines:
            panels.append(
                Panel(facts.named(dataset), facts.which(backbone), budgets_panel(lines, f"labels{number}"),
                      facts.about(dataset, backbone=backbone))  # fmt: skip
            )
    if not panels:
        return None
    caption = (
        f"Test {facts.metric} in percent, mean over the finished repeats (n in the tables above); whiskers are 95 % "
        "intervals. Each drawing has its own y axis."
    )
    method = (
        "The x axis is logarithmic; strategies stand side by side at each budget only to be seen. The y axis need not "
        "start at 0; very long whiskers are cut at its edge."
    )
    figure = Figure(panels, list(facts.strategies.values()), caption, wide=True, method=method)
    return Section("labels", "Score against labels", how, [figure, *worth_blocks(facts)])
