"""Tonight against a baseline, by pairs of the same repeat: `pairs.py` says which there are, `against.py` what they come
to, `lineage.py` what the baseline goes back to, `notes.py` what a reader must be told.
"""

from bench.errors import BLIND, BenchError
from bench.gate import notes
from bench.gate.against import Terms, hold, surely_changed
from bench.gate.baseline import Baseline
from bench.gate.lineage import rooted, worse_of
from bench.gate.pairs import NOT_PLANNED, Pairs, Rule, mean, sort_out
from bench.gate.tonight import Tonight
from bench.gate.verdict import GateResult, Verdict


class OtherSuite(BenchError):
    """The baseline is of another suite."""

    exit_code = BLIND


def compare(baseline: Baseline, tonight: Tonight, rule: Rule, file: str = "") -> GateResult:
    """`file`: the baseline's, as the person named it."""
    if baseline.suite != tonight.suite:
        raise OtherSuite(f"{file or 'the baseline'} is of the suite {baseline.suite!r}, tonight is {tonight.suite!r}")
    known = baseline.cells()
    sorted_out = [sort_out(cell, known.get(cell.name, []), baseline.environment, rule) for cell in tonight.cells]
    pairs = [found for found in sorted_out if isinstance(found, Pairs)]
    roots = rooted(pairs)
    # Twice as many tests where there is a lineage: each half has half of the night's 5 %.
    # Only the last baseline can tell what is sure: of its beginning a lineage keeps no losses.
    sure = surely_changed(pairs) if is_same_place(baseline, tonight) else set()
    terms = Terms(rule.margin, 0.5 if roots else 1.0, sure, len(known))
    held = hold(pairs, terms)
    if roots:
        held = worse_of(held, hold(roots, terms), baseline.since or "an earlier night")
    judged = iter(held.cells)
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
        mean=held.mean,
        mean_margin=held.mean_margin,
        fail_on=rule.fail_on,
        facts=notes.facts(baseline, tonight),
    )
    return notes.with_notes(result, notes.on_baseline(baseline, tonight, rule))


def is_same_place(baseline: Baseline, tonight: Tonight) -> bool:
    """One environment and one model of device, on both sides: what is equal to the bit elsewhere should be here."""
    here = {(one.environment, one.device_model) for one in tonight.origins}
    return here == {(baseline.environment, baseline.device_model)}
