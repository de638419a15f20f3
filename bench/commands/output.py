"""Where commands print. Results go to standard output, everything about them to standard error."""

import io
import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from bench.errors import StoreError
from bench.text import note, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["as_json", "flush", "note", "say", "show", "table", "width", "write"]

LOG_WIDTH = 200  # characters of a line where nobody knows how wide the reader's window is


def write(text: str | bytes) -> None:
    """Bytes go as they are, whatever the terminal's encoding. A reader such as `head` that has what it wanted ends the
    printing and nothing else: what a command does, and its exit code, stay. Raises StoreError where the text is lost,
    as on a full disk."""
    try:
        if isinstance(text, bytes):
            sys.stdout.buffer.write(text)
        else:
            sys.stdout.write(text)
    except OSError as error:
        _leave(error)


def flush() -> None:
    """Before Python does at its end, which would have an exit code of its own for it. Raises StoreError."""
    try:
        sys.stderr.flush()
    except OSError:
        _to_nowhere(sys.stderr)
    try:
        sys.stdout.flush()
    except OSError as error:
        _leave(error)


def _leave(error: OSError) -> None:
    _to_nowhere(sys.stdout)
    if not isinstance(error, BrokenPipeError):
        from bench.store.atomic import explain  # with pydantic, which `--help` does without

        raise StoreError(f"cannot write to standard output: {explain(error)}") from error


def _to_nowhere(stream: TextIO) -> None:
    """What is still in it, and still to come."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def say(line: str = "") -> None:
    write(printable(line) + "\n")


def as_json(value: Any) -> None:
    """For programs: one JSON value in ASCII, whatever the terminal's encoding; a number that is none is null."""
    write(json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def width() -> int:
    """Characters of a line."""
    return _console().width


def show(made: "Table") -> None:
    out = _console()
    with out.capture() as drawn:
        out.print(made)
    write(drawn.get())


def _console() -> "Console":
    from rich.console import Console

    piped = not sys.stdout.isatty()
    width = LOG_WIDTH if piped and "COLUMNS" not in os.environ else None
    return Console(highlight=False, soft_wrap=piped, width=width)


def table(columns: list[str], rows: list[list[str]]) -> None:
    """Plain text in columns; names of users are never read as markup. A terminal folds cells, a file has them whole."""
    from rich.console import Console

    made = _table(columns, rows)
    if sys.stdout.isatty():
        show(made)
        return
    text = io.StringIO()
    Console(file=text, width=10_000, highlight=False).print(made)
    write("".join(line.rstrip() + "\n" for line in text.getvalue().splitlines()))


def _table(columns: list[str], rows: list[list[str]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made
