"""The findings of a suite in a few cautious sentences, for the top of the report and the end of a run."""

import math
from collections import Counter
from dataclasses import dataclass

import pandas as pd

from bench.analysis.candidates import Place, standings
from bench.analysis.cells import Counts, Row, Task, missing, records
from bench.analysis.claims import FAILS, HOLDS, Judged, judged_claims
from bench.analysis.comparison import Scores
from bench.analysis.frame import SuiteResults
from bench.analysis.leaderboard import Leaderboard, leaderboard
from bench.analysis.verdicts import AS_GOOD, HELPS, HURTS, NO_BASELINE, UNDECIDED, verdicts
from bench.analysis.words import labels, listed, plural, plus_minus, points, shortened
from bench.modalities import MODALITIES


@dataclass(frozen=True)
class Findings:
    """What the comparisons of a suite come to, made once."""

    verdicts: list[Row]
    board: Leaderboard
    standings: dict[Task, dict[str, Place]]
    claims: list[Judged]

    @staticmethod
    def of(results: SuiteResults, scores: Scores, summary: list[Row]) -> "Findings":
        """`summary`: of the cells."""
        return Findings(
            records(verdicts(results.finals, results.margin, scores)),
            leaderboard(results.finals, scores, summary),
            standings(summary, scores),
            judged_claims(results),
        )


def headline(results: SuiteResults, findings: Findings) -> list[str]:
    """Who leads, where transfer helps and hurts, what could not be decided, what is absent."""
    counts = missing(results)
    if not (results.finals["status"] == "ok").any():
        return [_nothing(results.finals, counts)]
    sentences = [_leader(findings.board, results), _by_dataset(findings.standings)]
    sentences += [_transfer(findings.verdicts), _undecided(findings.verdicts), in_claims(findings.claims)]
    sentences.append(_gaps(counts))
    return [sentence for sentence in sentences if sentence]


def _nothing(finals: pd.DataFrame, counts: Counts) -> str:
    if finals.empty:
        return "Nothing to compare: the suite has no planned trainings."
    status = Counter(finals["status"].tolist()).most_common()
    found = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in status)
    return f"Nothing to compare yet: none of {plural(len(finals), 'final training')} finished ({found})."


def _leader(board: Leaderboard, results: SuiteResults) -> str:
    rows = [row for row in records(board.rows) if row["ranked"]]
    if not rows:
        return "No task was finished by two strategies alike, so no ranking is given."
    first, others = rows[0], rows[1:]
    over = f"Over {plural(len(board.tasks), 'task')}{_of_what(board, results)} that {_who(len(rows))} finished"
    if not others:
        return (
            f"{over}, {shortened(first['strategy'])} scores {100 * first['mean']:.1f}; there is nothing to rank it "
            "against."
        )
    sentence = (
        f"{over}, {shortened(first['strategy'])} has the highest mean score, {100 * first['mean']:.1f}{_half(first)}"
    )
    if first["n"] < 2:
        return f"{sentence}; one repeat cannot tell whether the order is chance."
    rivals = [row["strategy"] for row in others if row["candidate"]]
    if not rivals:
        return f"{sentence}, and every other strategy is shown to be worse than some other."
    if len(rivals) == len(others):
        return f"{sentence}, but none of the others can be ruled out as the best: {listed(rivals)}."
    return f"{sentence}. Others that may as well be the best: {listed(rivals)}."


def _of_what(board: Leaderboard, results: SuiteResults) -> str:
    """` (4 of images, 2 of texts)`, where a suite has several modalities."""
    held = {row["dataset"]: row["modality"] for row in records(results.finals)}
    if len(set(held.values())) < 2:
        return ""
    counts = Counter(held[task[0]] for task in board.tasks)
    return f" ({', '.join(f'{num} of {MODALITIES[name].example}s' for name, num in counts.items())})"


def _who(count: int) -> str:
    return "one strategy" if count == 1 else f"all {count} ranked strategies"


def _half(row: Row) -> str:
    spread = plus_minus(row["low"], row["mean"], row["high"])
    return f"{spread} ({row['n']} repeats)" if spread else ""


def _by_dataset(found: dict[Task, dict[str, Place]]) -> str:
    tasks: dict[str, list[dict[str, Place]]] = {}
    for task, standing in found.items():
        if len(standing) > 1:
            tasks.setdefault(task[0], []).append(standing)
    parts = [f"on {shortened(dataset)}, {_best(places)}" for dataset, places in tasks.items()]
    return f"Best by dataset: {'; '.join(parts[:8])}." if len(parts) > 1 else ""


def _best(found: list[dict[str, Place]]) -> str:
    """Who may be the best in all of a dataset's tasks."""
    candidates = [{name for name, place in standing.items() if place.is_candidate} for standing in found]
    everywhere = [name for name in found[0] if all(name in one for one in candidates)]
    if all(len(one) == len(standing) for one, standing in zip(candidates, found, strict=True)):
        return "no strategy can be ruled out"
    if not everywhere:
        return "none may be the best in all tasks"
    if all(len(one) == 1 for one in candidates):
        return shortened(everywhere[0])
    others = [name for name in found[0] if name not in everywhere]
    which = f"any but {listed(others)}" if len(others) < len(everywhere) else f"only {listed(everywhere)}"
    return f"{which} may be the best{' in all tasks' if len(found) > 1 else ''}"


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
