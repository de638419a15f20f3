"""The main numbers as a table for the terminal."""

import math
from typing import TYPE_CHECKING

from bench.analysis.cells import Row, Task, cell_summary, records, task_of
from bench.analysis.frame import SuiteResults

if TYPE_CHECKING:
    from rich.table import Table


def cell_text(row: Row) -> str:
    """`92.1 ±1.3 (3)`; a gap says why it is one."""
    if row["n"] == 0:
        return f"— {row['statuses']}".replace("_", " ")
    half = 100 * (row["high"] - row["low"]) / 2
    spread = f" ±{half:.1f}" if math.isfinite(half) else ""
    short = f"{row['n']} of {row['planned']}" if not row["complete"] else f"{row['n']}"
    return f"{100 * row['mean']:.1f}{spread} ({short})"


def terminal_rows(results: SuiteResults) -> tuple[list[Task], list[tuple[str, list[str]]]]:
    """The tasks, and for each strategy its text for every task."""
    summary = records(cell_summary(results.finals))
    tasks = list(dict.fromkeys(task_of(row) for row in summary))
    strategies = list(dict.fromkeys(row["strategy"] for row in summary))
    found = {(row["strategy"], task_of(row)): cell_text(row) for row in summary}
    return tasks, [(name, [found.get((name, task), "—") for task in tasks]) for name in strategies]


def terminal_table(results: SuiteResults) -> "Table":
    from rich.table import Table
    from rich.text import Text  # plain text: a name in [brackets] is no markup

    tasks, rows = terminal_rows(results)
    many_backbones = len({backbone for _, _, backbone in tasks}) > 1
    table = Table(title=Text(f"{results.name}: test score in %, 95 % t interval, (repeats)"), title_justify="left")
    longest = max((len(name) for name, _ in rows), default=0)
    table.add_column(Text("strategy"), overflow="fold", min_width=min(longest, 24))
    for dataset, budget, backbone in tasks:
        name = f"{dataset}\n{budget}" + (f"\n{backbone}" if many_backbones else "")
        table.add_column(Text(name), justify="right", overflow="fold")
    for name, texts in rows:
        table.add_row(Text(name), *(Text(text) for text in texts))
    return table
