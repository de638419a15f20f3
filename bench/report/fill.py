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
from bench.report.view import LONG_NAME

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
    environment.filters["breakable"] = breakable
    return environment.get_template(template).render(
        symbols=symbols(),
        filters=filters,
        style=Markup("\n".join(_asset(name) for name in styles)),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **values,
    )


def breakable(text: str) -> Markup:
    """A long name may break behind a mark of its own, not in the middle of a word."""
    if len(text) <= LONG_NAME or " " in text:
        return escape(text)
    return Markup("<wbr>").join(re.split(r"(?<=[_(,=/])(?=.)", text))


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8").strip()
