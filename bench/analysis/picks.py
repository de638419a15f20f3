"""Choosing the strategy itself by validation, as a person would who has one data set and no test labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.analysis.across import DIGITS, shared_repeats
from bench.analysis.cells import Task, finite_rows, records, task_of
from bench.analysis.comparison import average
from bench.analysis.frame import CELL
from bench.analysis.statistics import LEVEL
from bench.analysis.variance import Column, Estimate

# By repeat; None where one search serves all of them.
Validated = dict[tuple[Task, str, int | None], float]


@dataclass(frozen=True)
class Picks:
    """What the choice got, over tasks and repeats, and what others would have got. Differences are paired by repeat."""

    offered: list[str]  # strategies that could be chosen on every task
    chosen: Estimate  # test score of the choice
    leader: str  # of those offered, the one with the highest mean on test
    best: Estimate  # its score
    behind: Estimate  # choice minus leader
    behind_ends: tuple[float, float]  # corrected: the leader was picked afterwards, from all that were offered
    mean: Estimate  # a strategy drawn at random
    gain: Estimate  # choice minus that
    counts: dict[str, float]  # task-repeats in which each was chosen, the commonest first; ties are shared out


def validated(trials: pd.DataFrame) -> Validated:
    """Validation score of the chosen trial of every search."""
    rows = records(trials, [*CELL, "repeat", "chosen", "status", "score"])
    searched: dict[tuple[Task, str], set[int]] = {}
    for row in rows:
        searched.setdefault((task_of(row), row["strategy"]), set()).add(int(row["repeat"]))
    found: Validated = {}
    for row in finite_rows([row for row in rows if row["chosen"]], "score"):
        cell = task_of(row), row["strategy"]
        found[*cell, None if searched[cell] == {0} else int(row["repeat"])] = float(row["score"])
    return found


def picks(
    columns: Mapping[Task, Mapping[str, Column]], strategies: Sequence[str], scores: Validated
) -> Picks | None:
    """None where fewer than two strategies have a validation score on every task and repeat."""
    repeats = shared_repeats([found[name] for found in columns.values() for name in strategies])
    offered = [name for name in strategies if all(_score(scores, t, name, r) is not None
                                                  for t in columns for r in repeats)]  # fmt: skip
    if len(offered) < 2 or not repeats:
        return None
    taken = {
        (task, r): highest({name: _score(scores, task, name, r) or 0.0 for name in offered})
        for task in columns for r in repeats
    }  # fmt: skip
    choice = average([
        (task[0], mixed(found, {r: taken[task, r] for r in repeats})) for task, found in columns.items()
    ])  # fmt: skip
    single = {name: average([(task[0], found[name]) for task, found in columns.items()]) for name in offered}
    anyone = mixed(single, {r: offered for r in repeats})
    leader = max(offered, key=lambda name: single[name].alone().mean)
    behind = Estimate.of(choice.minus(single[leader]))
    counts = {name: sum((name in names) / len(names) for names in taken.values()) for name in offered}
    return Picks(
        offered, Estimate.of(choice.alone()), leader, Estimate.of(single[leader].alone()), behind,
        behind.ends((1 - LEVEL) / len(offered)), Estimate.of(anyone.alone()), Estimate.of(choice.minus(anyone)),
        {name: counts[name] for name in sorted(offered, key=lambda name: -counts[name]) if counts[name]},
    )  # fmt: skip


def _score(scores: Validated, task: Task, strategy: str, repeat: int) -> float | None:
    return scores.get((task, strategy, repeat), scores.get((task, strategy, None)))


def highest(scores: Mapping[str, float]) -> list[str]:
    rounded = {name: round(score, DIGITS) for name, score in scores.items()}
    return [name for name, score in rounded.items() if score == max(rounded.values())]


def mixed(columns: Mapping[str, Column], taken: Mapping[int, Sequence[str]]) -> Column:
    """In each repeat the mean of the strategies that were taken there."""
    first = next(iter(columns.values()))
    scores = {r: float(np.mean([columns[name].scores[r] for name in names])) for r, names in taken.items()}
    if not all(r in columns[name].images for r, names in taken.items() for name in names):
        return Column(scores, {}, None, first.step)
    images = {r: np.mean([columns[name].images[r] for name in names], axis=0) for r, names in taken.items()}
    return Column(scores, images, first.which, first.step)
