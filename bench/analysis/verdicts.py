"""Does transfer help here? Every cell against training from scratch on the same task, paired by repeat."""

import math

import pandas as pd

from bench.analysis.cells import OUT_OF_SCOPE, Row, Task, cells, status_text
from bench.analysis.comparison import ByRepeat, Scores, differences_to
from bench.analysis.frame import CELL
from bench.analysis.statistics import LEVEL, Difference, holm, smallest_detectable

HELPS, HURTS, UNDECIDED, NO_BASELINE = "helps", "hurts", "undecided", "no baseline"
COLUMNS = [
    *CELL, "labels_per_class", "reference", "difference", "low", "high", "n", "p", "p_holm", "sd", "df", "detectable",
    "verdict", "reason",
]  # fmt: skip


def verdicts(finals: pd.DataFrame) -> pd.DataFrame:
    """One row per cell that is not itself a baseline; p-values corrected over all rows that could be tested."""
    rows = _rows(finals)
    tested = sum(math.isfinite(row["p"]) for row in rows)
    for row, corrected in zip(rows, holm(row["p"] for row in rows), strict=True):
        found: Difference = row.pop("found")
        row["p_holm"] = float(corrected)
        row["detectable"] = smallest_detectable(found.spread, found.n, (1 - LEVEL) / max(tested, 1))
        row["verdict"], row["reason"] = _judge(row, tested)
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(finals: pd.DataFrame) -> list[Row]:
    scores = Scores.of(finals)
    baselines: dict[Task, str] = {}
    others: list[tuple[tuple[str, ...], list[Row]]] = []
    for cell, rows in cells(finals):
        if rows[0]["baseline"]:
            baselines.setdefault((cell[0], cell[1], cell[2]), cell[3])  # the first of the suite, where it has several
        elif any(row["status"] != OUT_OF_SCOPE for row in rows):  # what cannot be is not undecided
            others.append((cell, rows))
    compared = _compared(scores, baselines, [cell for cell, _ in others])
    return [_row(cell, rows, baselines, compared) for cell, rows in others]


def _compared(scores: Scores, baselines: dict[Task, str], keys: list[tuple[str, ...]]) -> dict[str, Difference]:
    """By cell. The spread is pooled within (dataset, budget) and never wider: it differs tenfold between tasks."""
    groups: dict[tuple[str, str], dict[str, ByRepeat]] = {}
    alone = {repr((*task, strategy)) for task, strategy in scores.collapsed}
    for dataset, budget, backbone, strategy in keys:
        task = (dataset, budget, backbone)
        if task not in baselines:
            continue
        reference = scores.values[task][baselines[task]]
        column = scores.values[task][strategy]
        # Held against zero afterwards: several backbones, hence several references, share one spread.
        paired = {r: column[r] - reference[r] for r in column if r in reference}
        groups.setdefault((dataset, budget), {})[repr((dataset, budget, backbone, strategy))] = paired
    found: dict[str, Difference] = {}
    for (dataset, _), columns in groups.items():
        zero = {repeat: 0.0 for column in columns.values() for repeat in column}
        found |= differences_to(columns, zero, scores.steps.get(dataset, 0.0), alone)
    return found


def _row(cell: tuple[str, ...], rows: list[Row], baselines: dict[Task, str], compared: dict[str, Difference]) -> Row:
    nothing = differences_to({"": {}}, {})[""]
    found = compared.get(repr(cell), nothing)
    return {
        **dict(zip(CELL, cell, strict=True)),
        "labels_per_class": rows[0]["labels_per_class"],
        "reference": baselines.get((cell[0], cell[1], cell[2]), ""),
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "n": found.n,
        "p": found.p,
        "sd": found.spread.sd,
        "df": found.spread.df,
        "statuses": status_text(rows),
        "found": found,
    }


def _judge(row: Row, tested: int) -> tuple[str, str]:
    if not row["reference"]:
        return NO_BASELINE, "the suite trains no baseline on this task and backbone"
    if row["n"] == 0:
        return UNDECIDED, f"no pair of finished repeats ({row['statuses']})"
    if row["n"] == 1:
        return UNDECIDED, "one pair of repeats: nothing to judge chance by"
    if row["p_holm"] < 1 - LEVEL:
        return (HELPS, "") if row["difference"] > 0 else (HURTS, "")
    if row["p"] < 1 - LEVEL:
        return UNDECIDED, f"the interval excludes 0, but not after correcting for {tested} comparisons"
    return UNDECIDED, "the interval includes 0"
