"""Strategies ranked over the tasks that all of them finished: a mean over different tasks would compare nothing."""

import math
from dataclasses import dataclass

import pandas as pd

from bench.analysis.candidates import candidates, complete_columns, num_families
from bench.analysis.cells import Row, Task, cell_summary, lowest_score, records, task_of
from bench.analysis.comparison import Scores, average
from bench.analysis.statistics import LEVEL
from bench.analysis.variance import Estimate
from bench.analysis.words import shortened

COLUMNS = [
    "strategy", "baseline", "ranked", "mean", "low", "high", "n", "num_images", "rank", "wins", "candidate", "behind",
    "behind_low", "behind_high", "p", "complete", "planned", "gap",
]  # fmt: skip


@dataclass(frozen=True)
class Leaderboard:
    rows: pd.DataFrame  # COLUMNS; ranked strategies first, best first
    tasks: list[Task]  # that the means are over
    left_out: list[Task]  # planned, but not finished by all ranked strategies


def leaderboard(
    finals: pd.DataFrame, scores: Scores | None = None, summary: list[Row] | None = None
) -> Leaderboard:
    """Means, ranks and who may be the best, over the common tasks, which are held fixed."""
    scores = scores or Scores.of(finals)
    summary = records(cell_summary(finals)) if summary is None else summary
    tasks = list(dict.fromkeys(task_of(row) for row in summary))
    complete: dict[str, set[Task]] = {row["strategy"]: set() for row in summary}
    for row in summary:
        if row["complete"]:
            complete[row["strategy"]].add(task_of(row))
    complete |= {name: set() for name in barred(summary)}
    ranked, shared = _common(complete)
    common = [task for task in tasks if task in shared]
    families = num_families(complete_columns(summary, scores))
    rows = _ranked_rows(scores, ranked, common, families)
    lowest = min((lowest_score(row["metric"]) for row in summary), default=0.0)
    for row in rows:
        estimate = row.pop("estimate")
        row["low"], row["high"] = (math.nan, math.nan) if row.pop("breaks") else estimate.share_ends(lowest)
    rows += [{"strategy": name, "ranked": False, "n": 0} for name in complete if name not in ranked]
    for row in rows:
        row |= _gaps(row["strategy"], summary)
    return Leaderboard(pd.DataFrame(rows, columns=COLUMNS), common, [task for task in tasks if task not in shared])


def barred(summary: list[Row]) -> dict[str, list[str]]:
    """Strategies that fit no network of some modality, and which: were they ranked over all, its tasks would be in no
    mean. They are ranked by modality."""
    fits = {(row["strategy"], row["modality"]) for row in summary if row["applicable"]}
    names, modalities = (dict.fromkeys(row[name] for row in summary) for name in ("strategy", "modality"))
    lacks = {name: [one for one in modalities if (name, one) not in fits] for name in names}
    return {name: found for name, found in lacks.items() if 0 < len(found) < len(modalities)}


def _common(complete: dict[str, set[Task]]) -> tuple[list[str], set[Task]]:
    """Who is ranked and over which tasks: strategies that finished at least half as much as the furthest one."""
    most = max((len(tasks) for tasks in complete.values()), default=0)
    ranked = [name for name, tasks in complete.items() if tasks and 2 * len(tasks) >= most]
    while ranked:
        shared = set.intersection(*(complete[name] for name in ranked))
        if shared:
            return ranked, shared
        ranked.remove(min(reversed(ranked), key=lambda name: len(complete[name])))
    return [], set()


def _ranked_rows(scores: Scores, ranked: list[str], tasks: list[Task], families: int) -> list[Row]:
    if not tasks:
        return []
    columns = {name: average([(task[0], scores.columns[task][name]) for task in tasks]) for name in ranked}
    broken = [name for name in ranked if any(scores.breaks(task, name) for task in tasks)]
    places = candidates(columns, families, broken)
    means = _task_means(scores, ranked, tasks)
    ranks = means.rank(axis=1, ascending=False)  # 1 for the highest; ties share the average of their places
    first = means.rank(axis=1, ascending=False, method="min") == 1
    wins = first.div(first.sum(axis=1), axis=0)  # who share a first place share it out
    rows: list[Row] = []
    for name in ranked:
        estimate, place = Estimate.of(columns[name].alone()), places[name]
        rows.append({
            "strategy": name, "ranked": True, "mean": estimate.mean, "n": estimate.n,
            "num_images": estimate.num_images, "rank": float(ranks[name].mean()), "wins": float(wins[name].sum()),
            "candidate": place.is_candidate, "behind": place.behind, "behind_low": place.low,
            "behind_high": place.high, "p": place.p,
            "estimate": estimate, "breaks": name in broken,
        })  # fmt: skip
    return sorted(rows, key=lambda row: -row["mean"])


def _task_means(scores: Scores, ranked: list[str], tasks: list[Task]) -> pd.DataFrame:
    """[tasks, strategies], rounded so that equal scores tie."""
    means = [{name: scores.columns[task][name].alone().mean for name in ranked} for task in tasks]
    return pd.DataFrame(means, columns=ranked).round(9)


def _gaps(strategy: str, summary: list[Row]) -> Row:
    mine = [row for row in summary if row["strategy"] == strategy and row["applicable"]]
    short = [row for row in mine if not row["complete"]]
    finished = len(mine) - len(short)
    gap = (
        ""
        if not short
        else "; ".join(f"{shortened(row['dataset'], 30)}, {row['budget']}: {row['statuses']}" for row in short[:3])
        + (f"; and {len(short) - 3} more" if len(short) > 3 else "")
    )
    baseline = any(bool(row["baseline"]) for row in summary if row["strategy"] == strategy)
    return {"baseline": baseline, "complete": finished, "planned": len(mine), "gap": gap}


def fewest_tasks(strategies: int) -> int:
    """How many tasks a Wilcoxon test needs, Holm-corrected over all pairs, before it can show anything at 5 %."""
    pairs = strategies * (strategies - 1) // 2
    tasks = 1
    while pairs * 2 / 2**tasks >= 1 - LEVEL:
        tasks += 1
    return tasks
