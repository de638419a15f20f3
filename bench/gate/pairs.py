"""Which cells of tonight may be held against the baseline's, repeat by repeat, and why the others may not.
`compare.py` judges the pairs.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.analysis.statistics import resolution
from bench.gate.baseline import Row
from bench.gate.environment import Environment, differences
from bench.gate.tonight import TonightCell
from bench.gate.verdict import Verdict, Word

NOT_PLANNED = "tonight's plan does not have it"
ENOUGH = 5  # pairs; the README's table has what fewer come to


@dataclass(frozen=True)
class Rule:
    """What the person decides before the night."""

    margin: float  # points: a drop up to here is no regression
    must_see: float  # points: a drop that the gate is expected to catch
    fail_on: tuple[Word, ...] = ("regressed", "missing")
    across_environments: bool = False


@dataclass(frozen=True)
class Pairs:
    """A cell that both nights have."""

    cell: TonightCell
    rows: dict[int, tuple[Row, Row]]  # the baseline's and tonight's, by the repeats that both have
    image: float  # points that one test image makes
    is_whole: bool = True  # every repeat of the baseline has its pair

    @cached_property
    def before(self) -> dict[int, float]:
        """Shares."""
        return {repeat: before.score for repeat, (before, _) in self.rows.items()}

    @cached_property
    def after(self) -> dict[int, float]:
        return {repeat: after.score for repeat, (_, after) in self.rows.items()}

    @property
    def changes(self) -> dict[int, float]:
        """Points."""
        return {repeat: 100 * (self.after[repeat] - self.before[repeat]) for repeat in self.before}

    @property
    def n(self) -> int:
        return len(self.rows)

    @property
    def is_identical(self) -> bool:
        return self.before == self.after

    @property
    def num_equal(self) -> int:
        """Pairs that are equal to the bit. Scores of a small test set, or near 100 %, are equal by chance; losses are
        not. Closed forms keep none on either night; where only an old file lacks it, nobody can tell."""
        return sum(
            (before.score, before.loss) == (after.score, after.loss) for before, after in self.rows.values()
        )


def sort_out(
    cell: TonightCell, rows: Sequence[Row], environment: Environment | None, rule: Rule
) -> Pairs | Verdict | None:
    """The pairs of a cell, or why there are none. `rows`: the baseline's; without any, None where the strategy does not
    fit here."""
    went_wrong = cell.went_wrong
    after = {row.repeat: row.score for row in cell.rows}
    before = {row.repeat: row.score for row in rows}
    if not rows:
        word: Word = "new" if after or not went_wrong else "missing"
        new = Verdict(cell.name, word, gaps(cell), len(after), after=mean(after.values()), went_wrong=went_wrong)
        return None if cell.unfit else new
    tonight = {row.repeat: row for row in cell.rows}
    pairs = {row.repeat: (row, tonight[row.repeat]) for row in rows if row.repeat in tonight}
    means = mean(before.values()), mean(after.values())
    if not pairs:
        reason = gaps(cell) or "none of the baseline's repeats was trained tonight"
        return Verdict(cell.name, "missing", reason, 0, *means, went_wrong=went_wrong)
    why = incomparable(cell, rows[0], environment, rule)
    if why:
        return Verdict(cell.name, "incomparable", why, len(pairs), *means, went_wrong=went_wrong)
    return Pairs(cell, pairs, image([*rows, *cell.rows]), len(pairs) == len(rows))


def mean(scores: Iterable[float]) -> float:
    found = list(scores)
    return float(np.mean(found)) if found else math.nan


def image(rows: Sequence[Row]) -> float:
    """Points that one test image makes, or the smallest step that was seen."""
    sizes = [row.num_test for row in rows if row.num_test]
    return 100 / min(sizes) if sizes else 100 * resolution(row.score for row in rows)


def incomparable(cell: TonightCell, row: Row, environment: Environment | None, rule: Rule) -> str:
    """Why a cell's scores cannot be held against this row's; empty where they can. `environment`: the row's; None where
    the caller has looked at it."""
    parts = [f"other {part}" for part in row.fingerprint.differences(cell.fingerprint)]
    parts += [f"metric {row.metric} -> {one.metric}" for one in cell.rows[:1] if one.metric != row.metric]
    if environment is not None and not rule.across_environments:
        parts += dict.fromkeys(text for one in cell.environments for text in differences(environment, one))
    return ", ".join(parts)


def gaps(cell: TonightCell) -> str:
    """What tonight lacks of a cell, in a line; empty where nothing is missing."""
    parts = []
    if cell.unfit:
        parts.append(f"not applicable tonight: {cell.unfit}")
    if cell.failures:
        repeats = ", ".join(map(str, sorted(cell.failures)))
        parts.append(f"repeat {repeats} went wrong: {next(iter(cell.failures.values()))}")
    if cell.absent:
        parts.append(f"no record of repeat {', '.join(map(str, cell.absent))}")
    return "; ".join(parts)


def told(pair: Pairs) -> str:
    """What tonight lacks of a cell, and which of its points and weights are others than the baseline's; one line."""
    return "; ".join(filter(None, [gaps(pair.cell), *_points(pair), *_weights(pair)]))


def _points(pair: Pairs) -> Iterable[str]:
    """`rate 0.01 -> 0.003 in repeats 1, 3`. Rows of old files do not say their rate."""
    for name, of in (("rate", "lr"), ("penalty", "penalty")):
        moved: dict[str, list[int]] = {}
        for repeat, (before, after) in pair.rows.items():
            old, new = getattr(before, of), getattr(after, of)
            if None not in (old, new) and old != new:
                moved.setdefault(f"{name} {old:.3g} -> {new:.3g}", []).append(repeat)
        for change, repeats in moved.items():
            where = f"in repeat{'s' if len(repeats) > 1 else ''} {', '.join(map(str, repeats))}"
            yield f"{change} {where}" + (", which share one search" if pair.cell.searches_once else "")


def _weights(pair: Pairs) -> Iterable[str]:
    """Of a pretraining inside the suite, which all repeats begin with."""
    moved = dict.fromkeys((before.weights, after.weights) for before, after in pair.rows.values())
    return (f"pretrained weights {old} -> {new}" for old, new in moved if old and new and old != new)
