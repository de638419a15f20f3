"""The figures of scores: against labels, and against frozen depth. `rates.py` has those of the searches."""

import math
from dataclasses import replace

from bench.analysis.cells import Row
from bench.analysis.words import labels, shortened
from bench.report.facts import Facts, unique
from bench.report.figures.budgets import budgets_panel
from bench.report.figures.depths import Depths, depths_panel
from bench.report.figures.lines import LinePoint
from bench.report.palette import SHAPES
from bench.report.view import Figure, Look, Panel, Section

DASHES: tuple[tuple[float, ...], ...] = ((), (1, 1.5), (6, 2, 1, 2))  # of an axis' kinds, in suite order


def point(row: Row, x: float) -> LinePoint:
    return LinePoint(x, 100 * row["mean"], 100 * row["low"], 100 * row["high"])


def labels_section(facts: Facts) -> Section | None:
    how = "Further left with fewer labels; a strategy that is above the dashed line from scratch gains from transfer."
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
                Panel(shortened(dataset), _backbone(facts, backbone), budgets_panel(lines, f"labels{number}"))
            )
    if not panels:
        return None
    caption = (
        f"Test {facts.metric} in percent, mean over the finished repeats (n in the tables above); whiskers are 95 % "
        "intervals. Logarithmic x axis; strategies stand side by side at each budget only to be seen. Each "
        "drawing has its own y axis, which need not start at 0; very long whiskers are cut at its edge."
    )
    figure = Figure(panels, list(facts.strategies.values()), caption, wide=True)
    return Section("labels", "Score against labels", how, [figure])


def _backbone(facts: Facts, backbone: str) -> str:
    return shortened(backbone) if facts.many_backbones else ""


def depth_section(facts: Facts) -> Section | None:
    how = (
        "From left (everything trains) to right (only the head trains): where a line falls, the units frozen there "
        "were too special to the source."
    )
    panels, used, looks = [], set(), _looks(facts)
    for number, ((dataset, backbone), rows) in enumerate(facts.groups().items()):
        lines = [line for budget in facts.budgets for line in _depths(looks, budget, rows)]
        if lines:
            used |= {line.series for line in lines}
            picture = depths_panel(lines, int(rows[0]["num_units"]), f"depth{number}")
            panels.append(Panel(shortened(dataset), _backbone(facts, backbone), picture))
    if not panels:
        return None
    legend = [series for series in looks.values() if series in used]
    baseline = any(series.hollow for series in facts.strategies.values())
    caption = (
        f"Test {facts.metric} in percent, mean over the finished repeats; whiskers are 95 % intervals. 0 is "
        "full fine-tuning, the last position trains the head alone."
        + (" Dashed: from scratch at the same budget." if baseline else "")
    )
    return Section("depth", "Frozen depth", how, [Figure(panels, legend, caption)])


def _looks(facts: Facts) -> dict[tuple[str, str], Look]:
    """Of each line: colours tell budgets apart, dashes the kinds of one; shapes tell both."""
    kinds = unique(row["axis_kind"] for row in facts.summary if row["axis"] == "depth")
    found = {}
    for number, kind in enumerate(kinds):
        for budget, series in facts.budgets.items():
            name = f"{labels(budget)}, {shortened(kind)}" if kind else labels(budget)
            marker = (series.marker + number * len(facts.budgets)) % len(SHAPES)
            found[budget, kind] = replace(series, name=name, marker=marker, dashes=DASHES[number % len(DASHES)])
    return found


def _depths(looks: dict[tuple[str, str], Look], budget: str, rows: list[Row]) -> list[Depths]:
    """A line for each kind that has two depths at least."""
    mine = [row for row in rows if row["budget"] == budget and row["n"]]
    scratch = next((100 * row["mean"] for row in mine if row["baseline"]), math.nan)
    found = []
    for (of, kind), series in looks.items():
        here = [row for row in mine if (of, row["axis"], row["axis_kind"]) == (budget, "depth", kind)]
        points = [point(row, row["axis_value"]) for row in here]
        if len({p.x for p in points}) > 1:
            found.append(Depths(series, points, scratch))
    return found
