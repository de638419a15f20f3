"""What the gate found: tonight's scores against a baseline, cell by cell."""

import math

from bench.analysis.words import labels, plural, shortened
from bench.gate.outputs.sentences import (
    ABSENT,
    ATTENTION,
    HELD,
    METHODS,
    amount,
    caught,
    cell_name,
    chance,
    drop,
    found,
    interval,
    mean_reading,
    ordered,
    reading,
    share,
    sight,
    signed,
)
from bench.gate.verdict import COMPARED, CostVerdict, GateResult, Verdict, Word
from bench.report.figures.axis import limits
from bench.report.figures.changes import ChangeBar, changes_panel
from bench.report.view import Block, Column, Figure, Look, Panel, Section, Table, TableCell, Words
from bench.text import printable

DRAWN = 40  # cells; more could not be read
# A sign, a colour of the page, and a shape: no reader depends on the colour.
LOOKS: dict[Word, tuple[str, Look]] = {
    "regressed": ("▼", Look("regressed", "bad", 4)),
    "missing": ("✕", Look("missing", "bad", 7)),
    "improved": ("▲", Look("improved", "good", 2)),
    "inconclusive": ("○", Look("inconclusive", "open", 0, hollow=True)),
    "incomparable": ("≠", Look("incomparable", "open", 7)),
    "new": ("+", Look("new", "open", 5)),
    "equivalent": ("≈", Look("equivalent", "ink", 0)),
    "identical": ("=", Look("identical", "muted", 1)),
}
CAPTION = (
    "Mean test scores in percent over the n repeats that were compared; change in points with its interval; p that "
    "the cell is no worse (or, where it rose, no better) than the margin of {margin:g} points, corrected for all "
    "cells; the smallest drop that would have been caught there 4 times in 5."
)


def regressions_section(result: GateResult) -> Section:
    how = (
        "▼ regressed and ▲ improved are changes beyond the margin; ≈ is surely within it, = is equal to the last bit; "
        "○ inconclusive means that these repeats cannot tell, which is no proof that nothing changed."
    )
    first, rest = ordered(result, ATTENTION), ordered(result, HELD)
    mean = [printable(mean_reading(result))] if result.mean is not None else []
    blocks: list[Block] = [Words([found(result), *mean], tone="verdict"), *_warnings(result), *_figure(result)]
    caption = CAPTION.format(margin=result.margin)
    if first:
        blocks.append(_table("gate-regressions", first, caption))
    if rest:
        title = f"{plural(len(rest), 'cell')} held"
        blocks.append(_table("gate-held", rest, "" if first else caption, title))
    if result.costs:
        blocks.append(_costs(result.costs))
    return Section("regressions", "Regressions", how, [*blocks, _compared(result)])


def _warnings(result: GateResult) -> list[Block]:
    told = [printable(note) for note in result.notes]
    blocks: list[Block] = []
    if not result.of(COMPARED):
        told.insert(0, "No cell could be compared with the baseline, so nothing is known of regressions.")
    elif result.blind:
        told.insert(0, f"This gate is {sight(result)}. More repeats would let it see smaller drops.")
    else:
        told_so = sight(result)
        blocks.append(Words([f"{told_so[0].upper()}{told_so[1:]}."]))
    return [*blocks, Words(told, tone="alert", listed=True)] if told else blocks


def _table(name: str, verdicts: list[Verdict], caption: str, title: str = "") -> Table:
    columns = [
        Column("Cell", numeric=False),
        Column("Verdict", numeric=False),
        Column("Before", "%"),
        Column("After", "%"),
        Column("Change", "points", interval=True),
        Column("n"),
        Column("p", "corrected"),
        Column("Smallest drop", "points"),
    ]
    return Table(name, columns, [_row(v) for v in verdicts], caption, title=title, folded=bool(title))


def _row(verdict: Verdict) -> list[TableCell]:
    sign, look = LOOKS[verdict.word]
    measured = verdict.word in COMPARED
    return [
        _name(verdict),
        TableCell(
            f"{sign} {verdict.word}",
            value=verdict.word,
            sub=short(verdict.reason, 160),
            css=f"word {look.color}",
            title=printable(verdict.reason) if len(verdict.reason) > 160 else "",
        ),
        _number(share(verdict.before), 100 * verdict.before),
        _number(share(verdict.after), 100 * verdict.after),
        TableCell(
            signed(verdict.change),
            value=verdict.change if math.isfinite(verdict.change) else "",
            sub=interval(verdict),
            css="change",
            bounds=(verdict.low, verdict.high, verdict.n) if measured else None,
        ),
        TableCell(str(verdict.n), value=verdict.n) if verdict.n else TableCell(ABSENT, value=""),
        _number(chance(verdict.p), verdict.p),
        _number(drop(verdict.smallest), verdict.smallest),
    ]


def _name(verdict: Verdict) -> TableCell:
    cell = verdict.cell
    where = f"{short(cell.dataset)}, {labels(short(cell.budget))} · {short(cell.backbone)}"
    full = printable(str(cell))
    return TableCell(short(cell.strategy), value=full, sub=where, css="name", title=full)


def short(text: str, most: int = 60) -> str:
    return shortened(printable(text), most)


def _number(text: str, value: float) -> TableCell:
    return TableCell(text, value=float(value)) if math.isfinite(value) else TableCell(ABSENT, value="")


def _figure(result: GateResult) -> list[Block]:
    """The cells that need attention first are drawn; the page's tables have them all."""
    compared = [v for v in ordered(result, COMPARED) if math.isfinite(v.change)]
    drawn = compared[:DRAWN]
    if not drawn:
        return []
    kept = set(map(id, drawn))
    tasks: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in (v for v in result.verdicts if id(v) in kept):
        cell = verdict.cell
        tasks.setdefault((cell.dataset, cell.budget, cell.backbone), []).append(verdict)
    ends = [end for v in drawn for end in (v.low, v.high)]
    span = limits([0, -result.margin, result.margin, *(v.change for v in drawn)], ends, 1.0)
    panels = []
    for (dataset, budget, backbone), verdicts in tasks.items():
        title = f"{short(dataset)}, {labels(short(budget))}"
        rows = [_change(result, v) for v in verdicts]
        picture = changes_panel(rows, result.margin, span, f"Change in points, {title}")
        panels.append(Panel(title, short(backbone), picture))
    legend = [look for word, (_, look) in LOOKS.items() if any(v.word == word for v in drawn)]
    more = ""
    if len(compared) > DRAWN:
        more = f" The {DRAWN} cells that need attention first; {len(compared) - DRAWN} more are in the tables."
    caption = (
        "Change in points, tonight minus before, with its interval; very long intervals are cut at the edge. Dashed: "
        f"the margin of {result.margin:g} points. All drawings have one scale.{more}"
    )
    return [Figure(panels, legend, caption)]


def _change(result: GateResult, v: Verdict) -> ChangeBar:
    told = f"{cell_name(v.cell)}: {reading(result, v)}"
    return ChangeBar(printable(v.cell.strategy), told, v.change, v.low, v.high, LOOKS[v.word][1])


def _costs(costs: tuple[CostVerdict, ...]) -> Table:
    marks = {"slower": ("▼ slower", "bad"), "faster": ("▲ faster", "good"), "same": ("≈ same", "ink")}
    columns = [Column("Cost", numeric=False), Column("Of", numeric=False), Column("Verdict", numeric=False)]
    columns += [Column("Before"), Column("After"), Column("Factor")]
    rows = []
    for cost in sorted(costs, key=lambda cost: ("slower", "faster", "incomparable", "same").index(cost.word)):
        text, color = marks.get(cost.word, ("≠ incomparable", "open"))
        rows.append(
            [
                TableCell(short(cost.name), value=printable(cost.name), css="name", title=printable(cost.name)),
                TableCell(cost.quantity),
                TableCell(text, value=cost.word, sub=short(cost.reason, 160), css=f"word {color}"),
                _number(amount(cost, cost.before), cost.before),
                _number(amount(cost, cost.after), cost.after),
                _number(f"{cost.factor:.2f}", cost.factor),
            ]
        )
    slower = sum(cost.word == "slower" for cost in costs)
    title = f"{plural(len(costs), 'cost')} compared, {slower} slower"
    return Table("gate-costs", columns, rows, "On the same model of device only.", title=title, folded=not slower)


def _compared(result: GateResult) -> Table:
    """On what all of it rests."""
    facts = {
        "Baseline": result.baseline,
        "Compared": METHODS[result.method],
        "Margin": f"{result.margin:g} points",
        "A drop that must be seen": f"{result.must_see:g} points",
        "The smallest drop that would have been caught": caught(result),
        "Fails on": ", ".join(result.fail_on) or "nothing",
        **result.facts,
    }
    columns = [Column("What", numeric=False), Column("Value", numeric=False)]
    rows = [[TableCell(short(k), css="head"), TableCell(short(v, 300), css="error")] for k, v in facts.items()]
    return Table("gate-compared", columns, rows, "", title="What was compared with what", folded=True)
