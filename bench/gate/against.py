"""The pairs of one night against one other -> a verdict for each cell, and one for their mean. `compare.py` asks twice:
against the baseline, and against what its lineage began with.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.analysis.statistics import Spread
from bench.gate.judge import Change, Judged, judge, smallest_drop
from bench.gate.pairs import Pairs, mean, told
from bench.gate.spread import TINY, spreads
from bench.gate.verdict import CellName, Verdict, Word

ONE_PAIR = "one pair says nothing about chance"
EXACT = "no chance: this machine repeats itself to the bit"
ON_MEAN = 0.3  # of a night's 5 %, the part that the mean of the cells may use up; the cells have the rest
SHOWN = 3  # repeats that a reason names


@dataclass(frozen=True)
class Terms:
    """On which two nights are held against each other."""

    margin: float  # points, of a cell
    share: float  # of the night's 5 %
    sure: Collection[CellName]  # cells whose change is no chance
    cells: int  # that the baseline has; the pairs may be of fewer


@dataclass(frozen=True)
class Against:
    cells: tuple[Verdict, ...]  # as the pairs were
    mean: Verdict | None
    mean_margin: float


def hold(pairs: Sequence[Pairs], terms: Terms) -> Against:
    shared = _shared(pairs)
    margin = mean_margin(shared, terms.margin)
    return Against(tuple(_cells(pairs, terms)), _mean(shared, margin, terms), margin)


def surely_changed(pairs: Sequence[Pairs]) -> set[CellName]:
    """Cells that a machine which repeats itself has not repeated: by how much is known without a test.

    Half of the night's pairs are equal to the bit, and so is a pair of the cell, or all that is not in the cell. Where
    a cell differs in every repeat and others do too, its arithmetic may have changed, or be one that this machine does
    not repeat: both bring noise.
    """
    equal, total = sum(pair.num_equal for pair in pairs), sum(pair.n for pair in pairs)
    if 2 * equal < total:
        return set()
    return {pair.cell.name for pair in pairs
            if not pair.is_identical and (pair.num_equal or equal == total - pair.n)}  # fmt: skip


def mean_margin(pairs: Sequence[Pairs], margin: float) -> float:
    """What a margin lets pass is a task's own: of tasks that move each for itself, the mean moves less."""
    return margin / math.sqrt(max(1, len({pair.cell.name.task for pair in pairs})))


def _cells(pairs: Sequence[Pairs], terms: Terms) -> list[Verdict]:
    """Cells that are equal to the bit cannot have regressed, and say nothing of the noise of those that are not: they
    are in no spread and not in Holm's count. Else a machine that repeats itself would be blind to a change of one
    strategy, whose spread would drown in its neighbours' zeros."""
    share = terms.share * (1 - ON_MEAN)
    tested = [pair for pair in pairs if not pair.is_identical and pair.n > 1 and pair.cell.name not in terms.sure]
    noise = _noise(tested)
    changes = [_change(pair, noise[pair.cell.name]) for pair in tested]
    judged = judge(changes, terms.margin, share)
    found = dict(zip((pair.cell.name for pair in tested), judged, strict=True))
    verdicts = []
    for pair in pairs:
        if pair.is_identical:
            verdicts.append(_identical(pair, terms.margin, (len(tested) + 1) / share))
        elif pair.cell.name in terms.sure:
            verdicts.append(_exact(pair, terms.margin))
        else:
            verdicts.append(_verdict(pair, found.get(pair.cell.name)))
    return verdicts


def _noise(tested: Sequence[Pairs]) -> dict[CellName, Spread]:
    groups: dict[str, list[Pairs]] = {}
    for pair in tested:
        groups.setdefault(pair.cell.name.task, []).append(pair)
    return {
        pair.cell.name: spread
        for group in groups.values()
        for pair, spread in zip(
            group, spreads([one.changes for one in group], max(one.image for one in group)), strict=True
        )
    }


def _change(pair: Pairs, spread: Spread) -> Change:
    return Change(mean(pair.changes.values()), spread.sd / pair.n**0.5, spread.df)


def _identical(pair: Pairs, margin: float, tests: float) -> Verdict:
    """A drop brings a noise of its own, of which equal pairs say nothing. What could have been seen is reckoned with as
    much as there is between the repeats, on other labels; the same labels trained otherwise scatter less."""
    least = math.nan
    if pair.n > 1:
        noise = max(100 * float(np.std(list(pair.after.values()), ddof=1)), pair.image)
        least = smallest_drop(Spread(noise, pair.n - 1), pair.n, margin, tests)
    return _measured(pair, "identical", told(pair), smallest=least)


def _exact(pair: Pairs, margin: float) -> Verdict:
    """One test image in each repeat that moved may be rounding."""
    change = mean(pair.changes.values())
    most = sorted((r for r in pair.changes if pair.changes[r]), key=lambda r: -abs(pair.changes[r]))
    margin = max(margin, pair.image * len(most) / pair.n + TINY)
    moved = ", ".join(f"repeat {r} {100 * pair.before[r]:.2f} -> {100 * pair.after[r]:.2f} %" for r in most[:SHOWN])
    more = f" and {len(most) - SHOWN} more" if len(most) > SHOWN else ""
    reason = "; ".join(filter(None, [f"{EXACT}; {moved}{more}", told(pair)]))
    word: Word = "regressed" if change < -margin else "improved" if change > margin else "equivalent"
    return _measured(pair, word, reason, smallest=margin)


def _verdict(pair: Pairs, found: Judged | None) -> Verdict:
    """None: one pair."""
    if found is None:
        return _measured(pair, "inconclusive", "; ".join(filter(None, [ONE_PAIR, told(pair)])))
    return _measured(
        pair, found.word, told(pair), low=found.low, high=found.high, p=found.p, smallest=found.smallest
    )


def _measured(pair: Pairs, word: Word, reason: str, **numbers: float) -> Verdict:
    return Verdict(
        pair.cell.name, word, reason, pair.n, mean(pair.before.values()), mean(pair.after.values()),
        mean(pair.changes.values()), went_wrong=pair.cell.went_wrong, is_whole=pair.is_whole, **numbers,
    )  # fmt: skip


def _shared(pairs: Sequence[Pairs]) -> list[Pairs]:
    """Over the repeats that most cells have, those that have them; of as many cells, over more repeats."""
    counts = Counter(frozenset(pair.rows) for pair in pairs)
    most = max(counts, key=lambda repeats: (counts[repeats], len(repeats)), default=frozenset())
    return [
        replace(pair, rows={r: pair.rows[r] for r in sorted(most)}, is_whole=pair.is_whole and pair.rows.keys() == most)
        for pair in pairs if most <= pair.rows.keys()
    ]  # fmt: skip


def _mean(full: Sequence[Pairs], margin: float, terms: Terms) -> Verdict | None:
    """A fall of all cells by less than one of them could show. One value for each repeat, so that it holds however
    cells move together."""
    if not full:
        return None
    part = "all" if len(full) == terms.cells else f"{len(full)} of"
    name = CellName("all", "all", "all", f"mean of {part} {terms.cells} cells")
    before, after = (
        [mean(getattr(pair, side)[repeat] for pair in full) for repeat in full[0].rows] for side in ("before", "after")
    )
    change = 100 * (np.array(after) - np.array(before))
    total = float(change.mean())
    is_whole = all(pair.is_whole for pair in full)
    numbers = (len(change), mean(before), mean(after), total)
    if all(pair.is_identical for pair in full):
        return Verdict(name, "identical", "", *numbers, is_whole=is_whole)
    if len(change) < 2:
        return Verdict(name, "inconclusive", ONE_PAIR, *numbers, is_whole=is_whole)
    floor = max(pair.image for pair in full) / math.sqrt(len(full))
    error = max(float(change.std(ddof=1)), floor) / math.sqrt(len(change))
    (found,) = judge([Change(total, error, len(change) - 1)], margin, terms.share * ON_MEAN)
    return Verdict(
        name, found.word, "", *numbers, low=found.low, high=found.high, p=found.p, smallest=found.smallest,
        is_whole=is_whole,
    )  # fmt: skip
