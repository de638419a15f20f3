"""The findings of a suite in a few cautious sentences, for the top of the report and the end of a run."""

import math
from collections import Counter
from dataclasses import dataclass

import pandas as pd

from bench.analysis.candidates import Place, standings
from bench.analysis.cells import Counts, Row, Task, missing, records
from bench.analysis.claims import FAILS, HOLDS, Judged, judged_claims
from bench.analysis.comparison import Scores
from bench.analysis.decision import Decisions, decisions
from bench.analysis.decision_words import answer
from bench.analysis.frame import SuiteResults
from bench.analysis.leaderboard import Leaderboard, leaderboard
from bench.analysis.verdicts import AS_GOOD, HELPS, HURTS, NO_BASELINE, UNDECIDED, verdicts
from bench.analysis.words import labels, plural, points, shortened

ONE_STRATEGY = "No task was finished by two strategies, so there is nothing to choose between."
INSTRUMENTS = "A study of layers recommends no strategy: its treatments tell what a layer has learned."
ALL_RANDOM = "Every network of this suite begins with random weights, so nothing is transferred, nor recommended."


@dataclass(frozen=True)
class Findings:
    """What the comparisons of a suite come to, made once."""

    verdicts: list[Row]
    board: Leaderboard
    standings: dict[Task, dict[str, Place]]
    claims: list[Judged]
    decisions: Decisions

    @staticmethod
    def of(results: SuiteResults, scores: Scores, summary: list[Row]) -> "Findings":
        """`summary`: of the cells."""
        return Findings(
            records(verdicts(results.finals, results.margin, scores)),
            leaderboard(results.finals, scores, summary),
            standings(summary, scores),
            judged_claims(results),
            decisions(results, scores, summary),
        )


def headline(results: SuiteResults, findings: Findings) -> list[str]:
    """What to take, whether transfer pays, what claims come to, what is absent."""
    counts = missing(results)
    if not (results.finals["status"] == "ok").any():
        return [_nothing(results.finals, counts)]
    sentences = answer(findings.decisions, findings.verdicts) or [_nothing_to_choose(results.finals)]
    sentences += [in_claims(findings.claims), _gaps(counts)]
    return [sentence for sentence in sentences if sentence]


def more(findings: Findings) -> list[str]:
    """Verdicts in numbers, where transfer hurts most, and what could have been seen."""
    return [sentence for sentence in (_transfer(findings.verdicts), _undecided(findings.verdicts)) if sentence]


def _nothing_to_choose(finals: pd.DataFrame) -> str:
    """Why nothing was decided: `decisions`."""
    if (finals["pair"] != "").any():
        return INSTRUMENTS
    return ALL_RANDOM if finals["control"].all() else ONE_STRATEGY


def _nothing(finals: pd.DataFrame, counts: Counts) -> str:
    if finals.empty:
        return "Nothing to compare: the suite has no planned trainings."
    status = Counter(finals["status"].tolist()).most_common()
    found = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in status)
    return f"Nothing to compare yet: none of {plural(len(finals), 'final training')} finished ({found})."


def _transfer(rows: list[Row]) -> str:
    tested = [row for row in rows if row["verdict"] != NO_BASELINE]
    if not tested:
        return "The suite trains no baseline from scratch, so whether transfer helps cannot be said." if rows else ""
    count = Counter(row["verdict"] for row in tested)
    sentence = (
        f"Against training from scratch, transfer helps in {count[HELPS]} of {plural(len(tested), 'cell')}, hurts in "
        f"{count[HURTS]}, is as good in {count[AS_GOOD]} and is undecided in {count[UNDECIDED]}."
    )
    hurt = [row for row in tested if row["verdict"] == HURTS]
    if not hurt:
        return f"{sentence} No negative transfer was shown; that is not proof that there is none."
    worst = min(hurt, key=lambda row: float(row["difference"]))
    where = f"{shortened(worst['strategy'])} on {shortened(worst['dataset'])} with {labels(worst['budget'])}"
    return (
        f"{sentence} Largest negative transfer: {where}, {points(worst['difference'])} points, interval "
        f"{points(worst['low'])} to {points(worst['high'])}, widened for the number of comparisons."
    )


def _undecided(rows: list[Row]) -> str:
    open_rows = [row for row in rows if row["verdict"] == UNDECIDED]
    seen = sorted(100 * row["detectable"] for row in open_rows if math.isfinite(row["detectable"]))
    if not open_rows:
        return ""
    if not seen:
        if any(math.isfinite(row["p"]) for row in rows):
            return ""
        return "Nothing could be decided between strategies: that takes at least two finished repeats of each."
    middle = seen[len(seen) // 2]
    if middle >= 100:
        return ("What stayed undecided is not shown to be equal: so few repeats could have shown no difference at all "
                "in half of those cells.")
    return (
        "What stayed undecided is not shown to be equal: with these repeats a true difference under about "
        f"{middle:.1f} points (median of those cells) is found in fewer than 4 of 5 such suites."
    )


def in_claims(judged: list[Judged]) -> str:
    if not judged:
        return ""
    count = Counter(one.verdict for one in judged)
    told = ", ".join(f"{name}: {count[name]}" for name in (HOLDS, FAILS, UNDECIDED))
    return f"Of {plural(len(judged), 'claim')} that the suite states, {told}."


def _gaps(counts: Counts) -> str:
    parts = [f"{counts.missing:,} missing"] if counts.missing else []
    parts += [f"{counts.broken:,} failed or diverged"] if counts.broken else []
    return f"{' and '.join(parts)} of {plural(counts.planned, 'planned training')}." if parts else ""
