"""Where commands print. Results go to standard output, everything about them to standard error."""

import json
import sys
from typing import Any

from rich.console import Console


def console() -> Console:
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def say(line: str = "") -> None:
    sys.stdout.write(line + "\n")


def note(line: str) -> None:
    sys.stderr.write(line + "\n")


def as_json(value: Any) -> None:
    """For programs: one JSON value, NaN as null."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and value != value:
        return None
    return value


def table(columns: list[str], rows: list[list[str]]) -> None:
    """Plain text in columns; names of users are never read as markup."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    console().print(made)
