import dataclasses

import numpy as np
import pytest

from bench.gate.baseline import read, write
from bench.gate.history import ENOUGH, compare_with_history, keep, nights
from bench.gate.pairs import Rule

from .nights import HERE, MARK, ORIGIN, RULE, accepted, names, night

CELLS = names(2, 3)
GPU = dataclasses.replace(ORIGIN, environment=dataclasses.replace(HERE, device="A GPU"))


def table(rng, sd=0.003):
    return 0.7 + rng.normal(0, sd, (len(CELLS), 5))


def past(count, seed=0, sd=0.003, **more):
    rng = np.random.default_rng(seed)
    return [accepted(table(rng, sd), CELLS, **more) for _ in range(count)]


def tonight(seed=99, sd=0.003, drop=0.0, **more):
    scores = table(np.random.default_rng(seed), sd)
    scores[1] -= drop
    return night(scores, CELLS, **more)


def words(result):
    return [verdict.word for verdict in result.verdicts]


def test_nights_are_kept_in_order_under_time_and_commit(tmp_path):
    late = keep(tmp_path, tonight(), "2001-02-03T04:05:06Z")
    dirty = dataclasses.replace(ORIGIN, dirty=True)
    early = keep(tmp_path, tonight(origin=dirty), "2001-02-02T04:05:06Z")
    assert late == tmp_path / "small" / "20010203T040506Z-cccccccccccc.json"
    assert early.name == "20010202T040506Z-ffffffffffffffff.json"
    found = nights(tmp_path, "small")
    assert found.files == (early, late)
    assert [night.accepted for night in found.nights] == ["2001-02-02T04:05:06Z", "2001-02-03T04:05:06Z"]
    assert found.nights[1] == read(late)
    assert found.damaged == ()


def test_damaged_nights_are_named_and_skipped(tmp_path):
    whole = keep(tmp_path, tonight(), "1")
    (tmp_path / "small" / "0.json").write_text("{")
    (tmp_path / "small" / ".tmp-x.json").write_text("{")
    write(tmp_path / "small" / "3.json", dataclasses.replace(past(1)[0], suite="other"))
    found = nights(tmp_path, "small")
    assert found.files == (whole,)
    assert [line.partition(": ")[2] for line in found.damaged] == [
        "torn or not JSON: line 1 column 2: Expecting property name enclosed in double quotes", "of the suite 'other'"
    ]  # fmt: skip
    assert nights(tmp_path, "nowhere").nights == ()


def test_with_too_few_nights_nothing_is_comparable():
    result = compare_with_history(past(19), tonight(), RULE)
    assert result.exit_code == 4
    assert {v.reason for v in result.verdicts} == {"19 comparable nights that differ, of the 20 needed"}
    assert compare_with_history([], tonight(), RULE).exit_code == 4


@pytest.mark.parametrize("more", [{"origin": GPU}, {"mark": dataclasses.replace(MARK, data="0" * 8)}])
def test_only_comparable_nights_count(more):
    assert compare_with_history([*past(5, **more), *past(19)], tonight(), RULE).exit_code == 4


def test_nights_that_repeat_each_other_are_one():
    """A machine that repeats itself says nothing of the noise: 40 nights of two versions of the code are two draws, and
    a third version that moves every score a little is no regression."""
    one, other = past(2)
    result = compare_with_history([one] * 20 + [other] * 20, tonight(drop=0.002), RULE)
    assert result.exit_code == 4
    assert "2 comparable nights that differ" in result.verdicts[0].reason


def test_across_environments_counts_them_and_says_so():
    before = [*past(19), *past(5, origin=GPU)]
    result = compare_with_history(before, tonight(), Rule(0.5, 2.0, across_environments=True))
    assert "device A GPU -> cpu" in result.notes[-1]


def test_a_drop_is_judged_by_the_nights():
    before = past(ENOUGH)
    result = compare_with_history(before, tonight(drop=0.03), RULE, "nights")
    fell = result.verdicts[1]
    assert [v.cell for v in result.of(["regressed"])] == [CELLS[1]]
    means = [100 * np.mean([r.score for r in one.cells()[CELLS[1]]]) for one in before]
    # t(.975, 19) = 2.0930 times the sd of one night against the mean of 20
    half = 2.0930 * np.std(means, ddof=1) * np.sqrt(1 + 1 / 20)
    assert fell.change == pytest.approx(100 * fell.after - np.mean(means))
    assert fell.high - fell.change == pytest.approx(half, rel=1e-4)
    assert fell.n == 5
    assert (result.method, result.baseline) == ("history", "nights")
    assert result.facts["nights"] == "20 kept, up to 20 comparable and different"


def test_equal_nights_are_identical():
    before = [*past(ENOUGH), *past(3, sd=0.0)]
    result = compare_with_history(before, tonight(sd=0.0), RULE)
    assert words(result) == ["identical"] * 6
    assert all(verdict.smallest > RULE.margin for verdict in result.verdicts)
    # One cell alone falls, by more than nights scatter.
    result = compare_with_history(before, tonight(sd=0.0, drop=0.02), RULE)
    assert words(result) == ["identical", "regressed", *["identical"] * 4]
    assert words(compare_with_history(past(1, sd=0.0), tonight(sd=0.0), RULE)) == ["identical"] * 6


def test_a_cell_is_compared_over_tonights_repeats():
    before = past(ENOUGH)
    scores = 0.7 + np.zeros((6, 5))
    scores[0, 1:] = np.nan
    result = compare_with_history(before, night(scores, CELLS), RULE)
    assert result.verdicts[0].n == 1
    firsts = [one.cells()[CELLS[0]][0].score for one in before]
    assert result.verdicts[0].before == pytest.approx(np.mean(firsts))


def test_fewer_repeats_than_the_nights_before_see_less():
    before = [*past(ENOUGH), *past(1, sd=0.0)]
    scores = 0.7 + np.zeros((6, 5))
    rule = Rule(0.5, 9.0)
    assert compare_with_history(before, night(scores, CELLS), rule).exit_code == 0
    fewer = compare_with_history(before, night(scores[:, :1], CELLS), rule)
    assert (words(fewer), fewer.exit_code) == (["identical"] * 6, 4)
    moved = compare_with_history(before, night(scores[:, :1] + 0.001, CELLS), rule)
    assert (moved.count("identical"), moved.exit_code) == (0, 4)
    before.append(accepted(scores[:, :1], CELLS))
    assert compare_with_history(before, night(scores[:, :1], CELLS), rule).exit_code == 4, "nor the night after"


def test_cells_without_enough_nights():
    before = past(ENOUGH)
    rows = tuple(row for row in before[0].rows if row.cell != CELLS[0])
    before[0] = dataclasses.replace(before[0], rows=rows)  # 19 nights have it
    cells = [*CELLS[:2], dataclasses.replace(CELLS[2], strategy="another"), *CELLS[3:]]
    now = night(table(np.random.default_rng(5)), cells)
    broken = dataclasses.replace(now.cells[3], rows=(), failures={0: "oom"})
    other = dataclasses.replace(now.cells[4], fingerprint=dataclasses.replace(MARK, settings="0" * 8))
    now = dataclasses.replace(now, cells=(*now.cells[:3], broken, other, now.cells[5]))
    result = compare_with_history(before, now, RULE)
    found = {verdict.cell: (verdict.word, verdict.reason) for verdict in result.verdicts}
    assert found[CELLS[0]] == ("incomparable", "19 comparable nights that differ, of the 20 needed")
    assert found[cells[2]] == ("new", "")
    assert found[CELLS[3]] == ("missing", "repeat 0 went wrong: oom")
    assert found[CELLS[4]] == ("incomparable", "other settings")
    assert found[CELLS[2]] == ("missing", "tonight's plan does not have it")
    assert result.verdicts[-1].cell == CELLS[2]


def test_unchanged_nights_raise_no_alarm_and_drops_are_caught():
    """The table of the README: 24 cells, a night's mean moves by 0.6 / sqrt(5) points."""
    rng, cells = np.random.default_rng(0), names(4, 6)
    alarms = hits = 0
    for _ in range(60):
        before = [accepted(0.7 + rng.normal(0, 0.006, (24, 5)), cells) for _ in range(ENOUGH)]
        now = 0.7 + rng.normal(0, 0.006, (24, 5))
        alarms += compare_with_history(before, night(now, cells), RULE).count("regressed") > 0
        now[3] -= 0.02
        hits += compare_with_history(before, night(now, cells), RULE).verdicts[3].word == "regressed"
    assert alarms <= 3
    assert hits >= 54
