"""The searches: validation score against the learning rate, and rates chosen at an end of their range."""

import math

from bench.analysis.cells import OUT_OF_SCOPE, Row, Task, records, task_of
from bench.analysis.words import labels, shortened
from bench.report.facts import Facts, name_cell
from bench.report.figures.lines import LinePoint, tell
from bench.report.figures.rates import Curve, rates_panel
from bench.report.sections.gallery import DRAWN, first_of, gallery
from bench.report.view import (
    ABSENT,
    Block,
    Column,
    Figure,
    Look,
    Panel,
    Section,
    Table,
    TableCell,
    Words,
    percent,
    rate,
)

TASK = ["dataset", "budget", "backbone"]


def rates_section(facts: Facts) -> Section | None:
    how = (
        "Flat curves: the rate hardly matters. A curve that still rises at an end was searched in too narrow a range."
    )
    trials = facts.results.trials
    trials = trials[~trials["status"].isin(("missing", OUT_OF_SCOPE))]
    place = trials.groupby(TASK, sort=False).ngroup()  # of a trial's task
    tasks: dict[Task, list[Row]] = {}
    for row in records(trials[place < DRAWN]):
        tasks.setdefault(task_of(row), []).append(row)
    panels, drawn = [], set()
    for number, (task, rows) in enumerate(tasks.items()):
        curves = [
            curve for curve in (_curve(rows, series) for series in facts.strategies.values()) if curve is not None
        ]
        if any(curve.points for curve in curves):
            drawn |= {curve.series.name for curve in curves}
            detail = labels(task[1]) + (f" · {shortened(task[2])}" if facts.many_backbones else "")
            picture = rates_panel(curves, f"rates{number}")
            panels.append(Panel(facts.named(task[0]), detail, picture, facts.about(*task)))
    if not panels:
        return None
    legend = [look for name, look in facts.strategies.items() if name in drawn]
    return Section("rates", "Learning rates", how, _rate_blocks(facts, panels, legend, int(place.max()) + 1))


def _rate_blocks(facts: Facts, panels: list[Panel], legend: list[Look], tasks: int) -> list[Block]:
    caption = (
        f"{_what_is_drawn(facts)} (n = 1 training each, so no interval). The large mark is the chosen rate; × at the "
        "bottom is a trial that diverged or failed."
    )
    method = (
        f"Where several searches tried one rate, their mean is drawn. {_what_is_marked(facts)}The x axis is "
        "logarithmic; each drawing has its own y axis."
    )
    figure = Figure([], legend, caption + first_of(tasks), method=method)
    blocks = [*gallery(figure, panels), *_options(facts)]
    edges = [row for row in facts.summary if row["lr_edge"]]
    if not edges:
        return [*blocks, Words(["No chosen rate is the lowest or the highest that was tried."], tone="note")]
    backbone = ["Backbone"] if facts.many_backbones else []
    columns = [Column(name, numeric=False) for name in ("Dataset", "Labels", *backbone, "Strategy", "Edge")]
    columns += [Column("Chosen rate"), Column("Tried", numeric=False)]
    about = (
        "In one repeat or more the chosen rate is the lowest or the highest that was tried: give the search more "
        "trials, or other rates to begin with, before trusting these scores."
    )
    return [
        *blocks,
        Table("edges", columns, [_edge(facts, row) for row in edges], about, title="At an end of what was tried"),
    ]


def _options(facts: Facts) -> list[Block]:
    """What became of options that were searched too."""
    finals = facts.results.finals
    rows = records(finals[finals["options"] != ""])
    if not rows:
        return []
    backbone = ["Backbone"] if facts.many_backbones else []
    names = ("Dataset", "Labels", *backbone, "Strategy", "Chosen options")
    columns = [Column("Repeat"), *(Column(name, numeric=False) for name in names), Column("Chosen rate")]
    cells = []
    for row in rows:
        where = [facts.dataset_cell(row["dataset"]), TableCell(labels(row["budget"]), value=row["budget"], css="line")]
        where += [name_cell(row["backbone"])] if facts.many_backbones else []
        strategy = name_cell(row["strategy"], facts.strategies[row["strategy"]])
        what = [TableCell(row["options"], value=row["options"]), TableCell(rate(row["lr"]), value=float(row["lr"]))]
        cells.append([TableCell(str(row["repeat"]), value=int(row["repeat"])), *where, strategy, *what])
    about = "Options of a strategy that its search chose along with the rate, in the same number of trials."
    return [Table("options", columns, cells, about, title="Options that were searched", folded=True)]


def _what_is_drawn(facts: Facts) -> str:
    scored = facts.results.trials[["first_step", "full_steps"]].dropna(subset=["first_step"]).drop_duplicates()
    moments = sorted((int(row["first_step"]), int(row["full_steps"])) for row in records(scored))
    if all(first == full for first, full in moments):
        return "Validation score in percent of every finished trial"
    when = "after {} of {} steps".format(*moments[0]) if len(moments) == 1 else "the first time trials were compared"
    return f"Validation score in percent of every trial {when}"


def _what_is_marked(facts: Facts) -> str:
    trials = facts.results.trials
    if not trials["pruned"].any():
        return ""
    others = (trials["status"] == "ok") & ~trials["pruned"] & ~trials["chosen"]
    small = "; small marks are the others that ran to their end" if others.any() else ""
    return (
        "Later scores are not drawn, since trials that left the search early have none. The large mark is the "
        f"trial that was chosen by its score at the end, so it need not be the highest here{small}. "
    )


def _edge(facts: Facts, row: Row) -> list[TableCell]:
    arrow = {"low": "↓ lowest", "high": "↑ highest"}.get(row["lr_edge"], str(row["lr_edge"]))
    bounds = f"{rate(row['lr_low'])} to {rate(row['lr_high'])}" if math.isfinite(row["lr_low"]) else ABSENT
    strategy = name_cell(row["strategy"], facts.strategies[row["strategy"]])
    backbone = [name_cell(row["backbone"])] if facts.many_backbones else []
    names = [facts.dataset_cell(row["dataset"]), TableCell(labels(row["budget"]), value=row["budget"], css="line")]
    return [
        *names,
        *backbone,
        strategy,
        TableCell(arrow, value=row["lr_edge"]),
        TableCell(rate(row["lr"]), value=float(row["lr"])),
        TableCell(bounds),
    ]


def _curve(rows: list[Row], series: Look) -> Curve | None:
    mine = [row for row in rows if row["strategy"] == series.name and math.isfinite(row["lr"]) and row["lr"] > 0]
    scored = [row for row in mine if row["status"] == "ok" and math.isfinite(row["first_score"])]
    if not mine:
        return None
    by_rate: dict[float, list[float]] = {}
    for row in scored:
        by_rate.setdefault(float(row["lr"]), []).append(100 * row["first_score"])
    through = [LinePoint(x, sum(ys) / len(ys)) for x, ys in sorted(by_rate.items())]
    halved = any(row["pruned"] for row in scored)
    return Curve(
        series,
        through,
        chosen=_points([row for row in scored if row["chosen"]]),
        finished=_points([row for row in scored if halved and not row["pruned"] and not row["chosen"]]),
        broken=[float(row["lr"]) for row in mine if row["status"] != "ok"],
    )


def _points(rows: list[Row]) -> list[LinePoint]:
    return [
        LinePoint(float(row["lr"]), 100 * row["first_score"], told=_told(row))
        for row in rows
    ]


def _told(row: Row) -> str:
    chosen = "chosen, " if row["chosen"] else ""
    return tell(row["strategy"], f"{chosen}rate {rate(row['lr'])}", f"{percent(row['first_score'])} %", n=1)
