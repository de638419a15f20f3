"""Drawings of one kind, a task or a backbone each: the first in sight, others behind a fold, and an end."""

from collections.abc import Sequence
from typing import Any

from bench.analysis.words import plural
from bench.report.view import Block, Figure, Look, Panel

SHOWN, DRAWN = 12, 24  # drawings in sight, and at all: a page has an end


def gallery(
    panels: Sequence[Panel], of: int, legend: list[Look], caption: str, shown: int = SHOWN, drawn: int = DRAWN,
    what: str = "task", **more: Any,
) -> list[Block]:  # fmt: skip
    """`panels`: of the first `drawn` of so many. `more`: fields of the figure in sight."""
    caption += first_of(of, drawn, what)
    blocks: list[Block] = [Figure(list(panels[:shown]), legend, caption, **more)]
    if rest := list(panels[shown:]):
        title, wide = plural(len(rest), f"more {what}"), more.get("wide", False)
        blocks.append(Figure(rest, legend, "As above.", title=title, folded=True, wide=wide))
    return blocks


def first_of(number: int, drawn: int, what: str = "task") -> str:
    return f" The first {drawn} of {plural(number, what)} are drawn." if number > drawn else ""
