"""Choosing a strategy by validation, by hand."""

import math

import pandas as pd
import pytest

from bench.analysis.frame import TRIALS
from bench.analysis.picks import picks, validated
from bench.analysis.variance import Column

from .synthetic import World, make, typed

A, B = ("a", "5", "net"), ("b", "5", "net")


def column(*scores: float) -> Column:
    return Column(dict(enumerate(scores)), {})


COLUMNS = {
    A: {"x": column(0.50, 0.60), "y": column(0.40, 0.80)},
    B: {"x": column(0.90, 0.70), "y": column(0.80, 0.90)},
}
SEEN = {
    (A, "x", 0): 0.6, (A, "y", 0): 0.5, (A, "x", 1): 0.4, (A, "y", 1): 0.7,
    (B, "x", 0): 0.3, (B, "y", 0): 0.4, (B, "x", 1): 0.9, (B, "y", 1): 0.8,
}  # fmt: skip


def test_by_hand() -> None:
    """x on a's first repeat and b's second, y on the others: (.5 + .8) / 2 = .65 and (.8 + .7) / 2 = .75."""
    found = picks(COLUMNS, ["x", "y"], SEEN)
    assert found is not None
    assert found.chosen.mean == pytest.approx(0.70)
    assert found.counts == {"x": 2, "y": 2}
    assert (found.leader, found.best.mean) == ("y", pytest.approx(0.725))
    # Against y's .60 and .85, by repeat: +.05 and -.10.
    assert found.behind.mean == pytest.approx(-0.025)
    assert found.behind.error == pytest.approx(0.075)
    assert found.behind_ends[0] < found.behind.ends()[0] < found.behind.ends()[1] < found.behind_ends[1]
    # At random: (.50 + .40 + .90 + .80) / 4 = .65 and .75.
    assert found.mean.mean == pytest.approx(0.70)
    assert found.gain.mean == pytest.approx(0)


def test_who_is_tied_shares() -> None:
    found = picks({A: COLUMNS[A]}, ["x", "y"], {**SEEN, (A, "y", 0): 0.6})
    assert found is not None
    assert found.chosen.mean == pytest.approx((0.45 + 0.80) / 2)
    assert found.counts == {"y": 1.5, "x": 0.5}


def test_one_search_serves_all_repeats() -> None:
    found = picks({A: COLUMNS[A]}, ["x", "y"], {(A, "x", None): 0.6, (A, "y", None): 0.5})
    assert found is not None
    assert found.counts == {"x": 2}
    assert found.behind.mean == pytest.approx(0.55 - 0.60)


def test_what_was_not_validated_cannot_be_chosen() -> None:
    """Nor does it count among those drawn at random."""
    columns = {A: {**COLUMNS[A], "own head": column(0.99, 0.99)}}
    found = picks(columns, ["own head", "x", "y"], SEEN)
    assert found is not None
    assert found.offered == ["x", "y"]
    assert found.leader == "y"
    assert found.mean.mean == pytest.approx(0.575)
    missing = {key: score for key, score in SEEN.items() if key != (B, "y", 1)}
    assert picks(COLUMNS, ["x", "y"], missing) is None


def rows(strategy: str, *scores: tuple[int, bool, float]) -> list[dict[str, object]]:
    blank = {name: "" if kind == "str" else 0 for name, kind in TRIALS.items()}
    return [
        {**blank, "dataset": "a", "budget": "5", "backbone": "net", "strategy": strategy, "repeat": repeat,
         "status": "missing" if math.isnan(score) else "ok", "score": score, "chosen": chosen}
        for repeat, chosen, score in scores
    ]  # fmt: skip


def test_scores_of_chosen_trials() -> None:
    once = rows("once", (0, False, 0.9), (0, True, 0.8))
    twice = rows("twice", (0, True, 0.5), (0, False, 0.6), (1, True, 0.7))
    lost = rows("lost", (0, True, 0.5), (1, True, math.nan))  # repeat 0's is not taken for it
    found = validated(typed([*once, *twice, *lost], TRIALS))
    assert found == {
        (A, "once", None): 0.8, (A, "twice", 0): 0.5, (A, "twice", 1): 0.7, (A, "lost", 0): 0.5
    }  # fmt: skip
    assert validated(typed([], TRIALS)) == {}


def test_a_whole_suite() -> None:
    made = make(World(datasets=("near",), gaps=False))
    seen = validated(made.trials)
    assert len(seen) == 3 * 9
    assert isinstance(made.trials, pd.DataFrame)
    assert {key[2] for key in seen} == {None}
