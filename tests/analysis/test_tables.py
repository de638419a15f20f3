"""What the tables say about small results whose answer is known."""

import dataclasses
import io
import math
import subprocess
import sys
from typing import Any

import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import ttest_1samp

from bench.analysis.cells import records
from bench.analysis.comparison import Scores
from bench.analysis.frame import FINALS, PRETRAININGS, TRIALS, SuiteResults, empty
from bench.analysis.headline import Findings, headline, more
from bench.analysis.tables import (
    cell_summary,
    cost_summary,
    fewest_tasks,
    inflation,
    leaderboard,
    missing,
    standings,
    terminal_rows,
    terminal_table,
    verdicts,
)
from bench.analysis.words import in_points, labels, listed, points, shortened
from tests.analysis.synthetic import World, make, typed


def finals(scores: dict[tuple[str, str], list[float | str]], **columns: Any) -> pd.DataFrame:
    """(dataset, strategy) -> a score per repeat, or the status of one that has none."""
    template = make(World(datasets=("near",), budgets=(5,), strategies=("full_finetune",), gaps=False)).finals.iloc[0]
    rows = []
    for (dataset, strategy), values in scores.items():
        for repeat, value in enumerate(values):
            ok = isinstance(value, float)
            row = {
                **template, "dataset": dataset, "strategy": strategy, "baseline": strategy == "scratch",
                "repeat": repeat, "status": "ok" if ok else value, "score": value if ok else math.nan,
                "best_on_test": value + 0.01 if ok else math.nan, "key": f"{dataset} {strategy} {repeat}", **columns,
            }  # fmt: skip
            rows.append(row)
    return typed(rows, FINALS)


def results(frame: pd.DataFrame) -> SuiteResults:
    return SuiteResults("tiny", "", "", {}, frame, empty(TRIALS), empty(PRETRAININGS))


def said(made: SuiteResults) -> list[str]:
    return headline(made, found_in(made))


def found_in(made: SuiteResults) -> Findings:
    summary = records(cell_summary(made.finals)) if len(made.finals) else []
    return Findings.of(made, Scores.of(made.finals), summary)


def test_cell_by_hand() -> None:
    # .90 .92 .94: mean .92, variance of the mean .0004 / 3, that of .92 * .08 * 3 / .0004 = 552 draws; Wilson with
    # t(.975, 2) = 4.30265: q = 4.30265^2 / 552 = .033537, (.92 + q / 2 + sqrt(.0736 q + q^2 / 4)) / (1 + q) = .957106
    row = cell_summary(finals({("near", "full_finetune"): [0.90, 0.92, 0.94]})).iloc[0]
    assert row["mean"] == pytest.approx(0.92)
    assert row["high"] == pytest.approx(0.957106, abs=1e-6)
    assert row["low"] == pytest.approx(0.855636, abs=1e-6)
    assert (row["n"], row["planned"], row["complete"]) == (3, 3, True)
    assert row["inflation"] == pytest.approx(0.01)


def test_a_cell_with_gaps_counts_them() -> None:
    row = cell_summary(finals({("near", "full_finetune"): [0.9, "missing", "diverged", "missing"]})).iloc[0]
    assert (row["n"], row["planned"], row["complete"]) == (1, 4, False)
    assert row["statuses"] == "2 missing, 1 ok, 1 diverged"
    assert math.isnan(row["low"])


def test_not_applicable_is_no_gap() -> None:
    frame = finals({("near", "lora"): ["not_applicable"] * 2, ("near", "full_finetune"): [0.5, 0.6]})
    row = cell_summary(frame).iloc[0]
    assert not row["applicable"]
    found = missing(results(frame))
    assert (found.planned, found.ok, found.missing, found.not_applicable) == (4, 2, 0, 2)


def test_a_training_that_several_cells_share_counts_once() -> None:
    frame = finals({("near", "linear_probe"): [0.5, 0.6], ("near", "freeze(upto=5)"): [0.5, 0.6]})
    frame["key"] = ["a", "b", "a", "b"]
    found = missing(dataclasses.replace(results(frame), planned=5))
    assert (found.planned, found.ok, found.missing) == (5, 2, 3)


def test_budgets_are_ordered_by_labels_not_by_text() -> None:
    frame = make(World(datasets=("near",), strategies=("scratch",))).finals
    assert cell_summary(frame.iloc[::-1])["budget"].tolist() == ["5", "20", "100"]


def test_transfer_helps_and_hurts() -> None:
    frame = finals({
        ("near", "scratch"): [0.50, 0.52, 0.51, 0.53, 0.50],
        ("near", "full_finetune"): [0.91, 0.93, 0.92, 0.94, 0.90],
        ("near", "linear_probe"): [0.40, 0.43, 0.41, 0.42, 0.40],
        ("near", "gradual_unfreeze"): [0.51, 0.51, 0.52, 0.52, 0.51],
    })  # fmt: skip
    found = verdicts(frame).set_index("strategy")
    assert found["verdict"].to_dict() == {
        "full_finetune": "helps", "linear_probe": "hurts", "gradual_unfreeze": "undecided"
    }  # fmt: skip
    assert found.loc["full_finetune", "difference"] == pytest.approx(0.408)
    assert found.loc["linear_probe", "high"] < 0
    assert found.loc["gradual_unfreeze", "reason"] == "the interval includes 0"
    assert found["n"].tolist() == [5, 5, 5]


def test_pairing_takes_out_what_the_repeats_share() -> None:
    shared = [0.2, 0.5, 0.8, 0.35, 0.65]
    scores = {
        ("near", "scratch"): shared,
        ("near", "full_finetune"): [s + d for s, d in zip(shared, (0.05, 0.06, 0.04, 0.05, 0.05), strict=True)],
    }
    assert verdicts(finals(scores))["verdict"].tolist() == ["helps"]


def test_no_baseline_no_verdict() -> None:
    found = verdicts(finals({("near", "full_finetune"): [0.9, 0.91]})).iloc[0]
    assert found["verdict"] == "no baseline"
    assert found["reason"]


def test_unfinished_baseline_or_cell_is_undecided_with_its_reason() -> None:
    found = verdicts(finals({("near", "scratch"): [0.5, 0.6], ("near", "lora"): ["oom", "oom"]})).iloc[0]
    assert found["verdict"] == "undecided"
    assert "2 oom" in found["reason"]
    one = verdicts(finals({("near", "scratch"): [0.5], ("near", "lora"): [0.9]})).iloc[0]
    assert one["reason"] == "one pair of repeats: nothing to judge chance by"


def test_repeats_are_paired_even_where_one_is_missing() -> None:
    frame = finals({("near", "scratch"): [0.1, 0.2, 0.3], ("near", "lora"): ["missing", 0.3, 0.4]})
    found = verdicts(frame).iloc[0]
    assert found["n"] == 2
    assert found["difference"] == pytest.approx(0.1)


def test_leaderboard_by_hand() -> None:
    frame = finals({
        ("a", "x"): [0.8, 0.8], ("a", "y"): [0.6, 0.7],
        ("b", "x"): [0.4, 0.6], ("b", "y"): [0.7, 0.8],
    })  # fmt: skip
    board = leaderboard(frame)
    # x: repeats (.8 + .4) / 2 and (.8 + .6) / 2 -> .60 .70; y: .65 .75
    assert board.rows["strategy"].tolist() == ["y", "x"]
    assert board.rows["mean"].tolist() == pytest.approx([0.70, 0.65])
    assert board.rows["rank"].tolist() == [1.5, 1.5]
    assert board.rows["wins"].tolist() == [1, 1]
    assert board.rows["behind"].tolist()[1] == pytest.approx(-0.05)
    assert len(board.tasks) == 2


def test_leaderboard_never_averages_over_different_tasks() -> None:
    """y is missing on the hard task: without care it would lead by having skipped it."""
    frame = finals({
        ("easy", "x"): [0.90, 0.91], ("easy", "y"): [0.89, 0.90],
        ("hard", "x"): [0.20, 0.21], ("hard", "y"): [0.19, "failed"],
    })  # fmt: skip
    board = leaderboard(frame)
    assert board.rows["strategy"].tolist() == ["x", "y"]
    assert [task[0] for task in board.tasks] == ["easy"]
    assert [task[0] for task in board.left_out] == ["hard"]
    assert board.rows["gap"].tolist() == ["", "hard, 5: 1 ok, 1 failed"]


def test_a_strategy_that_hardly_ran_does_not_take_the_tasks_from_the_others() -> None:
    scores: dict[tuple[str, str], list[float | str]] = {}
    for task in "abcd":
        scores |= {(task, "x"): [0.9, 0.8], (task, "y"): [0.7, 0.8]}
        scores[(task, "late")] = [0.99, 0.99] if task == "a" else ["missing", "missing"]
    board = leaderboard(finals(scores))
    assert len(board.tasks) == 4
    last = board.rows.iloc[-1]
    assert (last["strategy"], last["ranked"], last["complete"]) == ("late", False, 1)


def test_equal_scores_share_their_rank() -> None:
    board = leaderboard(finals({("a", name): [0.5, 0.6] for name in "xyz"}))
    assert board.rows["rank"].tolist() == [2, 2, 2]
    assert board.rows["wins"].tolist() == pytest.approx([1 / 3] * 3)


def test_first_places_add_up_to_the_tasks() -> None:
    """By hand: x and y share the first place on a, y has b alone."""
    board = leaderboard(finals({
        ("a", "x"): [0.5, 0.6], ("a", "y"): [0.5, 0.6], ("a", "z"): [0.1, 0.2],
        ("b", "x"): [0.1, 0.2], ("b", "y"): [0.5, 0.6], ("b", "z"): [0.1, 0.3],
    }))  # fmt: skip
    assert dict(zip(board.rows["strategy"], board.rows["wins"], strict=True)) == {"y": 1.5, "x": 0.5, "z": 0.0}


def test_one_number_for_all_repeats_has_no_interval_and_is_compared_all_the_same() -> None:
    """Nothing of it is drawn: five rows, one record."""
    frame = finals({("a", "x"): [0.5, 0.6, 0.7], ("a", "scratch"): [0.8] * 3})
    shared = frame["strategy"] == "scratch"
    frame["key"] = frame["key"].where(~shared, "one")
    summary = cell_summary(frame).set_index("strategy")
    assert summary.loc["scratch", "mean"] == pytest.approx(0.8)
    assert math.isnan(summary.loc["scratch", "low"])
    assert math.isnan(summary.loc["scratch", "high"])
    assert summary.loc["x", "high"] > 0.6
    rows = leaderboard(frame).rows.set_index("strategy")
    assert math.isnan(rows.loc["scratch", "low"])
    # One-sample t of x against .8: -.2, sd .1, n = 3, by scipy.
    assert rows.loc["x", "behind"] == pytest.approx(-0.2)
    one_sided = ttest_1samp([0.5, 0.6, 0.7], 0.8, alternative="less").pvalue
    assert rows.loc["x", "p"] == pytest.approx(2 * one_sided)  # of two strategies


def test_fewest_tasks_of_a_rank_test() -> None:
    assert [fewest_tasks(k) for k in (3, 4, 5, 6, 8)] == [7, 8, 9, 10, 11]


def test_standings() -> None:
    frame = finals({
        ("a", "x"): [0.90, 0.92, 0.91, 0.90], ("a", "y"): [0.90, 0.91, 0.92, 0.89],
        ("a", "z"): [0.10, 0.12, 0.11, 0.09], ("a", "gap"): [0.99, "missing", 0.99, 0.99],
    })  # fmt: skip
    (places,) = standings(records(cell_summary(frame)), Scores.of(frame)).values()
    assert [name for name, place in places.items() if place.is_candidate] == ["x", "y"]
    assert [name for name, place in places.items() if place.is_highest] == ["x"]
    assert "gap" not in places
    assert places["z"].behind == pytest.approx(0.105 - 0.9075)
    assert places["z"].low < places["z"].behind < places["z"].high < 0
    assert places["y"].high == 0


def test_inflation_by_hand() -> None:
    frame = finals({("a", "x"): [0.5, 0.6], ("b", "x"): [0.7, 0.8]})
    gains = inflation(frame, leaderboard(frame).tasks)
    assert gains["x"].mean == pytest.approx(0.01)
    assert gains["x"].n == 2  # repeats, not trainings


def test_costs_are_means_over_the_same_tasks() -> None:
    made = make(World(datasets=("near", "far"), budgets=(100,)))
    board = leaderboard(made.finals)
    assert [task[0] for task in board.tasks] == ["near"]
    costs = cost_summary(made.finals, made.trials, board.tasks).set_index("strategy")
    assert set(costs["tasks"]) == {1}
    assert costs.loc["linear_probe", "flops"] < costs.loc["full_finetune", "flops"]
    assert costs.loc["scratch", "search_seconds"] == pytest.approx(6 * 3.1)


def test_headline_says_what_is_known_and_what_is_not() -> None:
    made = make()
    text = " ".join(said(made))
    assert "1 missing and 4 failed or diverged of" in text
    text = " ".join(more(found_in(made)))
    assert "transfer helps in" in text
    assert "Largest negative transfer: linear_probe on mid with 100 labels per class, −18.8 points" in text
    assert "What stayed undecided is not shown to be equal" in text


def test_headline_of_nothing() -> None:
    none = finals({("a", "x"): ["missing", "failed"]})
    assert said(results(none)) == [
        "Nothing to compare yet: none of 2 final trainings finished (1 missing, 1 failed)."
    ]
    assert said(results(empty(FINALS))) == ["Nothing to compare: the suite has no planned trainings."]


def test_headline_of_one_repeat_claims_nothing() -> None:
    made = make(World(repeats=1))
    text = " ".join([*said(made), *more(found_in(made))])
    assert "but 1 repeat cannot tell what it may give up" in text
    assert "helps in 0 of" in text


def test_terminal_rows() -> None:
    frame = finals({("near", "x"): [0.91, 0.92, 0.93], ("near", "y"): ["failed"] * 3, ("near", "z"): [0.5, "missing"]})
    _, rows = terminal_rows(records(cell_summary(frame)))
    assert dict(rows) == {"x": ["92.0 +2.1 −2.8 (3)"], "y": ["— 3 failed"], "z": ["50.0 (1 of 2)"]}


def test_terminal_table_takes_names_as_they_are() -> None:
    made = make(World(datasets=("near",), rename={"linear_probe": "[red]probe[/red]"}))
    table = terminal_table("x", records(cell_summary(made.finals)))
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table)
    assert "[red]probe[/red]" in console.export_text()


def test_words() -> None:
    assert points(0.0134) == "+1.3"
    assert points(-0.5) == "−50.0"
    said = [in_points(value) for value in (1.0, 100 * 0.01, 2.5, 0.0)]
    assert said == ["1 point", "1 point", "2.5 points", "0 points"]
    assert labels("5") == "5 labels per class"
    assert labels("10%") == "10% of the labels"
    assert labels("total 1000") == "1000 labels in total"
    assert listed(["a", "b"]) == "a and b"
    assert listed(list("abcdef")) == "a, b, c and 3 more"
    assert len(shortened("x" * 300)) == 60
    assert shortened("\u202eevil").endswith("\u2069")


def test_importing_the_frame_stays_light() -> None:
    code = "import sys, bench.analysis.tables; print([m for m in ('torch', 'matplotlib', 'scipy') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_wide_terminal_table_is_turned() -> None:
    """Twelve tasks do not fit side by side into 80 characters; three strategies do."""
    made = make(World(strategies=("scratch", "linear_probe", "full_finetune")))
    wide, narrow = (terminal_table("x", records(cell_summary(made.finals)), width) for width in (400, 80))
    assert str(wide.columns[0].header) == "strategy"
    assert [str(column.header) for column in narrow.columns] == ["task", "scratch", "linear_probe", "full_finetune"]
    assert narrow.row_count == len(wide.columns) - 1
