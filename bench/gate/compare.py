"""Tonight against a baseline, by pairs of the same repeat: `pairs.py` says which there are, `spread.py` how noisy they
are, `judge.py` what a change comes to, `notes.py` what a reader must be told.
"""

from collections.abc import Sequence

import numpy as np

from bench.analysis.statistics import Spread
from bench.errors import BenchError
from bench.gate import notes
from bench.gate.baseline import Baseline
from bench.gate.judge import Change, Judged, judge, smallest_drop
from bench.gate.pairs import NOT_PLANNED, Pairs, Rule, gaps, mean, sort_out
from bench.gate.spread import spreads
from bench.gate.tonight import Tonight
from bench.gate.verdict import NOTHING_COMPARABLE, CellName, GateResult, Verdict

ONE_PAIR = "one pair says nothing about chance"


class OtherSuite(BenchError):
    """The baseline is of another suite."""

    exit_code = NOTHING_COMPARABLE


def compare(baseline: Baseline, tonight: Tonight, rule: Rule, file: str = "") -> GateResult:
    """`file`: the baseline's, as the person named it."""
    if baseline.suite != tonight.suite:
        raise OtherSuite(f"{file or 'the baseline'} is of the suite {baseline.suite!r}, tonight is {tonight.suite!r}")
    known = baseline.cells()
    sorted_out = [sort_out(cell, known.get(cell.name, []), baseline.environment, rule) for cell in tonight.cells]
    judged = iter(_judged([found for found in sorted_out if isinstance(found, Pairs)], rule.margin))
    planned = {cell.name for cell in tonight.cells}
    gone = [
        Verdict(name, "missing", NOT_PLANNED, before=mean(row.score for row in rows))
        for name, rows in known.items() if name not in planned
    ]  # fmt: skip
    verdicts = [next(judged) if isinstance(found, Pairs) else found for found in sorted_out if found is not None]
    result = GateResult(
        suite=tonight.suite,
        method="pairs",
        margin=rule.margin,
        must_see=rule.must_see,
        baseline=file,
        verdicts=(*verdicts, *gone),
        fail_on=rule.fail_on,
        facts=notes.facts(baseline, tonight),
    )
    return notes.with_notes(result, notes.on_baseline(baseline, tonight, rule))


def _judged(pairs: Sequence[Pairs], margin: float) -> list[Verdict]:
    """Cells that are equal to the bit cannot have regressed, and say nothing of the noise of those that are not: they
    are in no spread and not in Holm's count. Else a machine that repeats itself would be blind to a change of one
    strategy, whose spread would drown in its neighbours' zeros."""
    tested = [pair for pair in pairs if not pair.is_identical and pair.n > 1]
    noise = _noise(tested)
    changes = [_change(pair, noise[pair.cell.name]) for pair in tested]
    found = dict(zip((pair.cell.name for pair in tested), judge(changes, margin), strict=True))
    return [
        _identical(pair, margin, len(tested) + 1) if pair.is_identical else _verdict(pair, found.get(pair.cell.name))
        for pair in pairs
    ]


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


def _identical(pair: Pairs, margin: float, tests: int) -> Verdict:
    """A drop brings a noise of its own, of which equal pairs say nothing. What could have been seen is reckoned with as
    much as there is between the repeats, on other labels; the same labels trained otherwise scatter less."""
    least = float("nan")
    if pair.n > 1:
        noise = max(100 * float(np.std(list(pair.after.values()), ddof=1)), pair.image)
        least = smallest_drop(Spread(noise, pair.n - 1), pair.n, margin, tests)
    return Verdict(
        cell=pair.cell.name, word="identical", reason=gaps(pair.cell), n=pair.n, before=mean(pair.before.values()),
        after=mean(pair.after.values()), change=0.0, smallest=least, went_wrong=pair.cell.went_wrong,
    )  # fmt: skip


def _verdict(pair: Pairs, found: Judged | None) -> Verdict:
    """None: one pair."""
    means = mean(pair.before.values()), mean(pair.after.values()), mean(pair.changes.values())
    wrong, reason = pair.cell.went_wrong, gaps(pair.cell)
    if found is None:
        reason = f"{ONE_PAIR}; {reason}" if reason else ONE_PAIR
        return Verdict(pair.cell.name, "inconclusive", reason, pair.n, *means, went_wrong=wrong)
    return Verdict(
        pair.cell.name, found.word, reason, pair.n, *means, low=found.low, high=found.high, p=found.p,
        smallest=found.smallest, went_wrong=wrong,
    )  # fmt: skip
