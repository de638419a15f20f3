"""Every strategy against training from scratch, on the same labels."""

import math

from bench.analysis.cells import Row
from bench.analysis.verdicts import HELPS, HURTS, NO_BASELINE, UNDECIDED
from bench.analysis.words import labels
from bench.report.facts import Facts, name_cell, unique
from bench.report.strip import Scale, strip
from bench.report.view import ABSENT, Block, Column, Section, Table, TableCell, Words, signed, spread

MARKS = {HELPS: "▲ helps", HURTS: "▼ hurts", UNDECIDED: "○ undecided", NO_BASELINE: "no baseline"}
CAPTION = (
    "Test score minus that of the baseline in points, paired by repeat (n = {n} unless said), 95 % Student t interval "
    "with the spread pooled over the strategies of one dataset and budget, those with a collapsed repeat left out and "
    "judged by their own. Verdicts are corrected for all {tested} "
    "comparisons of this page (Holm, 5 %), so an interval that misses 0 by little can still be undecided. The upright "
    "line is no difference; each column has a scale of its own, written above it."
)


def transfer_section(facts: Facts) -> Section:
    how = (
        "▲ helps and ▼ hurts (negative transfer) are findings; ○ undecided means that these repeats cannot tell, which "
        "is no proof of equality."
    )
    if not any(row["reference"] for row in facts.verdicts):
        words = (
            "The suite has no baseline from scratch beside another strategy, so there is nothing to hold transfer "
            "against."
        )
        return Section("transfer", "Transfer against scratch", how, [Words([words])])
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in facts.verdicts:
        groups.setdefault((row["dataset"], row["backbone"]), []).append(row)
    blocks: list[Block] = [
        _table(facts, facts.heading(*key), rows, number) for number, (key, rows) in enumerate(groups.items())
    ]
    tested = sum(math.isfinite(row["p"]) for row in facts.verdicts)
    caption = CAPTION.format(n=max(int(row["n"]) for row in facts.verdicts), tested=tested)
    blocks += [Words([caption], tone="caption"), _detectable(facts)]
    return Section("transfer", "Transfer against scratch", how, blocks)


def _table(facts: Facts, title: str, rows: list[Row], number: int) -> Table:
    budgets = unique(row["budget"] for row in rows)
    scales = {budget: _scale([row for row in rows if row["budget"] == budget]) for budget in budgets}
    found = {(row["strategy"], row["budget"]): row for row in rows}
    columns = [Column("Strategy", numeric=False)]
    columns += [Column(labels(budget), _span(scales[budget]), interval=True) for budget in budgets]
    full = max(int(row["n"]) for row in rows)
    lines = [
        [
            name_cell(name, facts.strategies[name]),
            *(_cell(found.get((name, budget)), scales[budget], full) for budget in budgets),
        ]
        for name in unique(row["strategy"] for row in rows)
    ]
    return Table(f"transfer-{number}", columns, lines, "", title=title)


def _scale(rows: list[Row]) -> Scale:
    return Scale.over([row[end] for row in rows for end in ("low", "high", "difference")], around=0.0)


def _span(scale: Scale) -> str:
    digits = 0 if scale.high - scale.low > 0.1 else 1
    return f"{signed(scale.low, digits)} to {signed(scale.high, digits)} points"


def _cell(row: Row | None, scale: Scale, full: int) -> TableCell:
    if row is None:
        return TableCell(ABSENT, value="", css="quiet")
    verdict = row["verdict"]
    css = {HELPS: "helps", HURTS: "hurts"}.get(verdict, "undecided")
    if row["n"] == 0:
        return TableCell(ABSENT, value="", sub=row["reason"], css="gap")
    pairs = "" if row["n"] == full else f", n = {row['n']}"
    return TableCell(
        f"{signed(row['difference'])}{spread(row['low'], row['high'])}",
        value=100 * row["difference"],
        sub=MARKS[verdict] + pairs,
        css=f"verdict {css}",
        title=row["reason"],
        picture=strip(scale, row["difference"], (row["low"], row["high"]), css, zero=0.0),
        bounds=(100 * row["low"], 100 * row["high"], int(row["n"])),
    )


def _detectable(facts: Facts) -> Table:
    """What these repeats could have shown, task by task."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in facts.verdicts:
        groups.setdefault((row["dataset"], row["budget"]), []).append(row)
    columns = [Column("Dataset", numeric=False), Column("Labels", numeric=False)]
    columns += [Column("Pooled sd", "points"), Column("Degrees of freedom"), Column("Smallest detectable", "points")]
    columns += [Column(name.capitalize(), "cells") for name in (HELPS, HURTS, UNDECIDED)]
    lines = [_power(dataset, budget, rows) for (dataset, budget), rows in groups.items()]
    caption = (
        "The smallest true difference to the baseline that would have been found in 4 of 5 suites like this one, with "
        "all repeats of a cell and after the correction. An undecided cell may hide anything smaller."
    )
    return Table("detectable", columns, lines, caption, title="What could have been seen", folded=True)


def _power(dataset: str, budget: str, rows: list[Row]) -> list[TableCell]:
    tested = [row for row in rows if math.isfinite(row["detectable"])]
    best = min(tested, key=lambda row: float(row["detectable"]), default=None)
    counts = [
        TableCell(str(count), value=count)
        for count in (sum(row["verdict"] == v for row in rows) for v in (HELPS, HURTS, UNDECIDED))
    ]
    numbers = [TableCell(ABSENT, value="")] * 3
    if best is not None:
        numbers = [
            TableCell(f"{100 * best['sd']:.2f}", value=100 * best["sd"]),
            TableCell(f"{best['df']:.1f}", value=best["df"]),
            TableCell(f"{100 * best['detectable']:.1f}", value=100 * best["detectable"]),
        ]
    return [name_cell(dataset), TableCell(labels(budget)), *numbers, *counts]
