"""What a baseline goes back to. Each row keeps the oldest accepted score of its cell and repeat, so that many small
drops, each accepted with a green night, come out as the one drop that they are. `accept.py` hands the scores on,
`compare.py` holds tonight against them too.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from bench.gate.against import Against
from bench.gate.baseline import Baseline, Row
from bench.gate.pairs import Pairs, mean
from bench.gate.verdict import COMPARED, CellName, GateResult, Verdict


def rooted(pairs: Sequence[Pairs]) -> list[Pairs]:
    """Against the scores that the lineage began with; empty where the baseline is the first of it. A cell that began
    later has the baseline's own."""
    if all(before.first is None for pair in pairs for before, _ in pair.rows.values()):
        return []
    return [replace(pair, rows={r: (_oldest(before), after) for r, (before, after) in pair.rows.items()})
            for pair in pairs]  # fmt: skip


def _oldest(row: Row) -> Row:
    return row if row.first is None else replace(row, score=row.first, loss=None, lr=None, penalty=None, weights=None)


def worse_of(last: Against, first: Against, since: str) -> Against:
    """By cell, the verdict on the lineage's beginning where that one is a regression and the last is none."""
    cells = tuple(_worse(a, b, since) for a, b in zip(last.cells, first.cells, strict=True))
    mean = last.mean and first.mean and _worse(last.mean, first.mean, since)
    return Against(cells, mean, last.mean_margin)


def _worse(last: Verdict, first: Verdict, since: str) -> Verdict:
    if first.word != "regressed" or last.word == "regressed":
        return last
    reason = f"since {since}, when the lineage began; against the last baseline {last.word}"
    return replace(first, reason="; ".join(filter(None, [reason, first.reason])))


def descended(made: Baseline, before: Baseline, held: GateResult) -> Baseline:
    """`made`, as the successor of `before`, against which it was `held`. What was accepted as a regression begins
    anew, and so does what cannot be compared; all cells, if the mean was one and would stay one by those that go on."""
    same = {v.cell for v in held.of(COMPARED) if v.word != "regressed"}
    old = {(row.cell, row.repeat): row for row in before.rows}
    rows = tuple(_with_first(row, old.get((row.cell, row.repeat)), same) for row in made.rows)
    fell = 100 * mean(0.0 if row.first is None else row.first - row.score for row in rows)
    if held.mean is not None and held.mean.word == "regressed" and fell > held.mean_margin:
        rows = made.rows
    goes_on = any(row.first is not None for row in rows)
    return replace(made, rows=rows, since=(before.since or before.accepted) if goes_on else None)


def _with_first(row: Row, old: Row | None, same: Collection[CellName]) -> Row:
    if old is None or row.cell not in same:
        return row
    return replace(row, first=old.score if old.first is None else old.first)
