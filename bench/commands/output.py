"""Where commands print. Results go to standard output, everything about them to standard error."""

import io
import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any

from bench.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LOG_WIDTH = 200  # characters of a line where nobody knows how wide the reader's window is


def console() -> "Console":
    from rich.console import Console

    piped = not sys.stdout.isatty()
    width = LOG_WIDTH if piped and "COLUMNS" not in os.environ else None
    return Console(highlight=False, soft_wrap=piped, width=width)


def say(line: str = "") -> None:
    sys.stdout.write(printable(line) + "\n")


def note(line: str) -> None:
    sys.stderr.write(printable(line) + "\n")


def as_json(value: Any) -> None:
    """For programs: one JSON value in ASCII, whatever the terminal's encoding; a number that is none is null."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def table(columns: list[str], rows: list[list[str]]) -> None:
    """Plain text in columns; names of users are never read as markup. A terminal folds cells, a file has them whole."""
    from rich.console import Console

    made = _table(columns, rows)
    if sys.stdout.isatty():
        console().print(made)
        return
    text = io.StringIO()
    Console(file=text, width=10_000, highlight=False).print(made)
    sys.stdout.write("".join(line.rstrip() + "\n" for line in text.getvalue().splitlines()))


def _table(columns: list[str], rows: list[list[str]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made
