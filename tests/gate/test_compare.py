import dataclasses
import math

import numpy as np
import pytest

from bench.errors import BLIND, INCOMPLETE, REGRESSED
from bench.gate.against import ONE_PAIR
from bench.gate.baseline import Row
from bench.gate.compare import OtherSuite, compare
from bench.gate.fingerprint import Fingerprint
from bench.gate.pairs import Rule

from .nights import HERE, MARK, ORIGIN, RULE, accepted, names, night

NAN = math.nan
LEVELS = np.array([[0.70, 0.72, 0.71, 0.69, 0.73], [0.60, 0.61, 0.62, 0.59, 0.60]])
WIGGLE = np.array([[1, -2, 0, 2, -1], [-1, 0, 2, -2, 1]]) / 1000
CELLS = names(1, 2)


def words(result):
    return [verdict.word for verdict in result.verdicts]


def judged(after, before=LEVELS, rule=RULE, cells=CELLS, **more):
    return compare(accepted(before, CELLS), night(np.asarray(after), cells, **more), rule, "b.json")


def test_by_hand():
    # Cell 0 falls by 5 points, give or take: differences of -5 + (.1 -.2 0 .2 -.1); cell 1 stays within the margin.
    result = judged(LEVELS + WIGGLE - np.array([[0.05], [0.0]]))
    fell, same = result.verdicts
    assert words(result) == ["regressed", "equivalent"]
    assert (fell.n, fell.before, fell.after) == (5, pytest.approx(0.71), pytest.approx(0.66))
    assert fell.change == pytest.approx(-5)
    assert fell.low < -5 < fell.high < -4
    assert fell.p < 1e-6 < same.p
    assert result.exit_code == REGRESSED
    assert (result.suite, result.method, result.margin, result.must_see, result.baseline) == (
        "small", "pairs", 0.5, 2.0, "b.json"
    )  # fmt: skip
    assert judged(LEVELS + WIGGLE + np.array([[0.05], [0.0]])).verdicts[0].word == "improved"


def test_equal_to_the_bit_is_identical_whatever_the_neighbours_do():
    result = judged(LEVELS + WIGGLE * np.array([[1], [0]]))
    assert words(result) == ["equivalent", "identical"]
    assert result.verdicts[1].change == 0
    assert judged(LEVELS).exit_code == 0


def test_what_equal_cells_could_have_shown_is_reckoned_with_the_scatter_of_their_repeats():
    """A drop brings noise along; one image, all that equal pairs know of, would promise too much."""
    by_hand = [RULE.margin + shift * 100 * np.std(row, ddof=1) / 5**0.5 for row in LEVELS for shift in [3.5]]
    assert judged(LEVELS).smallest == pytest.approx(max(by_hand), rel=0.15)
    calm = LEVELS.mean(axis=1, keepdims=True) + np.zeros((1, 5))
    assert judged(calm).smallest < judged(LEVELS).smallest


def test_what_only_rounds_differently_is_identical():
    assert words(judged(LEVELS + 1e-11)) == ["identical", "identical"]


def test_a_machine_that_repeats_itself_still_sees_one_strategy_fall():
    """23 cells equal to the bit, as on one CPU, must not drown the one that a change has hit."""
    cells, rng = names(2, 12), np.random.default_rng(0)
    before = rng.uniform(0.6, 0.8, (24, 5))
    after = before.copy()
    after[3] += [-0.020, -0.031, -0.012, -0.024, -0.017]
    result = compare(accepted(before, cells), night(after, cells), RULE)
    assert [v.cell for v in result.of(["regressed"])] == [cells[3]]
    assert result.count("identical") == 23


def test_one_pair_is_inconclusive_and_says_so():
    result = judged((LEVELS - 0.3)[:, :1], LEVELS[:, :1])
    assert words(result) == ["inconclusive"] * 2
    assert result.verdicts[0].reason == ONE_PAIR
    assert len(result.blind) == 2
    assert math.isnan(result.verdicts[0].smallest)
    assert math.isnan(result.smallest)


def test_pairs_are_made_over_shared_repeats():
    after = LEVELS + WIGGLE
    after[0, :2] = NAN
    result = judged(after)
    assert [verdict.n for verdict in result.verdicts] == [3, 5]
    assert result.verdicts[0].reason == "no record of repeat 0, 1"
    assert result.verdicts[0].before == pytest.approx(LEVELS[0, 2:].mean())


def test_missing_and_new():
    cells = [CELLS[0], dataclasses.replace(CELLS[1], strategy="another")]
    result = judged(LEVELS, cells=cells)
    assert [(v.cell.strategy, v.word) for v in result.verdicts] == [
        ("way0", "identical"), ("another", "new"), ("way1", "missing")
    ]  # fmt: skip
    assert result.verdicts[2].reason == "tonight's plan does not have it"
    assert result.verdicts[1].after == pytest.approx(0.604)
    assert result.exit_code == REGRESSED
    assert judged(LEVELS, cells=cells, rule=Rule(0.5, 2, fail_on=("regressed",))).exit_code == BLIND


def test_no_record_at_all_is_missing():
    after = LEVELS.copy()
    after[1] = NAN
    result = judged(after)
    assert words(result) == ["identical", "missing"]
    assert result.verdicts[1].reason == "no record of repeat 0, 1, 2, 3, 4"
    assert result.verdicts[1].went_wrong, "a run that is over leaves a record of whatever could begin"
    assert result.exit_code == 3


def cell_of(tonight, **more):
    first, *rest = tonight.cells
    return dataclasses.replace(tonight, cells=(dataclasses.replace(first, **more), *rest))


def against(tonight, before=LEVELS, rule=RULE):
    return compare(accepted(before, CELLS), tonight, rule)


def test_what_went_wrong_is_missing_and_another_exit_code():
    result = against(cell_of(night(LEVELS, CELLS), rows=(), failures={r: "oom: x" for r in range(5)}))
    assert words(result) == ["missing", "identical"]
    assert result.verdicts[0].went_wrong
    assert result.verdicts[0].reason == "repeat 0, 1, 2, 3, 4 went wrong: oom: x"
    assert result.exit_code == INCOMPLETE


def test_one_failed_repeat_leaves_the_others_to_compare_and_is_told():
    tonight = night(LEVELS + WIGGLE, CELLS)
    result = against(cell_of(tonight, rows=tonight.cells[0].rows[1:], failures={0: "diverged"}))
    assert result.verdicts[0].n == 4
    assert result.verdicts[0].word == "equivalent"
    assert result.verdicts[0].reason == "repeat 0 went wrong: diverged"
    assert result.exit_code == INCOMPLETE


def test_a_strategy_that_no_longer_fits_is_missing_and_one_that_never_did_is_left_out():
    unfit = cell_of(night(LEVELS, CELLS), rows=(), unfit="needs a head")
    result = against(unfit)
    assert words(result) == ["missing", "identical"]
    assert result.verdicts[0].reason == "not applicable tonight: needs a head"
    assert result.exit_code == REGRESSED
    other = dataclasses.replace(unfit.cells[0], name=dataclasses.replace(CELLS[0], strategy="another"))
    assert words(against(dataclasses.replace(unfit, cells=(*night(LEVELS, CELLS).cells, other)))) == ["identical"] * 2


def test_a_new_cell_that_fails_is_missing():
    fresh = dataclasses.replace(
        night(LEVELS, CELLS).cells[0], name=dataclasses.replace(CELLS[0], strategy="another"), rows=(),
        failures={0: "oom"},
    )  # fmt: skip
    result = against(dataclasses.replace(night(LEVELS, CELLS), cells=(*night(LEVELS, CELLS).cells, fresh)))
    assert (result.verdicts[2].word, result.verdicts[2].went_wrong) == ("missing", True)


@pytest.mark.parametrize(("part", "said"), [
    ("data", "other data"), ("weights", "other weights"), ("settings", "other settings")
])  # fmt: skip
def test_incomparable_says_why(part, said):
    mark = dataclasses.replace(MARK, **{part: "0" * 8})
    result = judged(LEVELS - 0.5, mark=mark)
    assert words(result) == ["incomparable"] * 2
    assert result.verdicts[0].reason == said
    assert result.exit_code == BLIND
    assert result.notes[0] == "No cell could be compared, so nothing is known about tonight."


def test_another_metric_is_incomparable():
    tonight = night(LEVELS, CELLS)
    rows = tuple(dataclasses.replace(row, metric="mean_per_class") for row in tonight.cells[0].rows)
    result = against(cell_of(tonight, rows=rows))
    assert result.verdicts[0].reason == "metric accuracy -> mean_per_class"


OTHER = dataclasses.replace(ORIGIN, environment=dataclasses.replace(HERE, device="A GPU", versions=("2.0",) * 6))


def test_another_environment_is_incomparable_unless_asked_for():
    result = judged(LEVELS, origin=OTHER)
    assert words(result) == ["incomparable"] * 2
    assert result.verdicts[0].reason.startswith("device cpu -> A GPU, torch 1.0 -> 2.0, torchvision")
    across = judged(LEVELS, origin=OTHER, rule=Rule(0.5, 2.0, across_environments=True))
    assert words(across) == ["identical"] * 2
    assert any("Compared across environments" in note and "torch 1.0 -> 2.0" in note for note in across.notes)
    assert not any("across" in note for note in judged(LEVELS).notes)


def test_a_baseline_of_another_suite_is_refused():
    with pytest.raises(OtherSuite, match="the baseline is of the suite 'other', tonight is 'small'"):
        compare(dataclasses.replace(accepted(LEVELS, CELLS), suite="other"), night(LEVELS, CELLS), RULE)


def test_notes_tell_what_could_have_been_seen():
    result = judged(LEVELS + WIGGLE)
    assert result.notes == (
        "2 cells compared by 5 pairs each: regressed means surely more than 0.5 points worse.",
    )
    rng = np.random.default_rng(0)
    noisy = judged(LEVELS + rng.normal(0, 0.05, LEVELS.shape))
    assert len(noisy.blind) == 2, "what outputs say of a gate that could not have seen a drop"
    assert judged(LEVELS).blind == [], "what is equal to the bit has not dropped"
    assert "fewer than 5 pairs" in judged(LEVELS[:, :3], LEVELS[:, :3]).notes[-1]


def test_notes_tell_what_was_let_through():
    tonight = dataclasses.replace(
        night(LEVELS, CELLS), stand_ins=("dataset x: near",),
        origins=(ORIGIN, dataclasses.replace(ORIGIN, code="0" * 16)),
    )  # fmt: skip
    baseline = dataclasses.replace(accepted(LEVELS, CELLS), allowed=("dirty",))
    said = " ".join(compare(baseline, tonight, RULE).notes)
    assert "STAND-IN" in said
    assert "2 versions of the code" in said
    assert "in spite of this: dirty" in said


def test_facts_name_both_sides():
    found = judged(LEVELS).facts
    assert found["baseline commit"] == found["tonight's commit"] == "c" * 40
    assert found["baseline environment"] == found["tonight's environment"] == str(HERE)
    assert found["baseline accepted"] == "1970-01-01T00:00:00Z"


def test_the_floor_is_one_image_of_the_smallest_test_set_or_the_step_that_was_seen():
    """All pairs fall by the same half a point: certain only as far as one image is small against it."""
    after = LEVELS - 0.008
    small, large = (
        compare(accepted(LEVELS, CELLS, num_test=n), night(after, CELLS, num_test=n), RULE) for n in (50, 10_000)
    )
    assert words(large) == ["regressed"] * 2
    assert words(small) == ["inconclusive"] * 2
    unknown = compare(accepted(LEVELS, CELLS, num_test=None), night(after, CELLS, num_test=None), RULE)
    assert large.smallest < unknown.smallest < small.smallest


def test_parts_of_a_mark_are_told_apart():
    assert Fingerprint("a" * 8, "b" * 8, "c" * 8).differences(Fingerprint("a" * 8, "0" * 8, "0" * 8)) == [
        "weights", "settings"
    ]  # fmt: skip
    assert isinstance(accepted(LEVELS, CELLS).rows[0], Row)
