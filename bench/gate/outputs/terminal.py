"""The gate for a terminal and for logs: a table of what needs attention, and last the gate in one sentence."""

import io

from bench.analysis.words import plural
from bench.gate.outputs.sentences import (
    ATTENTION,
    HELD,
    chance,
    cost_numbers,
    counts,
    drop,
    interval,
    mean_reading,
    name,
    ordered,
    sentence,
    share,
    signed,
)
from bench.gate.verdict import COMPARED, WORDS, CostVerdict, GateResult, Verdict
from bench.text import printable

NARROW = 40  # characters: a table needs so many
WIDE = 110  # from here on only names are folded


def lines(result: GateResult, width: int, verbose: bool = False) -> list[str]:
    """Without colours. The last line is as long as it is, so that a search finds it whole."""
    shown = ordered(result, WORDS if verbose else ATTENTION)
    backbones = {verdict.cell.backbone for verdict in result.verdicts}
    found: list[str] = []
    if shown:
        columns = ["verdict", "cell", "score in %", "change in points", "n", "p", "smallest drop"]
        found += _table(columns, [_row(verdict, len(backbones) > 1) for verdict in shown], width)
    costs = [cost for cost in result.costs if verbose or cost.word != "same"]
    if costs:
        found += _table(["cost", "of", "", "numbers"], [_cost(cost) for cost in costs], width)
    if not verbose and (held := result.of(HELD)):
        found.append(f"{plural(len(held), 'cell')} held: {counts(result, HELD)}")
    if result.mean is not None:
        found.append(mean_reading(result))
    found += [f"note: {printable(note)}" for note in result.notes]
    return [_obeyed_by_nobody(line) for line in [*found, sentence(result)]]


def _row(verdict: Verdict, named: bool) -> list[str]:
    cell = verdict.cell
    parts = [f"{name(cell.dataset)} @ {name(cell.budget)}", name(cell.backbone), name(cell.strategy)]
    text = " · ".join(parts if named else [parts[0], parts[2]])
    text += f": {name(verdict.reason, 300)}" if verdict.reason else ""
    if verdict.word not in COMPARED:
        return [verdict.word, text, "", "", "", "", ""]
    span = f" ({interval(verdict)})" if interval(verdict) else ""
    return [
        verdict.word,
        text,
        f"{share(verdict.before)} → {share(verdict.after)}",
        f"{signed(verdict.change)}{span}",
        str(verdict.n),
        chance(verdict.p),
        drop(verdict.smallest),
    ]


def _cost(cost: CostVerdict) -> list[str]:
    reason = f"; {name(cost.reason, 300)}" if cost.reason else ""
    return [cost.word, name(cost.name), cost.quantity, f"{cost_numbers(cost)}{reason}"]


def _table(columns: list[str], rows: list[list[str]], width: int) -> list[str]:
    """With a rule at the left of every line: none begins with what a user wrote, however it is folded."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SQUARE, header_style="")
    used = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    for i in used:
        table.add_column(columns[i], overflow="fold", no_wrap=width >= WIDE and columns[i] != "cell")
    for row in rows:
        table.add_row(*(Text(row[i]) for i in used))
    text = io.StringIO()
    Console(file=text, width=max(width, NARROW), color_system=None, highlight=False, legacy_windows=False).print(table)
    return [line.rstrip() for line in text.getvalue().splitlines()]


def _obeyed_by_nobody(line: str) -> str:
    """GitHub's runner takes `##[...]` for a command wherever it stands in a log."""
    return line.replace("##[", "# #[")
