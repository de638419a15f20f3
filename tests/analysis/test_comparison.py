"""What a collapsed training does to the verdicts, the candidates and the scores of a task."""

import math

import pandas as pd
import pytest

from bench.analysis.candidates import standings
from bench.analysis.cells import cell_summary, collapse_text, records
from bench.analysis.comparison import Scores
from bench.analysis.frame import FINALS
from bench.analysis.leaderboard import leaderboard
from bench.analysis.terminal import cell_text
from bench.analysis.verdicts import verdicts
from tests.analysis.synthetic import typed

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
            "backbone": "small", "strategy": name, "baseline": name == "scratch", "from_random": False,
            "repeat": repeat, "status": "ok",
            "metric": "accuracy", "score": value / 100, "num_units": 6, "num_classes": 10, "num_trials": 6,
            "collapsed": math.nan if broken is None else float(name == "lp_ft" and broken[repeat]),
            "predictions": None,
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
    # A record that tells nothing is a noisy strategy, and lends the others four medians of variance at most.
    for found in (unknown, known):
        assert (found.loc[SOUND].verdict == "helps").all()
        assert (found.loc[SOUND].p_holm <= 0.03).all()
    assert unknown.loc["lp_ft", "verdict"] == "undecided"
    assert unknown.loc["lp_ft", "sd"] > 0.16  # its own


def test_a_strategy_that_breaks_at_times_has_no_verdict() -> None:
    row = judged([False, True, False]).loc["lp_ft"]
    assert row.verdict == "undecided"
    assert row.reason == "collapsed in 1 of 3 repeats; the difference is over the others"
    assert row.n == 2
    assert math.isnan(row.p)


def test_where_the_baseline_broke_the_other_repeats_judge() -> None:
    frame = task([False, False, False])
    broken = (frame.strategy == "scratch") & (frame.repeat == 1)
    found = verdicts(frame.assign(collapsed=broken.astype(float))).set_index("strategy")
    assert (found.n == 2).all()
    assert found.loc["a", "reason"].endswith("without the 1 repeat in which scratch collapsed")


def test_what_collapsed_stays_a_candidate_as_long_as_nothing_speaks_against_it() -> None:
    frame = task([False, True, False])
    (places,) = standings(records(cell_summary(frame)), Scores.of(frame)).values()
    assert not places["scratch"].is_candidate  # 13 beside 47
    assert places["lp_ft"].is_candidate
    board = leaderboard(task([False, True, False])).rows.set_index("strategy")
    assert not board.candidate["scratch"]
    assert math.isnan(board.low["lp_ft"])  # a mean over what works and what breaks
    assert board.low["a"] > 0


def test_the_score_keeps_what_collapsed_and_says_so_beside_it() -> None:
    row = records(cell_summary(task([False, True, False])).query("strategy == 'lp_ft'"))[0]
    assert row["mean"] == pytest.approx((40.8 + 10.0 + 39.0) / 300)
    assert math.isnan(row["low"])
    assert (row["num_collapsed"], row["n"]) == (1, 3)
    assert row["mean_without"] == pytest.approx(0.399)
    # Wilson's interval of 1 in 3: 6 to 79 %.
    assert collapse_text(row) == "collapsed in 1 of 3 repeats (6 to 79 %); the others 39.9 +11.7 −10.6"
    assert "(3; 1 collapsed, 39.9 without)" in cell_text(row)
    every = records(cell_summary(task([True, True, True])).query("strategy == 'lp_ft'"))[0]
    assert collapse_text(every) == "collapsed in all 3 repeats"
    assert cell_text(every).endswith("(3; 3 collapsed)")
    assert not any(map(collapse_text, records(cell_summary(task(None)))))
