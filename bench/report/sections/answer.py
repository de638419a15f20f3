"""The first screen, below its sentences: which strategy to take in each task, and score against cost."""

import math

from bench.analysis.cells import Row, task_of
from bench.analysis.decision import Decision
from bench.analysis.decision_words import helped, names, share, verdict_of
from bench.analysis.distances import distances
from bench.analysis.verdicts import AS_GOOD, HELPS, HURTS, UNDECIDED
from bench.analysis.words import labels, listed, plural
from bench.report.facts import Facts, name_cell, unique
from bench.report.figures.prices import PriceMark, front, prices_panel
from bench.report.view import (
    ABSENT,
    Block,
    Column,
    Figure,
    Panel,
    Switch,
    Table,
    TableCell,
    compact,
    duration,
    percent,
    signed,
)

FIXED = "\u00a0"  # a space where no line ends
MOST_ROWS = 12  # tasks on the first screen; the rest are folded
MOST_PANELS = 4
MOST_LOOKS = 12  # strategies in the legend; of more, only those that some panel names
AXES = (
    ("flops", "compute", "compute of one training, FLOP"),
    ("seconds", "time", "time of one training here, s"),
    ("peak_memory_bytes", "memory", "peak memory here, bytes"),
    ("trainable_params", "trained parameters", "trained parameters"),
)
VERDICTS = {HELPS: "▲ helps", HURTS: "▼ hurts", AS_GOOD: "＝ gains nothing", UNDECIDED: "○ undecided"}


def answer_blocks(facts: Facts) -> list[Block]:
    found = facts.findings.decisions
    if not found.tasks:
        return []
    blocks: list[Block] = [_table(facts, found.tasks[:MOST_ROWS], "answer")]
    if rest := found.tasks[MOST_ROWS:]:
        blocks.append(_table(facts, rest, "answer-rest", f"{plural(len(rest), 'more task')}"))
    return [*blocks, *_switch(facts)]


def _table(facts: Facts, tasks: list[Decision], name: str, folded: str = "") -> Table:
    known = distances(facts.results.finals)
    has_scratch = any(row["reference"] for row in facts.verdicts)
    columns = [
        Column("Task", numeric=False), Column("Take", numeric=False),
        Column("Score", f"{facts.metric}, %", interval=True), Column("Gives up", "points, at most"),
    ]  # fmt: skip
    columns += [Column("Transfer", "points over scratch", numeric=False)] if has_scratch else []
    columns += [Column("Perhaps as good", numeric=False), Column("Compute", _compared(facts, tasks))]
    columns += [Column("Distance", "0 near, 2 far")] if known.pairs else []
    cells: dict[tuple[str, ...], Row] = {(*task_of(row), row["strategy"]): row for row in facts.summary}
    far = {(pair.dataset, pair.backbone): pair.features.mean for pair in known.pairs}
    rows = []
    for one in tasks:
        row = _row(facts, one, cells, [_transfer(facts, one)] if has_scratch else [])
        if known.pairs:
            distance = far.get((one.questions[0][0], one.taken[0]), math.nan)
            row.append(TableCell(f"{distance:.2f}" if math.isfinite(distance) else ABSENT, value=distance))
        rows.append(row)
    margin = f"{100 * tasks[0].margin:g}"
    caption = (
        f"Gives up: at most so much less than the best, for all strategies and tasks at once, at 95 %. ✓: the cheapest "
        f"strategy that gives up at most {margin}. No ✓: none is shown to; this one has the smallest bound."
    )
    return Table(name, columns, rows, caption, folded, bool(folded))


def _is_of(row: Row, one: Decision) -> bool:
    return (row["dataset"], row["budget"], row["backbone"]) == (*one.questions[0], one.taken[0])


def _row(
    facts: Facts, one: Decision, cells: dict[tuple[str, ...], Row], transfer: list[TableCell]
) -> list[TableCell]:
    found, question = facts.findings.decisions, one.questions[0]
    row = cells[(*question, *one.taken)]
    taken = name_cell(one.taken[1], facts.strategies[one.taken[1]])
    others = names(found, one.rivals) if one.rivals else "no other"
    bounds = (100 * row["low"], 100 * row["high"], row["n"])
    cost = f"{compact(row['flops'], 'FLOP')}, {duration(row['seconds'])}".replace(" ", FIXED).replace(f",{FIXED}", ", ")
    gives_up = 100 * one.gives_up
    return [
        TableCell(facts.named(question[0]), f"{question[0]}, {question[1]}", labels(question[1]), "name",
                  about=facts.about(*question, one.taken[0])),
        TableCell(taken.text, taken.value, found.many_backbones * facts.which(one.taken[0]), "name head", taken.title,
                  taken.series),
        TableCell(percent(row["mean"]), 100 * row["mean"], _spread(row), bounds=bounds),
        TableCell(ABSENT if math.isnan(gives_up) else f"{gives_up:.1f}{' ✓' if one.is_settled else ''}",
                  value="" if math.isnan(gives_up) else gives_up),
        *transfer,
        TableCell(others, css="others"),
        TableCell(share(one, one.taken) or ABSENT, value=row["flops"] / 1e9, sub=cost),
    ]  # fmt: skip


def _compared(facts: Facts, tasks: list[Decision]) -> str:
    dearest = unique(facts.findings.decisions.named(one.dearest) for one in tasks)
    return f"of {dearest[0]}" if len(dearest) == 1 else "of the dearest"


def _spread(row: Row) -> str:
    span = f"{percent(row['low'])} to {percent(row['high'])}" if math.isfinite(row["low"]) else "no interval"
    return f"{span}, n = {row['n']}".replace(" ", FIXED).replace(f",{FIXED}", ", ")


def _transfer(facts: Facts, one: Decision) -> TableCell:
    question, backbone = one.questions[0], one.taken[0]
    if not one.is_transfer:
        here = (*question, backbone)
        mine = [row for row in facts.verdicts if (row["dataset"], row["budget"], row["backbone"]) == here]
        num = sum(row["verdict"] == HURTS for row in mine)
        sub = plural(num, "strategy hurts", "strategies hurt") if num else ""
        shown = helped(question, backbone, facts.verdicts)
        return TableCell("○ too little to be taken" if shown else "○ none shown to be better", sub=sub, css="undecided")
    row = verdict_of(question, one.taken, facts.verdicts)
    if row is None:
        return TableCell("no scratch", css="quiet")
    css = {HELPS: "helps", HURTS: "hurts"}.get(row["verdict"], "undecided")
    low, high = max(row["low"], -1.0), min(row["high"], 1.0)  # no score changes by more
    sub = f"{signed(row['difference'])} ({signed(low)} to {signed(high)})"
    return TableCell(VERDICTS[row["verdict"]], value=row["verdict"], sub=sub, css=f"worth {css}")


def _switch(facts: Facts) -> list[Block]:
    """One figure for each kind of cost."""
    figures, looks = [], set()
    for number, (column, name, axis) in enumerate(AXES):
        panels = []
        for place, (title, detail, taken, rows) in enumerate(_places(facts)):
            marks = [
                PriceMark(facts.strategies[row["strategy"]], row["strategy"], float(row[column]), 100 * row["mean"],
                          100 * row["low"], 100 * row["high"], int(row["n"]), row["strategy"] == taken)
                for row in rows if row[column] > 0 and math.isfinite(row["mean"])
            ]  # fmt: skip
            if marks:
                looks |= {mark.name for mark in [*front(marks), *(one for one in marks if one.is_taken)]}
                panels.append(Panel(title, detail, prices_panel(marks, axis, facts.metric, f"price{place}-{number}")))
        if panels:
            free = unique(row["strategy"] for _, _, _, rows in _places(facts) for row in rows if row[column] == 0)
            figures.append((name, panels, f" Not drawn, as they cost none: {listed(free)}." if free else ""))
    if not figures:
        return []
    legend = [look for name, look in facts.strategies.items() if len(facts.strategies) <= MOST_LOOKS or name in looks]
    left_out = len(facts.findings.decisions.tasks) - MOST_PANELS
    caption = (
        "Up and to the left is better. The line joins those that no cheaper strategy beats; the ring marks the one to "
        "take. Whiskers: 95 % intervals. Compute and parameters are the strategy's, time and memory this machine's."
        + (f" {plural(left_out, 'more task')} in the tables below." if left_out > 0 else "")
    )
    chosen = [(name, Figure(panels, legend, caption + free)) for name, panels, free in figures]
    return [Switch("answer", "Score against", chosen)]


def _places(facts: Facts) -> list[tuple[str, str, str, list[Row]]]:
    """(title, detail, the strategy to take, cells), one for each panel."""
    found = []
    for one in facts.findings.decisions.tasks[:MOST_PANELS]:
        rows = [row for row in facts.summary if _is_of(row, one) and row["n"]]
        detail = ", ".join(part for part in (labels(one.questions[0][1]), facts.which(one.taken[0])) if part)
        found.append((facts.named(one.questions[0][0]), detail, one.taken[1], rows))
    return found
