"""What fewer trials would have come to, and what the choice gave away: against enumeration and planted races."""

import dataclasses
import math
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.analysis.frame import FINALS, UNCHOSEN
from bench.analysis.search import (
    SearchStory,
    by_validation,
    choice,
    curve,
    expected_best,
    mean_curve,
    replay,
    search_summary,
    searches,
    validation_regret,
    with_all_finals,
)
from bench.engine.search.points import ranking
from bench.planning.halving import num_kept
from tests.analysis.synthetic import World, make, typed
from tests.engine import toys
from tests.engine.test_fleet import HALVING

NAN = math.nan
TASK = ("near", "5", "small")
ENDS = (2, 6, 9)


def trial(number: int, rungs: list[tuple[int, float]], **fields: Any) -> dict[str, Any]:
    """One that left after the last of its rungs."""
    score = rungs[-1][1] if rungs else NAN
    standard = {
        "dataset": "near", "budget": "5", "backbone": "small", "strategy": "a", "repeat": 0, "number": number,
        "status": "ok" if rungs else "diverged", "lr": 10.0 ** (number - 4), "score": score, "loss": 1 - score,
        "steps": float(rungs[-1][0]) if rungs else 1.0, "pruned": bool(rungs) and rungs[-1][0] < ENDS[-1],
        "rungs": tuple((step, value, 1 - value) for step, value in rungs), "cohort": 0, "chosen": False,
        "num_validation": 20.0, "collapsed": 0.0, "spent_steps": 10.0, "full_steps": 9.0, "planned": 0,
    }  # fmt: skip
    return {**standard, **fields}


def search(trials: list[dict[str, Any]]) -> SearchStory:
    return SearchStory(TASK, "a", 0, tuple(trials))


def finished(scores: list[float | None], **fields: Any) -> list[dict[str, Any]]:
    """Every trial ran to its end; None: it diverged."""
    return [trial(n, [] if one is None else [(9, one)], **fields) for n, one in enumerate(scores)]


@pytest.mark.parametrize("num", range(1, 9))
def test_expected_best_is_the_mean_over_all_subsets(num: int) -> None:
    values = sorted(np.random.default_rng(num).normal(size=num).round(1).tolist())  # with ties
    found = expected_best(values)
    for k in range(1, num + 1):
        assert found[k - 1] == pytest.approx(np.mean([max(one) for one in combinations(values, k)]))


@pytest.mark.parametrize("seed", range(4))
def test_accuracy_against_trials_is_the_mean_over_all_smaller_searches(seed: int) -> None:
    """Validation, and test scores of what validation would have chosen: every subset is searched by itself."""
    draw = np.random.default_rng(seed)
    scores = draw.integers(8, 14, 7) / 20  # ties are common
    trials = finished([None if number == 2 else float(score) for number, score in enumerate(scores)])
    test = dict(enumerate(draw.random(7).tolist()))
    mine = search(trials)
    validation, tests = curve(mine, by_validation), curve(mine, lambda row: test[row["number"]])
    for k in range(1, 8):
        picked = []
        for subset in combinations(range(7), k):
            alive = [number for number in subset if number != 2]
            best = min(alive, key=lambda n: (-scores[n], 1 - scores[n], trials[n]["lr"]), default=None)
            picked.append((0.0, 0.0) if best is None else (scores[best], test[best]))
        assert validation[k - 1] == pytest.approx(np.mean([one for one, _ in picked]))
        assert tests[k - 1] == pytest.approx(np.mean([one for _, one in picked]))


def race(course: np.ndarray, subset: tuple[int, ...]) -> list[int]:
    """A race in which every trial could be asked at every rung: who is at the end, the best first. Written out."""
    going = list(subset)
    for rung in range(len(ENDS)):
        going.sort(key=lambda number: (-course[number, rung], 10.0 ** (number - 4)))
        if rung < len(ENDS) - 1:
            going = going[: num_kept(len(subset), rung)]
    return going


def halved(course: np.ndarray) -> list[dict[str, Any]]:
    """Records of the race of all of them: each has the rungs that it came to."""
    going = list(range(len(course)))
    came: dict[int, int] = dict.fromkeys(going, 1)
    for rung in range(len(ENDS) - 1):
        going.sort(key=lambda number: (-course[number, rung], 10.0 ** (number - 4)))
        going = going[: num_kept(len(course), rung)]
        came |= dict.fromkeys(going, rung + 2)
    return [
        trial(n, [(ENDS[i], float(course[n, i])) for i in range(came[n])], loss=0.0) | {
            "rungs": tuple((ENDS[i], float(course[n, i]), 0.0) for i in range(came[n]))}
        for n in range(len(course))
    ]  # fmt: skip


def planted(seed: int, num: int = 8) -> np.ndarray:
    """Courses that cross: what leads early need not lead late."""
    draw = np.random.default_rng(seed)
    return np.cumsum(draw.integers(1, 9, (num, len(ENDS))) / 40, axis=1)


@pytest.mark.parametrize("seed", range(6))
def test_a_replayed_race_is_the_race_of_that_subset_wherever_its_end_is_known(seed: int) -> None:
    course = planted(seed)
    trials = halved(course)
    known = unknown = 0
    for k in range(1, 9):
        for subset in combinations(range(8), k):
            found = replay([trials[number] for number in subset], ENDS)
            there = race(course, subset)
            if all(not trials[number]["pruned"] for number in there):
                known += 1
                assert found is not None
                assert found["number"] == there[0]
            elif found is not None:  # never a trial that left the race in truth
                unknown += 1
                assert not found["pruned"]
            else:
                unknown += 1
    assert known > 0
    assert unknown > 0
    assert replay(trials, ENDS)["number"] == race(course, tuple(range(8)))[0]  # type: ignore[index]


@pytest.mark.parametrize("seed", range(6))
def test_a_halved_search_says_what_every_subset_says_and_no_more(seed: int) -> None:
    """The mean over all subsets, each raced by hand with trials that left counted as not chosen; nothing where one of
    these has nobody left."""
    trials = halved(planted(seed))
    found = curve(search(trials), by_validation)
    for k in range(1, 9):
        ends = []
        for subset in combinations(trials, k):
            going = list(subset)
            for number, end in enumerate(ENDS):
                going = [row for row in going if row["steps"] >= end]
                going.sort(key=lambda row: (-dict((s, v) for s, v, _ in row["rungs"])[end], row["lr"]))
                going = going if end == ENDS[-1] else going[: num_kept(k, number)]
            ends.append(going[0]["score"] if going else NAN)
        assert found[k - 1] == pytest.approx(np.mean(ends), nan_ok=True)
    assert math.isnan(found[0])  # of one trial alone that left early, nobody knows the end
    assert found[-1] == max(row["score"] for row in trials if not row["pruned"])


def test_many_trials_are_sampled_and_the_whole_search_is_exact() -> None:
    trials = halved(planted(1, 18))
    found = curve(search(trials), by_validation)
    assert found == pytest.approx(curve(search(trials), by_validation), nan_ok=True)
    assert len(found) == 18
    assert found[-1] == max(row["score"] for row in trials if not row["pruned"])


def test_where_points_learn_from_results_the_best_so_far_is_told() -> None:
    """Cohorts of three, two, one; without a race every trial counts as it comes."""
    cohorts = [0, 0, 0, 1, 1, 2]
    scores = [0.3, None, 0.5, 0.4, 0.7, 0.6]
    trials = [{**row, "cohort": cohort} for row, cohort in zip(finished(scores), cohorts, strict=True)]
    assert curve(search(trials), by_validation) == [0.3, 0.3, 0.5, 0.5, 0.7, 0.7]
    first = [{**row, "cohort": number} for number, row in enumerate(finished([None, 0.2]))]
    assert curve(search(first), by_validation) == [0.0, 0.2]  # nothing but a broken training so far


def test_a_race_is_over_with_its_cohort() -> None:
    courses = [[(2, 0.9)], [(2, 0.2), (6, 0.3), (9, 0.5)], [(2, 0.1)], [(2, 0.3), (6, 0.4), (9, 0.6)], [(2, 0.8)]]
    trials = [trial(n, rungs, cohort=n // 3) for n, rungs in enumerate(courses)]
    found = curve(search(trials), by_validation)
    assert found == pytest.approx([NAN, NAN, 0.5, NAN, 0.6], nan_ok=True)


def test_the_choice_is_the_engines() -> None:
    """Score, then loss, then the smaller rate; only what came furthest."""
    rows = finished([0.5, 0.7, 0.7, None]) + [trial(4, [(2, 0.9)])]
    assert choice(rows)["number"] == 1  # type: ignore[index]
    rows[2]["loss"] = 0.1
    assert choice(rows)["number"] == 2  # type: ignore[index]
    assert choice(rows[4:])["number"] == 4  # type: ignore[index]
    assert choice([rows[3]]) is None
    expected = min(rows[:3], key=lambda row: ranking(row["score"], row["loss"], row["lr"]))
    assert choice(rows) is expected


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("trials", [4, 6])
def test_a_race_of_the_engine_comes_out_as_its_replay(tmp_path: Path, trials: int) -> None:
    spec = toys.fit_spec(search=dataclasses.replace(HALVING, trials=trials))
    ran, final = toys.everything(toys.context(tmp_path), spec)
    rows = [
        trial(n, [(one["step"], one["score"]) for one in record.result["rungs"]], lr=record.result["lr"]) | {
            "rungs": tuple((one["step"], one["score"], one["loss"]) for one in record.result["rungs"])}
        for n, record in enumerate(ran)
    ]  # fmt: skip
    ends = sorted({step for row in rows for step, _, _ in row["rungs"]})
    assert len(ends) == 3
    assert replay(rows, ends)["number"] == final.result["trial"]  # type: ignore[index]


def test_curves_of_several_searches() -> None:
    assert mean_curve([[0.1, 0.4, 0.6], [0.3, NAN]]) == pytest.approx([0.2, NAN], nan_ok=True)
    assert mean_curve([]) == []


def made(scores: list[float], chosen: int, tests: list[float | None], **fields: Any) -> Any:
    """One search with finals of all its points."""
    rows = finished(scores, planned=len(scores), **fields)  # type: ignore[arg-type]
    rows[chosen]["chosen"] = True
    trials = pd.DataFrame(rows)
    names = {"dataset": "near", "budget": "5", "labels_per_class": 5.0, "backbone": "small", "strategy": "a",
             "baseline": False, "solved": "", "repeat": 0, "status": "ok"}  # fmt: skip
    of_kind = {"str": "", "float64": NAN, "int64": 0, "bool": False, "object": None}
    empty = {name: of_kind[kind] for name, kind in FINALS.items()}
    finals = typed([{**empty, **names, "score": tests[chosen]}], FINALS)
    others = [
        {**names, "number": n, "lr": 0.1, "weight_decay": 0.0, "key": "k", "score": NAN if one is None else one,
         "status": "failed" if one is None else "ok"}
        for n, one in enumerate(tests) if n != chosen
    ]  # fmt: skip
    found = searches(trials)
    return found, with_all_finals(found, finals, typed(others, UNCHOSEN)), finals


def test_regret_on_validation_is_known_only_where_all_ran_to_their_end() -> None:
    (whole,), _, _ = made([0.5, 0.8, 0.6], 1, [0.5, 0.6, 0.7])
    assert validation_regret(whole) == 0
    (odd,), _, _ = made([0.5, 0.8, 0.6], 2, [0.5, 0.6, 0.7])  # had the search chosen otherwise
    assert validation_regret(odd) == pytest.approx(0.2)
    assert math.isnan(validation_regret(search(halved(planted(0)))))


def test_regret_and_gain_on_test_by_hand() -> None:
    _, (one,), _ = made([0.5, 0.8, 0.6], 1, [0.5, 0.6, 0.7])
    assert one.regret == pytest.approx(0.1)
    assert one.gain == pytest.approx(0.0)
    # A point without a test score leaves the regret unknown.
    assert made([0.5, 0.8, 0.6], 1, [0.5, 0.6, None])[1] == []


def test_a_search_that_serves_all_repeats_is_held_against_the_finals_of_each() -> None:
    found, _, finals = made([0.5, 0.8], 1, [0.5, 0.6])
    second = finals.assign(repeat=1, score=0.4)
    others = typed([
        {**{name: finals[name].iloc[0] for name in UNCHOSEN if name in finals}, "repeat": repeat, "number": 0,
         "score": score}
        for repeat, score in ((0, 0.5), (1, 0.7))
    ], UNCHOSEN)  # fmt: skip
    pair = with_all_finals(found, pd.concat([finals, second]), others)
    assert [(one.repeat, round(one.regret, 9)) for one in pair] == [(0, 0.0), (1, 0.3)]


def test_summary_by_hand() -> None:
    found, checked, finals = made([0.50, 0.80, 0.75], 1, [0.5, 0.6, 0.7])
    (row,) = search_summary(found, checked, finals, [TASK]).to_dict("records")
    assert (row["trials"], row["steps"], row["searches"]) == (3, 30, 1)
    assert row["share"] == pytest.approx(30 / 27)
    assert (row["close"], row["known"]) == (1, 1)  # .75 lies one of 20 images below .80
    assert row["on_validation"] == 0
    assert row["regret"].mean == pytest.approx(0.1)
    assert row["score"] == pytest.approx(0.6)
    far, _, _ = made([0.50, 0.80, 0.74], 1, [0.5, 0.6, 0.7])
    assert search_summary(far, [], finals, [TASK]).close.tolist() == [0]
    assert search_summary(found, checked, finals, [("other", "5", "small")]).empty


def test_a_search_with_a_gap_is_left_out() -> None:
    results = make(World(datasets=("near",), budgets=(5,), gaps=False))
    assert len(searches(results.trials)) == 9
    assert len(searches(results.trials.drop(index=0))) == 8
    assert searches(results.trials[:0]) == []
