"""What the network still knows of what it was pretrained on."""

import math

from bench.analysis.forgetting import forgotten
from bench.analysis.statistics import Interval
from bench.analysis.words import plural
from bench.report.facts import Facts, name_cell
from bench.report.view import Column, Section, Table, TableCell, percent, signed


def forgetting_section(facts: Facts) -> Section | None:
    found = forgotten(facts.results.finals)
    if not found or all(one.change.mean == 0 for one in found.values()):
        return None
    how = (
        f"How many of the pretraining's test {facts.example}s the network still tells right after it was transferred: "
        "by its original head, and by a head fitted anew (refitted)."
    )
    backbone = [Column("Backbone", numeric=False)] if facts.many_backbones else []
    columns = [*backbone, Column("Strategy", numeric=False), Column("Before", "%"), Column("After", "%")]
    columns += [Column("Change", "points", interval=True), Column("Refitted", "points", interval=True)]
    order = sorted(found.items(), key=lambda item: -item[1].change.mean)
    rows = [
        [
            *([name_cell(where)] if facts.many_backbones else []),
            name_cell(strategy, facts.strategies[strategy]),
            TableCell(percent(one.before), value=100 * one.before),
            TableCell(percent(one.after), value=100 * one.after),
            _points(one.change),
            _points(one.refitted),
        ]
        for (where, strategy), one in order
    ]
    n = max(one.change.n for one in found.values())
    num = plural(len(facts.board.tasks), "task")
    tasks = num if not facts.many_backbones else "the tasks of each backbone"
    caption = (
        f"Mean over {tasks}, the least forgetful first; changes with a 95 % interval over n = {n} repeats."
    )
    method = (
        "What the refitted head keeps was not forgotten, only moved. The interval is Student's t. The same 512 or so "
        f"source {facts.example}s each time; where a strategy trains the old head along, by that head. Strategies that "
        "move nothing below the head keep all."
    )
    return Section("forgetting", "Forgetting", how, [Table("forgetting", columns, rows, caption, method=method)])


def _points(interval: Interval) -> TableCell:
    half = f" ±{100 * interval.half:.1f}" if math.isfinite(interval.half) and interval.half > 0 else ""
    bounds = (100 * interval.low, 100 * interval.high, interval.n)
    return TableCell(f"{signed(interval.mean)}{half}", value=100 * interval.mean, bounds=bounds)
