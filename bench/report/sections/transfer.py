"""Every strategy against training from scratch, on the same labels."""

import math

from bench.analysis.cells import Row
from bench.analysis.verdicts import AS_GOOD, FEWEST_IMAGES, HELPS, HURTS, NO_BASELINE, UNDECIDED
from bench.analysis.words import labels, plus_minus
from bench.report.facts import Facts, name_cell, unique
from bench.report.sections.sharing import sharing_table
from bench.report.strip import Scale, strip
from bench.report.view import ABSENT, Block, Column, Section, Table, TableCell, Words, signed

MARKS = {HELPS: "▲ helps", HURTS: "▼ hurts", AS_GOOD: "= as good as", UNDECIDED: "○ undecided",
         NO_BASELINE: "no baseline"}  # fmt: skip
CAPTION = (
    "Test score minus that of the baseline in points, paired by repeat (n = {n} unless said). The interval misses 0 "
    "exactly where transfer helps or hurts; the upright line is 0."
)
METHOD = (
    "The interval is the verdict's own: widened for the {tested} comparisons of this page, each at its step of Holm's "
    "correction (5 %). It lies within ±{margin:g} points where a strategy is = as good as the baseline (two one-sided "
    "tests, corrected alike); what could not be tested has a plain 95 % interval. It speaks {scope} The spread between "
    "repeats is the mean of a strategy's own and that of all strategies of the same data set and budget, and never "
    "below its own. Each column has a scale of its own, written above it."
)


def transfer_section(facts: Facts) -> Section:
    how = (
        "▲ helps, ▼ hurts (negative transfer) and = as good as are findings. ○ undecided: these repeats and test "
        f"{facts.example}s cannot tell, which is no proof of equality."
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
    most = max(int(row["n"]) for row in facts.verdicts)
    method = METHOD.format(tested=tested, scope=facts.scope, margin=100 * facts.results.margin)
    blocks += [Words([CAPTION.format(n=most)], tone="caption", method=method), _detectable(facts)]
    blocks += [table for table in [sharing_table(facts)] if table is not None]
    return Section("transfer", "Transfer against scratch", how, blocks)


def _table(facts: Facts, title: str, rows: list[Row], number: int) -> Table:
    budgets = unique(row["budget"] for row in rows)
    scales = {budget: _scale([row for row in rows if row["budget"] == budget]) for budget in budgets}
    found = {(row["strategy"], row["budget"]): row for row in rows}
    columns = [Column("Strategy", numeric=False)]
    columns += [Column(labels(budget), _span(scales[budget]), interval=True, about=facts.about(budget=budget))
                for budget in budgets]  # fmt: skip
    full = max(int(row["n"]) for row in rows)
    lines = [
        [
            name_cell(name, facts.strategies[name]),
            *(_cell(found.get((name, budget)), scales[budget], full) for budget in budgets),
        ]
        for name in unique(row["strategy"] for row in rows)
    ]
    about = facts.about(rows[0]["dataset"], backbone=rows[0]["backbone"])
    return Table(f"transfer-{number}", columns, lines, "", title=title, about=about)


def _scale(rows: list[Row]) -> Scale:
    return Scale.over([row[end] for row in rows for end in ("low", "high", "difference")], around=0.0)


def _span(scale: Scale) -> str:
    digits = 0 if scale.high - scale.low > 0.1 else 1
    return f"{signed(scale.low, digits)} to {signed(scale.high, digits)} points"


def _cell(row: Row | None, scale: Scale, full: int) -> TableCell:
    if row is None:
        return TableCell(ABSENT, value="", css="quiet")
    verdict = row["verdict"]
    css = {HELPS: "helps", HURTS: "hurts", AS_GOOD: "equal"}.get(verdict, "undecided")
    if row["n"] == 0:
        return TableCell(ABSENT, value="", sub=row["reason"], css="gap")
    pairs = "" if row["n"] == full else f", n = {row['n']}"
    return TableCell(
        f"{signed(row['difference'])}{plus_minus(row['low'], row['difference'], row['high'])}",
        value=100 * row["difference"],
        sub=MARKS[verdict] + pairs + _told(row),
        css=f"verdict {css}",
        title=row["reason"],
        picture=strip(scale, row["difference"], (row["low"], row["high"]), css, zero=0.0),
        bounds=(100 * row["low"], 100 * row["high"], int(row["n"])),
    )


def _told(row: Row) -> str:
    """A reason that a reader must see without pointing at the cell."""
    is_told = "collapsed" in row["reason"] or 0 < row["num_images"] < FEWEST_IMAGES
    return f"; {row['reason']}" if is_told else ""


def _detectable(facts: Facts) -> Table:
    """What these repeats could have shown, task by task."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in facts.verdicts:
        groups.setdefault((row["dataset"], row["budget"]), []).append(row)
    examples = f"{facts.example}s"
    columns = [Column("Dataset", numeric=False), Column("Labels", numeric=False)]
    columns += [Column(f"Test {examples}"), Column("Standard error", "points"), Column("Degrees of freedom")]
    columns += [Column("Smallest detectable", "points")]
    columns.append(Column(f"{examples.capitalize()} needed", "undecided cells"))
    columns += [Column(name.capitalize(), "cells") for name in (HELPS, HURTS, AS_GOOD, UNDECIDED)]
    lines = [_power(facts, task, rows) for task, rows in groups.items()]
    caption = (
        "The smallest true difference to the baseline that would have been found in 4 of 5 suites like this one. What "
        "is undecided may hide anything smaller."
    )
    method = (
        "A cell is one strategy on one task; the numbers are those of the cell of a task that sees most, after the "
        f"correction (noncentral t). {examples.capitalize()} needed: how large a test set would have found, in 4 of 5, "
        "a difference as large as the one seen (median of the undecided cells); ∞ where no test set would, with so few "
        "repeats."
    )
    return Table("detectable", columns, lines, caption, title="What could have been seen", folded=True, method=method)


def _power(facts: Facts, task: tuple[str, str], rows: list[Row]) -> list[TableCell]:
    dataset, budget = task
    tested = [row for row in rows if math.isfinite(row["detectable"])]
    best = min(tested, key=lambda row: float(row["detectable"]), default=None)
    counts = [
        TableCell(str(count), value=count)
        for count in (sum(row["verdict"] == v for row in rows) for v in (HELPS, HURTS, AS_GOOD, UNDECIDED))
    ]
    numbers = [TableCell(ABSENT, value="")] * 4
    if best is not None:
        error = best["sd"] / math.sqrt(best["n"])
        numbers = [
            _size(best["num_images"]),
            TableCell(f"{100 * error:.2f}", value=100 * error),
            TableCell(f"{best['df']:.1f}", value=best["df"]),
            TableCell(f"{100 * best['detectable']:.1f}", value=100 * best["detectable"]),
        ]
    needed = sorted(
        max(row["images_needed"], FEWEST_IMAGES)
        for row in rows
        if row["verdict"] == UNDECIDED and not math.isnan(row["images_needed"])
    )
    numbers.append(_size(needed[len(needed) // 2] if needed else 0))
    return [facts.dataset_cell(dataset), TableCell(labels(budget)), *numbers, *counts]


def _size(num: float) -> TableCell:
    if not num:
        return TableCell(ABSENT, value="")
    return TableCell("∞", value="") if math.isinf(num) else TableCell(f"{num:,.0f}", value=round(num))
