"""Does transfer help here? Every cell against training from scratch on the same task, paired by repeat."""

import math

import pandas as pd

from bench.analysis.cells import OUT_OF_SCOPE, Row, Task, status_text
from bench.analysis.comparison import Scores, estimates
from bench.analysis.frame import CELL
from bench.analysis.statistics import LEVEL, Corrected, holm_steps
from bench.analysis.variance import Estimate, Sample
from bench.analysis.words import plural
from bench.modalities import example_of

HELPS, HURTS, AS_GOOD = "helps", "hurts", "as good as"
UNDECIDED, NO_BASELINE = "undecided", "no baseline"
FEWEST_IMAGES = 30  # that a verdict may rest on: one image of fewer is more than 3 points
MARGIN = 0.01  # within which a strategy is as good as the baseline, where the suite says nothing else
COLUMNS = [
    *CELL, "labels_per_class", "from_random", "reference", "difference", "low", "high", "level", "n",
    "num_images", "p", "p_holm", "p_as_good", "sd", "df", "detectable", "images_needed", "verdict", "reason",
]  # fmt: skip


def verdicts(finals: pd.DataFrame, margin: float = MARGIN, scores: Scores | None = None) -> pd.DataFrame:
    """One row per cell that is not itself a baseline; p-values corrected over all rows that could be tested. `low` and
    `high` are of the interval at the level of the row's own step in the correction of its verdict: of tested rows it
    excludes 0 just where transfer helps or hurts, and lies within the margin where it is as good as the baseline."""
    rows = _rows(scores or Scores.of(finals))
    steps = holm_steps(row["p"] for row in rows)
    equal = holm_steps(_p_within(row, margin) for row in rows)
    tested = max(sum(math.isfinite(row["p"]) for row in rows), 1)
    for row, step, within in zip(rows, steps, equal, strict=True):
        _judge(row, step, within, tested)
    return pd.DataFrame(rows, columns=COLUMNS)


def _p_within(row: Row, margin: float) -> float:
    """Of "it differs by more than the margin": the larger of two one-sided tests."""
    found: Estimate = row["found"]
    return max(found.p_above(-margin), found.p_below(margin)) if math.isfinite(row["p"]) else math.nan


def _rows(scores: Scores) -> list[Row]:
    baselines: dict[Task, str] = {}
    others: list[tuple[tuple[str, ...], list[Row]]] = []
    for cell, rows in scores.cells:
        if rows[0]["baseline"]:
            baselines.setdefault((cell[0], cell[1], cell[2]), cell[3])  # the first of the suite, where it has several
        elif any(row["status"] != OUT_OF_SCOPE for row in rows):  # what cannot be is not undecided
            others.append((cell, rows))
    compared = _compared(scores, baselines, [cell for cell, _ in others])
    return [_row(cell, rows, baselines, compared, scores) for cell, rows in others]


def _compared(
    scores: Scores, baselines: dict[Task, str], keys: list[tuple[str, ...]]
) -> dict[tuple[str, ...], Estimate]:
    """By cell. The spread is pooled within (dataset, budget) and never wider: it differs tenfold between tasks."""
    groups: dict[tuple[str, str], dict[tuple[str, ...], Sample]] = {}
    for key in keys:
        task = (key[0], key[1], key[2])
        if task in baselines:
            sample = scores.judged(task, key[3]).minus(scores.judged(task, baselines[task]))
            groups.setdefault((key[0], key[1]), {})[key] = sample
    return {key: one for group in groups.values() for key, one in estimates(group).items()}


def _row(
    cell: tuple[str, ...],
    rows: list[Row],
    baselines: dict[Task, str],
    compared: dict[tuple[str, ...], Estimate],
    scores: Scores,
) -> Row:
    task = (cell[0], cell[1], cell[2])
    found = compared.get(cell, Estimate(math.nan, 0))
    reference = baselines.get(task, "")
    broken = scores.breaks(task, cell[3])
    finished = len(scores.columns[task][cell[3]].scores)
    reason = _untestable(found, broken, finished, rows) if reference else ""
    of_baseline = scores.breaks(task, reference) if reference else 0
    without = f"without the {plural(of_baseline, 'repeat')} in which {reference} collapsed" if of_baseline else ""
    return {
        **dict(zip(CELL, cell, strict=True)),
        "labels_per_class": rows[0]["labels_per_class"],
        "from_random": rows[0]["from_random"],
        "reference": reference,
        "difference": found.mean,
        "n": found.n,
        "num_images": found.num_images,
        "p": math.nan if reason or not reference else found.p,
        "sd": found.error * math.sqrt(found.n),
        "df": found.df,
        "found": found,
        "untestable": reason,
        "without": without,
    }


def _untestable(found: Estimate, broken: int, finished: int, rows: list[Row]) -> str:
    """Why a cell has no test; empty where it has one."""
    if broken:
        others = "; the difference is over the others" if found.n else ""
        return f"collapsed in {broken} of {finished} repeats{others}"
    if found.n == 0:
        return f"no pair of finished repeats ({status_text(rows)})"
    if found.n == 1:
        return "one pair of repeats: nothing to judge chance by"
    if 0 < found.num_images < FEWEST_IMAGES:
        tested = plural(found.num_images, f"test {example_of([rows[0]['modality']])}")
        return f"{tested}: a verdict takes {FEWEST_IMAGES} at least"
    return ""


def _judge(row: Row, step: Corrected, within: Corrected, tested: int) -> None:
    found: Estimate = row.pop("found")
    untestable, without = row.pop("untestable"), row.pop("without")
    row["p_holm"], row["p_as_good"] = step.p, within.p
    row["detectable"] = math.nan if untestable else found.detectable((1 - LEVEL) / tested)
    row["verdict"], reason = _verdict(row, step, within.p, untestable)
    level = 2 * within.level if row["verdict"] == AS_GOOD else step.level
    row["level"] = level if math.isfinite(level) else 1 - LEVEL
    row["low"], row["high"] = found.ends(row["level"])
    undecided = row["verdict"] == UNDECIDED
    row["images_needed"] = found.images_needed(row["detectable"]) if undecided else math.nan
    row["reason"] = "; ".join(part for part in (reason, without) if part)


def _verdict(row: Row, step: Corrected, p_equal: float, untestable: str) -> tuple[str, str]:
    if not row["reference"]:
        return NO_BASELINE, "the suite trains no baseline on this task and backbone"
    if untestable:
        return UNDECIDED, untestable
    if step.p < 1 - LEVEL:
        return (HELPS, "") if row["difference"] > 0 else (HURTS, "")
    if p_equal < 1 - LEVEL:
        return AS_GOOD, ""
    return UNDECIDED, "the interval includes 0"
