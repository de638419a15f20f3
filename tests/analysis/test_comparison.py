"""Which spread judges a difference: the one that a task's strategies share, or a strategy's own."""

import math

import numpy as np
import pandas as pd
import pytest

from bench.analysis.cells import cell_summary, collapse_text, records
from bench.analysis.comparison import differences_to
from bench.analysis.frame import FINALS
from bench.analysis.leaderboard import leaderboard
from bench.analysis.standing import standings
from bench.analysis.terminal import cell_text
from bench.analysis.verdicts import verdicts
from tests.analysis.synthetic import typed

ZERO = dict.fromkeys(range(5), 0.0)
QUIET = [0.00, 0.01, -0.01, 0.01, -0.01]
NOISY = [0.00, 0.10, -0.10, 0.10, -0.10]


def column(values: list[float], sign: float = 1.0) -> dict[int, float]:
    return {repeat: 0.05 + sign * value for repeat, value in enumerate(values)}


def test_columns_alike_share_one_spread() -> None:
    found = differences_to({"a": column(QUIET), "b": column(QUIET, -1.0), "c": column(QUIET[::-1])}, ZERO)
    assert len({difference.spread for difference in found.values()}) == 1
    assert found["a"].spread.sd == pytest.approx(0.01)  # squares add up to .0004, over 4


def test_a_column_far_noisier_than_the_others_is_judged_by_its_own() -> None:
    found = differences_to({"a": column(QUIET), "b": column(QUIET, -1.0), "loud": column(NOISY)}, ZERO)
    assert found["loud"].spread.sd == pytest.approx(0.1)
    assert found["loud"].spread.df == 4
    # The shared one, sqrt((.0001 + .0001 + .01) / 3) = .0583, would have made it look surer than it is.
    assert found["a"].spread.sd == pytest.approx(0.0583, abs=1e-4)
    assert found["loud"].high - found["loud"].low > found["a"].high - found["a"].low


SOUND = ["a", "b", "c", "d", "e", "f", "g", "h"]
PATTERNS = [(1, -1, 0), (-1, 1, 0), (1, 0, -1), (-1, 0, 1), (0, 1, -1), (0, -1, 1), (1, -1, 0), (0, 1, -1)]
BROKEN = [40.8, 10.0, 39.0]  # one repeat at chance


def task(broken: list[bool] | None) -> pd.DataFrame:
    """Scratch, eight strategies whose differences to it have an sd of 2.80 points, and one that broke once."""
    mean = sum(BROKEN) / 3
    scratch = [13.0 - 0.01373 * (value - mean) for value in BROKEN]  # so that all ten come to the pooled sd of 6.41
    columns = {"scratch": scratch, "lp_ft": BROKEN}
    for place, (name, pattern) in enumerate(zip(SOUND, PATTERNS, strict=True)):
        gain = 20 + 2 * place
        columns[name] = [low + gain + 2.80 * one for low, one in zip(scratch, pattern, strict=True)]
    rows = [
        {
            **dict.fromkeys(FINALS, math.nan), "dataset": "signs", "budget": "10", "labels_per_class": 10.0,
            "backbone": "small", "strategy": name, "baseline": name == "scratch", "repeat": repeat, "status": "ok",
            "metric": "accuracy", "score": value / 100, "num_units": 6, "num_classes": 10, "num_trials": 6,
            "collapsed": math.nan if broken is None else float(name == "lp_ft" and broken[repeat]),
            **{text: "" for text, kind in FINALS.items() if kind == "str" and text not in
               ("dataset", "budget", "backbone", "strategy", "status", "metric")},
        }
        for name, values in columns.items() for repeat, value in enumerate(values)
    ]  # fmt: skip
    return typed(rows, FINALS)


def judged(broken: list[bool] | None) -> pd.DataFrame:
    return verdicts(task(broken)).set_index("strategy")


def test_one_collapsed_strategy_silences_nobody() -> None:
    unknown, known = judged(None), judged([False, True, False])
    # Records that tell nothing are judged as before: numpy's own sd of all nine columns, and nothing can be said.
    assert 100 * unknown.loc["a", "sd"] == pytest.approx(6.41, abs=0.01)
    assert (unknown.verdict == "helps").sum() <= 1
    assert 100 * known.loc["a", "sd"] == pytest.approx(2.80, abs=0.01)
    assert (known.loc[SOUND].verdict == "helps").all()
    assert (known.loc[SOUND].p_holm <= 0.010).all()
    own = np.std(np.array(BROKEN) - task(None).query("strategy == 'scratch'").score.to_numpy() * 100, ddof=1)
    assert 100 * known.loc["lp_ft", "sd"] == pytest.approx(own)
    assert known.loc["lp_ft", "df"] == 2
    assert known.loc["lp_ft", "difference"] == pytest.approx(unknown.loc["lp_ft", "difference"])  # its score is kept


def test_it_leaves_the_pool_of_standings_and_of_the_leaderboard_too() -> None:
    found = {name: standings(task(broken)) for name, broken in
             (("unknown", None), ("known", [False, True, False]))}  # fmt: skip
    (before,), (after,) = (one.values() for one in found.values())
    assert before["scratch"] == "tied"  # 13 beside 47
    assert after["scratch"] == "behind"
    assert after["lp_ft"] == "tied"
    tied = {name: leaderboard(task(broken)).rows.set_index("strategy").tied for name, broken in
            (("unknown", None), ("known", [False, True, False]))}  # fmt: skip
    assert tied["unknown"]["scratch"]
    assert not tied["known"]["scratch"]


def test_where_all_have_collapsed_each_is_judged_by_its_own() -> None:
    found = differences_to({"a": column(QUIET), "loud": column(NOISY)}, ZERO, 0.0, {"a", "loud"})
    assert found["a"].spread.sd == pytest.approx(0.01)
    assert found["loud"].spread.sd == pytest.approx(0.1)


def test_the_score_keeps_what_collapsed_and_says_so_beside_it() -> None:
    row = records(cell_summary(task([False, True, False])).query("strategy == 'lp_ft'"))[0]
    assert row["mean"] == pytest.approx((40.8 + 10.0 + 39.0) / 300)
    assert (row["num_collapsed"], row["n"]) == (1, 3)
    assert row["mean_without"] == pytest.approx(0.399)
    assert collapse_text(row) == "collapsed in 1 of 3 repeats; mean without them 39.9"
    assert "(3; 1 collapsed, 39.9 without)" in cell_text(row)
    every = records(cell_summary(task([True, True, True])).query("strategy == 'lp_ft'"))[0]
    assert collapse_text(every) == "collapsed in all 3 repeats"
    assert cell_text(every).endswith("(3; 3 collapsed)")
    assert not any(map(collapse_text, records(cell_summary(task(None)))))
