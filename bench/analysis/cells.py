"""One row per cell: mean, interval, how many of the planned repeats finished, what was chosen, what it cost."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.columns import column_of
from bench.analysis.frame import CELL, SuiteResults
from bench.analysis.shift import shift_columns
from bench.analysis.statistics import binomial_interval, finite, mean_interval
from bench.analysis.variance import Estimate
from bench.analysis.words import plus_minus

Row = dict[str, Any]
Task = tuple[str, str, str]  # dataset, budget, backbone
OUT_OF_SCOPE = "not_applicable"
MEANS = ("flops", "samples", "steps", "trainable_params", "total_params", "seconds", "peak_memory_bytes")
BROKEN = ("diverged", "failed", "oom", "crashed", "timeout")


@dataclass(frozen=True)
class Counts:
    """Planned trainings of every kind, by what became of them. The other five add up to `planned`.

    A diverged trial is no gap: that is how a search learns that a rate is too high.
    """

    planned: int
    ok: int
    missing: int
    broken: int  # failed or diverged, diverged trials left out
    diverged_trials: int
    not_applicable: int


def records(frame: pd.DataFrame, wanted: Sequence[str] = ()) -> list[Row]:
    """`wanted`: columns, where not all are; a million trials have thirty-odd each."""
    names = list(wanted or map(str, frame.columns))
    columns = [frame[name].tolist() for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def finite_rows(rows: list[Row], column: str) -> list[Row]:
    """Those that have a number there."""
    return [row for row in rows if row["status"] == "ok" and math.isfinite(row[column])]


def once(frame: pd.DataFrame) -> pd.DataFrame:
    """Each training once: cells whose recipes come to the same share their records."""
    return frame[~frame["key"].duplicated() | (frame["key"] == "")]


def missing(results: SuiteResults) -> Counts:
    """How many trainings the suite planned and what became of them; not applicable ones are no gap."""
    status: Counter[str] = Counter()
    for frame in (results.every_final, results.every_trial, results.pretrainings):
        status.update(once(frame)["status"].tolist())
    diverged = int((once(results.every_trial)["status"] == "diverged").sum())
    meant = int((once(results.pitfalls)["status"] == "diverged").sum())  # it is what the mistake costs
    present = status.total() - status["missing"]
    planned = results.planned if results.planned is not None else status.total()
    return Counts(
        planned=planned,
        ok=status["ok"],
        missing=planned - present,
        broken=sum(status[name] for name in BROKEN) - diverged - meant,
        diverged_trials=diverged,
        not_applicable=status[OUT_OF_SCOPE],
    )


def in_order(finals: pd.DataFrame) -> list[int]:
    """Places of its rows in suite order for names, with growing label budgets within a dataset."""
    keys = {
        "dataset": pd.factorize(finals["dataset"])[0],
        "labels": finals["labels_per_class"],
        "budget": pd.factorize(finals["budget"])[0],
        "backbone": pd.factorize(finals["backbone"])[0],
        "strategy": pd.factorize(finals["strategy"])[0],
        "repeat": finals["repeat"],
    }
    return pd.DataFrame(keys).reset_index(drop=True).sort_values(list(keys), kind="stable").index.tolist()


def task_of(row: Row) -> Task:
    return row["dataset"], row["budget"], row["backbone"]


def cells(finals: pd.DataFrame, rows: list[Row] | None = None) -> list[tuple[tuple[str, ...], list[Row]]]:
    """The rows of each cell, cells in order. `rows`: `records(finals)`, where somebody has them."""
    every = records(finals) if rows is None else rows
    grouped: dict[tuple[str, ...], list[Row]] = {}
    for place in in_order(finals):
        row = every[place]
        grouped.setdefault(tuple(row[name] for name in CELL), []).append(row)
    return list(grouped.items())


def status_text(rows: list[Row]) -> str:
    """`2 ok, 1 diverged`, commonest first."""
    return ", ".join(f"{count} {name}" for name, count in Counter(row["status"] for row in rows).most_common())


def _median(rows: list[Row], column: str) -> float:
    values = finite(row[column] for row in rows)
    return float(np.median(values)) if len(values) else math.nan


def mean_of(rows: list[Row], column: str) -> float:
    """Mean of the values that are there."""
    values = finite(row[column] for row in rows)
    return float(values.mean()) if len(values) else math.nan


def lowest_score(metric: str) -> float:
    return -1.0 if metric == "mcc" else 0.0


def has_collapsed(row: Row) -> bool:
    """Told by its training images alone. Records that say nothing of it count as sound."""
    return bool(row["status"] == "ok" and row["collapsed"] == 1)


def collapse_text(row: Row) -> str:
    """Of a cell: `collapsed in 2 of 5 repeats (12 to 77 %); the others 61.2 ±1.1`; nothing where none has."""
    if not row["num_collapsed"]:
        return ""
    if row["num_collapsed"] == row["n"]:
        return "collapsed in its one repeat" if row["n"] == 1 else f"collapsed in all {row['n']} repeats"
    low, high = binomial_interval(row["num_collapsed"], row["n"])
    others = f"{100 * row['mean_without']:.1f}" + plus_minus(
        row["without_low"], row["mean_without"], row["without_high"]
    )
    return f"collapsed in {row['num_collapsed']} of {row['n']} repeats ({100 * low:.0f} to {100 * high:.0f} %); " \
           f"the others {others}"


def _summary(rows: list[Row]) -> Row:
    done = [row for row in rows if row["status"] == "ok"]
    sound = [row for row in done if not has_collapsed(row)]
    first = rows[0]
    sample = column_of(done).alone()
    scores = Estimate.of(sample)
    others = scores if len(sound) in (0, len(done)) else Estimate.of(column_of(sound).alone())
    lowest = lowest_score(first["metric"])
    # A mean over trainings that work and trainings that break has no honest interval.
    low, high = scores.share_ends(lowest) if others is scores else (math.nan, math.nan)
    without_low, without_high = others.share_ends(lowest)
    fixed = ("labels_per_class", "baseline", "from_random", "axis", "axis_value", "axis_kind", "num_units", "metric",
             "modality")  # fmt: skip
    applicable = [row for row in rows if row["status"] != OUT_OF_SCOPE]
    return {
        **{name: first[name] for name in (*CELL, *fixed)},
        "mean": scores.mean,
        "low": low,
        "high": high,
        "n": scores.n,
        "num_images": scores.num_images,
        "identical": sample.is_identical or (sample.variance == 0 and not sample.num_images),
        "num_collapsed": len(done) - len(sound),
        "mean_without": mean_of(sound, "score"),
        "without_low": without_low,
        "without_high": without_high,
        **shift_columns(done, lowest, others is not scores),
        "planned": len(rows),
        "complete": bool(applicable) and scores.n == len(rows),
        "applicable": bool(applicable),
        "statuses": status_text(rows),
        "lr": _median(done, "lr"),
        "weight_decay": _median(done, "weight_decay"),
        "lr_low": min(finite(row["lr_low"] for row in rows), default=math.nan),
        "lr_high": max(finite(row["lr_high"] for row in rows), default=math.nan),
        "lr_edge": "/".join(sorted({row["lr_edge"] for row in done} - {""}, reverse=True)),
        "penalty_edge": any(row["penalty_edge"] for row in done),
        "num_trials": max(int(row["num_trials"]) for row in rows),
        "inflation": mean_interval(row["best_on_test"] - row["score"] for row in done).mean,
        **{name: mean_of(done, name) for name in MEANS},
    }


def cell_summary(finals: pd.DataFrame) -> pd.DataFrame:
    """One row per cell, in suite order. `n` repeats finished of `planned`; `complete` only where all of them did."""
    return summary_of(cells(finals))


def summary_of(found: Iterable[tuple[tuple[str, ...], list[Row]]]) -> pd.DataFrame:
    return pd.DataFrame([_summary(rows) for _, rows in found])
