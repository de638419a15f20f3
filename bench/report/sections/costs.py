"""What the strategies cost, on their own and here."""

import math

from bench.analysis.cells import Row, records
from bench.analysis.tables import cost_summary, feature_seconds
from bench.analysis.words import listed, plural, shortened
from bench.modalities import MODALITIES
from bench.report.facts import Facts, name_cell
from bench.report.view import (
    Block,
    Column,
    Section,
    Table,
    TableCell,
    Words,
    compact,
    duration,
    percent,
)


def cost_section(facts: Facts) -> Section | None:
    how = "FLOPs and parameters belong to the strategy, seconds and memory to the machine that ran it."
    rows = records(cost_summary(facts.results.finals, facts.results.trials, facts.board.tasks))
    return Section("cost", "Cost", how, [_table(facts, rows), *_shared(facts)]) if rows else None


def _shared(facts: Facts) -> list[Block]:
    """What no row of the table can be charged with."""
    found = feature_seconds(facts.results)
    if not found:
        return []
    named = [f"{duration(seconds)} for {shortened(backbone)}" for backbone, seconds in found.items()]
    spent = listed(named, len(named)) if facts.many_backbones else duration(sum(found.values()))
    return [
        Words(
            [
                f"Not in the seconds above: {spent} that the whole suite spent on what frozen parts compute from its "
                f"{facts.example}s. The outcome is kept and shared by all strategies that freeze the same part; "
                "whoever comes first pays for it."
            ],
            tone="note",
        )
    ]


def _table(facts: Facts, rows: list[Row]) -> Table:
    columns = [Column("Backbone", numeric=False)] if facts.many_backbones else []
    columns += [Column("Strategy", numeric=False), Column("Score", "mean, %"), Column("FLOPs", "one training")]
    columns += [Column("Trainable", "parameters"), Column("Share", "of all, %")]
    columns += [Column("Training", "seconds"), Column("Search", "seconds"), Column("Steps", "% of full")]
    columns += [Column("Memory", "peak, MB")]
    caption = (
        f"Means over the finished trainings of the leaderboard's {plural(len(facts.board.tasks), 'task')}. FLOPs are "
        "those the strategy needs on its own, as if nothing were computed once and shared; seconds and memory are what "
        "it took here, on a machine that may have been busy. Trainings that run as one share its seconds equally; "
        "without an accelerator memory is the whole process's. Search is the sum over all trials of a search, those "
        "that left early included, and next to it stand the steps they took, in percent of what they would take if all "
        "ran to their end."
        f"{_counted_as(facts)}"
    )
    return Table("cost", columns, [_row(facts, row) for row in rows], caption)


def _counted_as(facts: Facts) -> str:
    found = [(MODALITIES[name].example, MODALITIES[name].counted_as) for name in facts.modalities]
    return "".join(f" Of {example}s, FLOPs are those of {counted}." for example, counted in found if counted)


def _row(facts: Facts, row: Row) -> list[TableCell]:
    names = [name_cell(row["backbone"])] if facts.many_backbones else []
    share = row["trainable_params"] / row["total_params"] if row["total_params"] else math.nan
    return [
        *names,
        name_cell(row["strategy"], facts.strategies[row["strategy"]]),
        _cell(percent(row["score"]), 100 * row["score"]),
        _cell(compact(row["flops"]), row["flops"]),
        _cell(compact(row["trainable_params"]), row["trainable_params"]),
        _cell(percent(share), 100 * share),
        _cell(duration(row["seconds"]), row["seconds"]),
        _cell(duration(row["search_seconds"]), row["search_seconds"]),
        _cell(percent(row["search_steps"], 0), 100 * row["search_steps"]),
        _cell(compact(row["peak_memory_bytes"], "B"), row["peak_memory_bytes"] / 1e6),
    ]


def _cell(text: str, value: float) -> TableCell:
    return TableCell(text, value=float(value) if math.isfinite(value) else "")
