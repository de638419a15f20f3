"""A template and its assets -> the text of a page. Everything that the page needs is inside the text."""

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from bench.report.filters import Filters
from bench.report.palette import swatch, symbols
from bench.report.view import LONG_NAME, Column, TableCell

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("page.js", "filter.js")


def fill(template: str, styles: Sequence[str], filters: Filters, **values: Any) -> str:
    script = "\n".join(_asset(name) for name in SCRIPTS)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["swatch"] = swatch
    environment.globals["row_of"] = row_of
    return environment.get_template(template).render(
        symbols=symbols(),
        filters=filters,
        style=Markup("\n".join(_asset(name) for name in styles)),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **values,
    )


def row_of(columns: Sequence[Column], row: Sequence[TableCell]) -> Markup:
    """Not a template's macro: a page of very many cells would take seconds for these."""
    return Markup("").join(_cell(column, cell, place == 0) for place, (column, cell) in
                           enumerate(zip(columns, row, strict=True)))  # fmt: skip


def _cell(column: Column, cell: TableCell, is_first: bool) -> Markup:
    tag = "th" if is_first else "td"
    attributes = {
        "scope": "row" if is_first else None,
        "class": " ".join(filter(None, ["num" * column.numeric, cell.css])) or None,
        "title": cell.title or None,
        "data-v": cell.data,
        "data-b": cell.limits or None,
    }
    written = "".join(f' {name}="{escape(text)}"' for name, text in attributes.items() if text is not None)
    look = swatch(cell.series) if cell.series is not None else ""
    below = f"<small>{escape(cell.sub)}</small>" if cell.sub else ""
    return Markup(f"<{tag}{written}>{look}{escape(cell.picture)}<bdi>{breakable(cell.text)}</bdi>{below}</{tag}>")


def breakable(text: str) -> Markup:
    """A long name may break behind a mark of its own, not in the middle of a word."""
    if len(text) <= LONG_NAME or " " in text:
        return escape(text)
    return Markup("<wbr>").join(re.split(r"(?<=[_(,=/])(?=.)", text))


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8").strip()
