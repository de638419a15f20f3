"""The figures: score against labels, against frozen depth, and the search's validation score against the rate."""

import math

from bench.analysis.cells import Row, Task, records, task_of
from bench.analysis.words import labels, shortened
from bench.report.facts import Facts, name_cell
from bench.report.figures.budgets import budgets_panel
from bench.report.figures.depths import Depths, depths_panel
from bench.report.figures.lines import Point
from bench.report.figures.rates import Curve, rates_panel
from bench.report.view import ABSENT, Block, Cell, Column, Figure, Panel, Section, Series, Table, Words, rate

SHOWN, DRAWN = 12, 36  # rate drawings in sight, and at all: a page has an end


def point(row: Row, x: float) -> Point:
    return Point(x, 100 * row["mean"], 100 * row["low"], 100 * row["high"])


def labels_section(facts: Facts) -> Section | None:
    how = "Further left with fewer labels; a strategy that is above the dashed line from scratch gains from transfer."
    panels = []
    for number, ((dataset, backbone), rows) in enumerate(facts.groups().items()):
        lines: list[tuple[Series, list[Point]]] = []
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
        "Student t intervals. Logarithmic x axis; strategies stand side by side at each budget only to be seen. Each "
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
    panels, used = [], set()
    for number, ((dataset, backbone), rows) in enumerate(facts.groups().items()):
        lines = [line for line in (_depths(facts, budget, rows) for budget in facts.budgets) if line is not None]
        if lines:
            used |= {line.series.name for line in lines}
            picture = depths_panel(lines, int(rows[0]["num_units"]), f"depth{number}")
            panels.append(Panel(shortened(dataset), _backbone(facts, backbone), picture))
    if not panels:
        return None
    legend = [Series(labels(name), s.color, s.marker) for name, s in facts.budgets.items() if name in used]
    baseline = any(series.hollow for series in facts.strategies.values())
    caption = (
        f"Test {facts.metric} in percent, mean over the finished repeats; whiskers are 95 % Student t intervals. 0 is "
        "full fine-tuning, the last position trains the head alone."
        + (" Dashed: from scratch at the same budget." if baseline else "")
    )
    return Section("depth", "Frozen depth", how, [Figure(panels, legend, caption)])


def _depths(facts: Facts, budget: str, rows: list[Row]) -> Depths | None:
    mine = [row for row in rows if row["budget"] == budget and row["n"]]
    points = [point(row, row["depth"]) for row in mine if math.isfinite(row["depth"]) and not row["baseline"]]
    if len({p.x for p in points}) < 2:
        return None
    scratch = [100 * row["mean"] for row in mine if row["baseline"]]
    return Depths(facts.budgets[budget], points, scratch[0] if scratch else math.nan)


def rates_section(facts: Facts) -> Section | None:
    how = (
        "Flat curves: the rate hardly matters; a curve that still rises at an end was searched in too narrow a range. "
        "The filled mark is the chosen rate."
    )
    tasks: dict[Task, list[Row]] = {}
    for row in records(facts.results.trials):
        if row["status"] != "missing":
            tasks.setdefault(task_of(row), []).append(row)
    panels = []
    for number, (task, rows) in enumerate(list(tasks.items())[:DRAWN]):
        curves = [
            curve for curve in (_curve(rows, series) for series in facts.strategies.values()) if curve is not None
        ]
        if any(curve.points for curve in curves):
            detail = labels(task[1]) + (f" · {shortened(task[2])}" if facts.many_backbones else "")
            panels.append(Panel(shortened(task[0]), detail, rates_panel(curves, f"rates{number}")))
    if not panels:
        return None
    return Section("rates", "Learning rates", how, _rate_blocks(facts, panels, len(tasks)))


def _rate_blocks(facts: Facts, panels: list[Panel], tasks: int) -> list[Block]:
    caption = (
        "Validation score in percent of every finished trial (n = 1 training each, so no interval); where several "
        "searches tried one rate, their mean. Logarithmic x axis, own y axis; × at the bottom is a trial that diverged "
        "or failed."
    )
    if tasks > DRAWN:
        caption += f" The first {DRAWN} of {tasks} tasks are drawn."
    legend = list(facts.strategies.values())
    blocks: list[Block] = [Figure(panels[:SHOWN], legend, caption)]
    if len(panels) > SHOWN:
        blocks.append(Figure(panels[SHOWN:], legend, caption, title=f"{len(panels) - SHOWN} more tasks", folded=True))
    edges = [row for row in facts.summary if row["lr_edge"]]
    if not edges:
        return [*blocks, Words(["No chosen rate lies at the edge of its range."], tone="note")]
    backbone = ["Backbone"] if facts.many_backbones else []
    columns = [Column(name, numeric=False) for name in ("Dataset", "Labels", *backbone, "Strategy", "Edge")]
    columns += [Column("Chosen rate"), Column("Range", numeric=False)]
    about = (
        "Cells whose chosen rate lies at an end of its range (median over the repeats): widen the range before "
        "trusting them."
    )
    return [
        *blocks,
        Table("edges", columns, [_edge(facts, row) for row in edges], about, title="At the edge of the range"),
    ]


def _edge(facts: Facts, row: Row) -> list[Cell]:
    arrow = {"low": "↓ lowest", "high": "↑ highest"}.get(row["lr_edge"], str(row["lr_edge"]))
    bounds = f"{rate(row['lr_low'])} to {rate(row['lr_high'])}" if math.isfinite(row["lr_low"]) else ABSENT
    strategy = name_cell(row["strategy"], facts.strategies[row["strategy"]])
    backbone = [name_cell(row["backbone"])] if facts.many_backbones else []
    names = [name_cell(row["dataset"]), Cell(labels(row["budget"]), value=row["budget"], css="line")]
    return [
        *names,
        *backbone,
        strategy,
        Cell(arrow, value=row["lr_edge"]),
        Cell(rate(row["lr"]), value=float(row["lr"])),
        Cell(bounds),
    ]


def _curve(rows: list[Row], series: Series) -> Curve | None:
    mine = [row for row in rows if row["strategy"] == series.name and math.isfinite(row["lr"]) and row["lr"] > 0]
    scored = [row for row in mine if row["status"] == "ok" and math.isfinite(row["score"])]
    if not mine:
        return None
    by_rate: dict[float, list[float]] = {}
    for row in scored:
        by_rate.setdefault(float(row["lr"]), []).append(100 * row["score"])
    points = [Point(x, sum(ys) / len(ys)) for x, ys in sorted(by_rate.items())]
    chosen = [Point(float(row["lr"]), 100 * row["score"]) for row in scored if row["chosen"]]
    return Curve(series, points, chosen, [float(row["lr"]) for row in mine if row["status"] != "ok"])
