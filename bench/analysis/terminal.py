"""The main numbers as a table for the terminal."""

import math
from typing import TYPE_CHECKING

from bench.analysis.cells import Row, Task, task_of
from bench.analysis.words import plus_minus

if TYPE_CHECKING:
    from rich.table import Table


def cell_text(row: Row) -> str:
    """`92.1 ±1.3 (3)`; a gap says why it is one."""
    if row["n"] == 0:
        return f"— {row['statuses']}".replace("_", " ")
    spread = plus_minus(row["low"], row["mean"], row["high"])
    short = f"{row['n']} of {row['planned']}" if not row["complete"] else f"{row['n']}"
    if row["num_collapsed"]:
        short += f"; {row['num_collapsed']} collapsed"
        if math.isfinite(row["mean_without"]):
            short += f", {100 * row['mean_without']:.1f} without"
    further = f", shift {100 * row['shift']:.1f}" if math.isfinite(row["shift"]) else ""
    return f"{100 * row['mean']:.1f}{spread} ({short}){further}"


def terminal_rows(summary: list[Row]) -> tuple[list[Task], list[tuple[str, list[str]]]]:
    """The tasks, and for each strategy its text for every task. `summary`: of the cells."""
    tasks = list(dict.fromkeys(task_of(row) for row in summary))
    strategies = list(dict.fromkeys(row["strategy"] for row in summary))
    found = {(row["strategy"], task_of(row)): cell_text(row) for row in summary}
    return tasks, [(name, [found.get((name, task), "—") for task in tasks]) for name in strategies]


def terminal_table(suite: str, summary: list[Row], width: int = 80) -> "Table":
    """Strategies down and tasks across, or the other way round where that does not fit into `width` characters."""
    tasks, rows = terminal_rows(summary)
    named = len({backbone for _, _, backbone in tasks}) > 1  # several backbones: say which
    across = [f"{dataset}\n{budget}" + (f"\n{backbone}" if named else "") for dataset, budget, backbone in tasks]
    if _width(across, rows) <= width or len(tasks) <= len(rows):
        return _table(suite, ["strategy", *across], [[name, *texts] for name, texts in rows])
    down = [f"{dataset} @ {budget}" + (f" · {backbone}" if named else "") for dataset, budget, backbone in tasks]
    turned = [[task, *(texts[i] for _, texts in rows)] for i, task in enumerate(down)]
    return _table(suite, ["task", *(name for name, _ in rows)], turned)


BORDER = 3  # characters between two columns


def _width(columns: list[str], rows: list[tuple[str, list[str]]]) -> int:
    widest = [max(map(len, column.split("\n"))) for column in columns]
    for _, texts in rows:
        widest = [max(old, len(text)) for old, text in zip(widest, texts, strict=True)]
    return max((len(name) for name, _ in rows), default=0) + sum(widest) + BORDER * (len(columns) + 1)


def _table(suite: str, columns: list[str], rows: list[list[str]]) -> "Table":
    from rich.table import Table
    from rich.text import Text  # plain text: a name in [brackets] is no markup

    table = Table(title=Text(f"{suite}: test score in %, 95 % interval, (repeats)"), title_justify="left")
    longest = max((len(row[0]) for row in rows), default=0)
    table.add_column(Text(columns[0]), overflow="fold", min_width=min(longest, 24))
    for name in columns[1:]:
        table.add_column(Text(name), justify="right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
