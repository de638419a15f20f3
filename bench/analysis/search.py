"""How much a search decided: what it took, what it chose from, and what fewer trials would have come to.

One number is never made up: the score at the end of a trial that left its race early is not known, so such a trial
enters as "not chosen" and in no other way.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd

from bench.analysis.cells import Row, Task, finite_rows, mean_of, records, task_of
from bench.analysis.frame import CELL
from bench.analysis.statistics import Interval, finite, mean_interval
from bench.planning.halving import num_kept
from bench.planning.ranking import ranking

# Of the columns of a trial, what is read here.
TRIAL = [*CELL, "repeat", "number", "status", "lr", "score", "loss", "collapsed", "num_validation", "cohort", "planned",
         "steps", "spent_steps", "full_steps", "rungs", "pruned", "chosen"]  # fmt: skip
SUBSETS = 1000  # looked at where a race is replayed; all of them up to 12 trials

Value = Callable[[Row], float]  # what a trial is worth where it is chosen


@dataclass(frozen=True, eq=False)
class SearchStory:
    """One complete search."""

    task: Task
    strategy: str
    repeat: int
    trials: tuple[Row, ...]  # by number

    @property
    def is_halved(self) -> bool:
        return any(row["pruned"] or len(row["rungs"]) > 1 for row in self.trials)

    @property
    def is_one_cohort(self) -> bool:
        """No point depends on the result of another, so any of its subsets could have been a search."""
        return len({row["cohort"] for row in self.trials}) == 1

    @property
    def chosen(self) -> Row | None:
        """None, too, where the trial that a final names has no score (any more)."""
        return next((row for row in self.trials if row["chosen"] and row["status"] == "ok"), None)


def searches(trials: pd.DataFrame) -> list[SearchStory]:
    """Those whose trials all have their records, in the suite's order."""
    found: dict[tuple[Task, str, int], list[Row]] = {}
    for row in records(trials, TRIAL):
        found.setdefault((task_of(row), row["strategy"], int(row["repeat"])), []).append(row)
    return [
        SearchStory(*name, tuple(sorted(rows, key=lambda row: int(row["number"]))))
        for name, rows in found.items()
        if len(rows) == rows[0]["planned"]
    ]


def standing(row: Row, score: float, loss: float, is_end: bool = True) -> tuple[bool, float, float, float]:
    """Sorts the best first, as the search itself does; the penalties of closed forms grow with their numbers."""
    last = row["lr"] if math.isfinite(row["lr"]) else -row["number"]
    return ranking(score, loss, last, is_end and row["collapsed"] == 1)


def choice(trials: Sequence[Row]) -> Row | None:
    """What a search with these trials and no others would have chosen."""
    return min((row for row in trials if row["status"] == "ok"), key=_place, default=None)


def _place(row: Row) -> tuple[float, tuple[bool, float, float, float]]:
    """Sorts the best first: who went furthest, and of these the best."""
    return -_end(row), standing(row, row["score"], row["loss"])


def _end(row: Row) -> float:
    return float(row["steps"]) if row["pruned"] else math.inf


def replay(trials: Sequence[Row], ends: Sequence[int]) -> Row | None:
    """What a race of these trials alone comes to. One that in truth left before counts as not chosen: nobody knows how
    it would have gone on. None: nobody is left whose end is known."""
    going = list(trials)
    for number, end in enumerate(ends):
        at = {row["number"]: (score, loss) for row in going for step, score, loss in row["rungs"] if step == end}
        is_end = end == ends[-1]
        known = [row for row in going if row["number"] in at]
        going = sorted(known, key=lambda row: standing(row, *at[row["number"]], is_end))
        if not is_end:
            going = going[: num_kept(len(trials), number)]
    return going[0] if going else None


def expected_best(values: Sequence[float]) -> list[float]:
    """Mean of the last of k values drawn without replacement, for k from 1 on. `values`: the worst choice first, the
    best last. E = sum over i of C(i - 1, k - 1) / C(N, k) * v_i."""
    num = len(values)
    return [
        sum(comb(i, k - 1) * value for i, value in enumerate(values)) / comb(num, k) for k in range(1, num + 1)
    ]


def curve(search: SearchStory, value: Value) -> list[float]:
    """What the choice among k of its trials is worth, for k from 1 to all. NaN where the records do not say. A choice
    among trials that all broke is worth nothing.

    Where no point depends on another, a mean over all subsets of k trials; else the best of the first k, in the order
    in which they were asked.
    """
    trials = search.trials
    if not search.is_one_cohort:
        return list(_so_far(search, value))
    if search.is_halved:
        return list(_replayed(search, value))
    scored = [row for row in trials if row["status"] == "ok"]
    ranked = sorted(scored, key=lambda row: standing(row, row["score"], row["loss"]), reverse=True)
    return expected_best([0.0] * (len(trials) - len(ranked)) + [value(row) for row in ranked])


def _so_far(search: SearchStory, value: Value) -> Iterator[float]:
    """A race is over with its cohort, not before."""
    trials, is_halved = search.trials, search.is_halved
    best: Row | None = None
    for num, row in enumerate(trials, 1):
        is_end = num == len(trials) or trials[num]["cohort"] != row["cohort"]
        best = choice([row] if best is None else [best, row])
        yield math.nan if is_halved and not is_end else value(best) if best is not None else 0.0


def _replayed(search: SearchStory, value: Value) -> Iterator[float]:
    trials = search.trials
    ends = sorted({step for row in trials for step, _, _ in row["rungs"]})
    draw = np.random.default_rng(0)
    for k in range(1, len(trials) + 1):
        found = [_worth(subset, ends, value) for subset in _subsets(trials, k, draw)]
        yield float(np.mean(found))  # NaN where one of them is


def _worth(subset: Sequence[Row], ends: Sequence[int], value: Value) -> float:
    if all(row["status"] != "ok" for row in subset):
        return 0.0
    best = replay(subset, ends)
    return math.nan if best is None else value(best)


def _subsets(trials: Sequence[Row], k: int, draw: np.random.Generator) -> Iterator[Sequence[Row]]:
    if comb(len(trials), k) <= SUBSETS:
        yield from combinations(trials, k)
        return
    for _ in range(SUBSETS):
        yield [trials[number] for number in sorted(draw.choice(len(trials), k, replace=False))]


def mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    """Over the searches of one strategy on one task, which may be of different lengths."""
    shortest = min(map(len, curves), default=0)
    return [float(np.mean([one[k] for one in curves])) for k in range(shortest)]


def by_validation(row: Row) -> float:
    return float(row["score"])


@dataclass(frozen=True)
class Checked:
    """A search, and the test score of every one of its points; points that broke in it have none."""

    search: SearchStory
    repeat: int  # of the finals
    scores: Mapping[int, float]  # by the trial's number

    def by_test(self, row: Row) -> float:
        return self.scores[int(row["number"])]

    @property
    def regret(self) -> float:
        """What choosing by the test split itself would have claimed on top. Never negative: the best of several test
        scores owes some of its height to luck."""
        return max(self.scores.values()) - self._chosen

    @property
    def gain(self) -> float:
        """Over a point drawn at random from those that came to a score."""
        return self._chosen - float(np.mean(list(self.scores.values())))

    @property
    def _chosen(self) -> float:
        assert self.search.chosen is not None
        return self.scores[int(self.search.chosen["number"])]


def with_all_finals(found: Sequence[SearchStory], finals: pd.DataFrame, unchosen: pd.DataFrame) -> list[Checked]:
    """Searches of which every point that came to a score was trained on all labels too."""
    if unchosen.empty:
        return []
    others: dict[tuple[Task, str, int], dict[int, float]] = {}
    for row in finite_rows(records(unchosen), "score"):
        others.setdefault((task_of(row), row["strategy"], int(row["repeat"])), {})[int(row["number"])] = row["score"]
    own = {(one.task, one.strategy, one.repeat): one for one in found}
    complete = []
    for row in finite_rows(records(finals), "score"):
        task, strategy, repeat = task_of(row), row["strategy"], int(row["repeat"])
        search = own.get((task, strategy, repeat)) or own.get((task, strategy, 0))  # one may serve all repeats
        if search is None or search.chosen is None or (task, strategy, repeat) not in others:
            continue
        scores = {int(search.chosen["number"]): float(row["score"]), **others[task, strategy, repeat]}
        if all(int(trial["number"]) in scores for trial in search.trials if trial["status"] == "ok"):
            complete.append(Checked(search, repeat, scores))
    return complete


SUMMARY = [
    "backbone", "strategy", "score", "trials", "steps", "share", "searches", "num_validation", "close", "known",
    "on_validation", "regret", "gain",
]  # fmt: skip


def search_summary(
    found: Sequence[SearchStory], checked: Sequence[Checked], finals: pd.DataFrame, tasks: Sequence[Task]
) -> pd.DataFrame:
    """One row for each backbone and strategy, over `tasks`. `steps`: of one search, all folds, median; `share`: of what
    as many finals would take. `close`: searches in which another trial lies within one validation image of the chosen
    one; `known`: those of which every trial ran to its end; `on_validation`: their mean regret. `regret` and `gain` on
    test: intervals over repeats, None where they cannot be known."""
    wanted = set(tasks)
    scores: dict[tuple[str, str], list[Row]] = {}
    for row in finite_rows(records(finals), "score"):
        if task_of(row) in wanted:
            scores.setdefault((row["backbone"], row["strategy"]), []).append(row)
    rows = []
    for (backbone, strategy), done in scores.items():
        mine = [one for one in found if one.strategy == strategy and one.task in wanted and one.task[2] == backbone]
        if not mine:
            continue
        regrets = finite(map(validation_regret, mine))
        seen = [one for one in checked if one.search in mine]
        rows.append({
            "backbone": backbone, "strategy": strategy, "score": mean_of(done, "score"),
            "trials": _median([len(one.trials) for one in mine]),
            "steps": _median([_steps(one) for one in mine]),
            "share": _median([_steps(one) / _full(one) if _full(one) else math.nan for one in mine]),
            "searches": len(mine),
            "num_validation": _median([one.trials[0]["num_validation"] for one in mine]),
            "close": sum(map(_is_close, mine)),
            "known": len(regrets),
            "on_validation": float(regrets.mean()) if len(regrets) else math.nan,
            "regret": _over_repeats(seen, lambda one: one.regret),
            "gain": _over_repeats(seen, lambda one: one.gain),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=SUMMARY)


def validation_regret(search: SearchStory) -> float:
    """Best validation score of all its trials minus the chosen one's: NaN where a trial left early, for what it would
    have come to is not known, and no bound is either."""
    chosen = search.chosen
    if search.is_halved or chosen is None:
        return math.nan
    best = max(float(row["score"]) for row in search.trials if row["status"] == "ok")
    return best - float(chosen["score"])


def _is_close(search: SearchStory) -> bool:
    """Among trials that ran equally far."""
    chosen = search.chosen
    if chosen is None:
        return False
    image = 1 / chosen["num_validation"] if chosen["num_validation"] > 0 else 0.0
    rivals = [row for row in search.trials if row["status"] == "ok" and row["number"] != chosen["number"]]
    return any(_end(row) == _end(chosen) and chosen["score"] - row["score"] <= image + 1e-9 for row in rivals)


def _steps(search: SearchStory) -> float:
    return float(sum(row["spent_steps"] for row in search.trials if math.isfinite(row["spent_steps"])))


def _full(search: SearchStory) -> float:
    return float(sum(row["full_steps"] for row in search.trials if math.isfinite(row["full_steps"])))


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.nan


def _over_repeats(seen: Sequence[Checked], number: Callable[[Checked], float]) -> Interval | None:
    """Mean over the tasks, then over the repeats."""
    repeats: dict[int, list[float]] = {}
    for one in seen:
        repeats.setdefault(one.repeat, []).append(number(one))
    return mean_interval(float(np.mean(found)) for found in repeats.values()) if repeats else None
