"""Drawings of one kind, a task or a backbone each: the first in sight, others behind a fold, and an end."""

from collections.abc import Sequence
from dataclasses import replace

from bench.analysis.words import plural
from bench.report.view import Block, Figure, Panel

SHOWN, DRAWN = 12, 24  # drawings in sight, and at all


def gallery(figure: Figure, panels: Sequence[Panel], shown: int = SHOWN, what: str = "task") -> list[Block]:
    """`figure`: what is said of all of them; its own panels are these."""
    first, rest = list(panels[:shown]), list(panels[shown:])
    blocks: list[Block] = [replace(figure, panels=first)]
    if rest:
        title = plural(len(rest), f"more {what}")
        blocks.append(replace(figure, panels=rest, caption="As above.", title=title, folded=True, method=""))
    return blocks


def first_of(number: int, drawn: int = DRAWN, what: str = "task") -> str:
    """To end a caption with."""
    return f" The first {drawn} of {plural(number, what)} are drawn." if number > drawn else ""
