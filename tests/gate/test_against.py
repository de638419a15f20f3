"""What is known without a test, what only looks like it, and the mean of all cells."""

import dataclasses

import numpy as np
import pytest

from bench.gate.accept import snapshot
from bench.gate.against import mean_margin
from bench.gate.compare import compare
from bench.gate.lineage import descended
from bench.gate.pairs import Pairs, Rule, sort_out

from .nights import HERE, MARK, ORIGIN, accepted, names, night

RULE = Rule(0.25, 3.0)
CELLS = names(4, 6)


def table(rng, cells=24):
    return np.round(rng.uniform(0.7, 0.9, (cells, 5)), 3)


def with_rows(tonight, change):
    """`change(cell's number, repeat)` gives fields of a row."""
    return dataclasses.replace(tonight, cells=tuple(
        dataclasses.replace(cell, rows=tuple(dataclasses.replace(row, **change(n, row.repeat)) for row in cell.rows))
        for n, cell in enumerate(tonight.cells)
    ))  # fmt: skip


def fell(before, points, cell=7):
    after = before.copy()
    after[cell] -= np.array(points) / 100
    return after


def held(before, after, **more):
    return compare(accepted(before, CELLS), night(after, CELLS, **more), RULE)


BEFORE = table(np.random.default_rng(0))


def test_a_change_that_is_no_chance_is_named_with_its_repeats():
    result = held(BEFORE, fell(BEFORE, [0, 2, 0, 30, 0]))
    (row,) = result.of(["regressed"])
    assert row.reason == (
        "no chance: this machine repeats itself to the bit; "
        f"repeat 3 {100 * BEFORE[7, 3]:.2f} -> {100 * BEFORE[7, 3] - 30:.2f} %, "
        f"repeat 1 {100 * BEFORE[7, 1]:.2f} -> {100 * BEFORE[7, 1] - 2:.2f} %"
    )
    assert row.change == pytest.approx(-6.4)
    assert row.smallest == RULE.margin
    assert (result.count("identical"), result.exit_code) == (23, 1)
    assert held(BEFORE, fell(BEFORE, [0, 0, 0, -30, 0])).count("improved") == 1
    within = held(BEFORE, fell(BEFORE, [0, 0, 1.2, 0, 0]))
    assert (within.count("equivalent"), within.exit_code) == (1, 0)


def test_an_image_in_each_repeat_may_be_rounding():
    after = fell(BEFORE, [0, 1, 0, 1, 0])
    assert compare(accepted(BEFORE, CELLS, num_test=100), night(after, CELLS, num_test=100), RULE).exit_code == 0
    assert held(BEFORE, after).exit_code == 1, "of 10,000 images these are a hundred"


@pytest.mark.parametrize(("points", "word"), [
    ([0, 0, 1, 0, 0], "equivalent"), ([0, 0, 3, 0, 0], "regressed"), ([0, 2, 0, 1, 0], "regressed"),
    ([-1, -1, 0, -1, -1], "equivalent"), ([0, 0, -3, 0, 0], "improved"),
])  # fmt: skip
def test_rounding_is_an_image_in_the_repeats_that_moved_and_no_other(points, word):
    before = np.round(BEFORE, 2)
    result = compare(accepted(before, CELLS, num_test=100), night(fell(before, points), CELLS, num_test=100), RULE)
    assert result.verdicts[7].word == word


@pytest.mark.parametrize("other", [
    dataclasses.replace(ORIGIN, device_model="another processor"),
    dataclasses.replace(ORIGIN, environment=dataclasses.replace(HERE, versions=("2.0",) * 6)),
])  # fmt: skip
def test_another_place_may_round_otherwise(other):
    rule = dataclasses.replace(RULE, across_environments=True)
    result = compare(accepted(BEFORE, CELLS), night(fell(BEFORE, [0, 0, 0, 30, 0]), CELLS, origin=other), rule)
    assert result.verdicts[7].word == "inconclusive"


def half_noisy(rng):
    """Two ways of six are computed in an order that changes from night to night, three others draw near 100 %."""
    after = BEFORE + np.where((np.arange(24) % 6 < 2)[:, None], 0.006 * rng.normal(size=BEFORE.shape), 0)
    return np.round(after, 3)


def strategy_rounded(rng):
    """One way of six has other arithmetic, so that all of its trainings end elsewhere."""
    return np.round(BEFORE + np.where((np.arange(24) % 6 == 1)[:, None], 0.006 * rng.normal(size=BEFORE.shape), 0), 4)


@pytest.mark.parametrize("drawn", [half_noisy, strategy_rounded])
def test_noise_in_some_cells_is_tested_as_noise(drawn):
    """40 nights; by their means alone, most would be red."""
    rng = np.random.default_rng(1)
    losses = {(n, r): {"loss": float(rng.random())} for n in range(24) for r in range(5)}

    def other(after):
        return lambda n, r: losses[n, r] if (after[n] == BEFORE[n]).all() else {"loss": float(rng.random())}

    first = accepted(BEFORE, CELLS)
    first = dataclasses.replace(first, rows=tuple(
        dataclasses.replace(row, **losses[CELLS.index(row.cell), row.repeat]) for row in first.rows))  # fmt: skip
    nights = [drawn(rng) for _ in range(40)]
    red = sum(compare(first, with_rows(night(a, CELLS), other(a)), RULE).exit_code == 1 for a in nights)
    by_means = sum((100 * (a - BEFORE).mean(axis=1) < -RULE.margin).any() for a in nights)
    assert red <= 2
    assert by_means >= 12


def test_scores_that_are_equal_by_chance_are_not_equal_to_the_bit():
    """A task that all solve: 100 %, night after night, while the other tasks are noise."""
    rng = np.random.default_rng(3)
    easy = np.ones((12, 5))
    before, after = (np.concatenate([easy, np.round(0.8 + 0.006 * rng.normal(size=(12, 5)), 3)]) for _ in range(2))
    after[20] = before[20] - [0, 0.002, 0.009, 0, 0.007]
    base = accepted(before, CELLS)
    base = dataclasses.replace(base, rows=tuple(dataclasses.replace(row, loss=0.1) for row in base.rows))
    tonight = with_rows(night(after, CELLS), lambda n, r: {"loss": 0.2})
    assert compare(base, tonight, RULE).verdicts[20].word == "inconclusive"
    assert compare(accepted(before, CELLS), tonight, RULE).verdicts[20].word == "inconclusive", "an old file has none"
    assert compare(accepted(before, CELLS), night(after, CELLS), RULE).verdicts[20].word == "regressed", "closed forms"


def coarse(rng):
    """A night of 500 images near 100 % on a machine that does not repeat itself; a few trainings collapse."""
    scores = (rng.binomial(500, 0.9995, (24, 5)) / 500) - 0.12 * (rng.random((24, 5)) < 0.005)
    return with_rows(night(scores, CELLS, num_test=500), lambda n, r: {"loss": float(rng.random())})


@pytest.mark.parametrize("kind", ["lineage", "old file"])
def test_unchanged_nights_of_coarse_scores_are_not_red(kind):
    """Nor are scores equal to the bit against a lineage's beginning, or a file of before losses were kept."""
    red = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        baseline = snapshot(coarse(rng), "night 1")
        if kind == "lineage":
            second = coarse(rng)
            held = compare(baseline, second, RULE)
            baseline = descended(snapshot(second, "night 2"), baseline, held)
        else:
            baseline = dataclasses.replace(baseline, rows=tuple(
                dataclasses.replace(row, loss=None) for row in baseline.rows))  # fmt: skip
        red += compare(baseline, coarse(rng), RULE).exit_code == 1
    assert red <= 2


def test_a_file_without_losses_still_sees_what_is_identical():
    tonight = with_rows(night(BEFORE, CELLS), lambda n, r: {"loss": 0.2})
    result = compare(accepted(BEFORE, CELLS), tonight, RULE)
    assert (result.count("identical"), result.unseen, result.exit_code) == (24, [], 0)


def test_the_mean_of_all_by_hand():
    # Each repeat of each cell falls by 0.5 points, and cells of a repeat by as much as each other.
    shift = np.array([0.4, 0.6, 0.5, 0.45, 0.55]) / 100
    result = held(BEFORE, BEFORE - shift)
    mean = result.mean
    assert mean.cell.strategy == "mean of all 24 cells"
    assert (mean.word, mean.n, mean.change) == ("regressed", 5, pytest.approx(-0.5))
    assert result.mean_margin == pytest.approx(0.25 / 2), "four tasks that move each for itself"
    # sd .079, error .0354, t(.975, 4) = 2.7764
    assert mean.high - mean.low == pytest.approx(2 * 2.7764 * 0.0353553, rel=1e-3)
    # t = (.5 - .125) / .0354 = 10.6 with 4 degrees of freedom; 30 % of a night's 5 % are the mean's
    assert mean.p == pytest.approx(2.24e-4 / 0.3, rel=0.02)
    assert result.exit_code == 1
    assert compare(accepted(BEFORE, CELLS), night(BEFORE - shift, CELLS),
                   dataclasses.replace(RULE, fail_on=("missing",))).exit_code == 0  # fmt: skip


def test_the_mean_is_of_the_cells_that_have_all_repeats():
    after = BEFORE.copy()
    after[3, 2] = np.nan
    assert held(BEFORE, after).mean.cell.strategy == "mean of 23 of 24 cells"
    assert held(BEFORE, BEFORE).mean.word == "identical"
    one = held(BEFORE[:, :1], np.random.default_rng(0).permutation(BEFORE)[:, :1])
    assert one.mean.word == "inconclusive"
    assert compare(accepted(BEFORE, CELLS), dataclasses.replace(night(BEFORE, CELLS), cells=()), RULE).mean is None


def test_the_mean_is_over_the_repeats_that_most_cells_share():
    after = BEFORE - np.array([0.4, 0.6, 0.5, 0.45, 0.55]) / 100
    after[1:, 4] = np.nan
    result = held(BEFORE, after)
    assert (result.mean.cell.strategy, result.mean.n, result.mean.word) == ("mean of all 24 cells", 4, "regressed")
    assert not result.mean.is_whole
    after[6:, :2] = np.nan
    after[:6] = BEFORE[:6]
    most = held(BEFORE, after)
    assert (most.mean.cell.strategy, most.mean.n, most.mean_margin) == ("mean of all 24 cells", 2, 0.125)


def test_the_mean_has_the_margin_of_its_cells_and_is_not_called_all():
    after = BEFORE.copy()
    after[6:12, 4], after[12:18, 3], after[18:, :3] = np.nan, np.nan, np.nan
    result = held(BEFORE, after)
    assert (result.mean.cell.strategy, result.mean.n, result.mean_margin) == ("mean of 6 of 24 cells", 5, 0.25)
    other = night(BEFORE, CELLS)
    marks = [cell.fingerprint for cell in other.cells[:1]] + [dataclasses.replace(MARK, settings="6" * 8)] * 23
    other = dataclasses.replace(other, cells=tuple(
        dataclasses.replace(cell, fingerprint=mark) for cell, mark in zip(other.cells, marks, strict=True)
    ))  # fmt: skip
    alone = compare(accepted(BEFORE, CELLS), other, RULE)
    assert (alone.mean.cell.strategy, alone.mean_margin) == ("mean of 1 of 24 cells", 0.25)


def test_the_means_margin_grows_with_nothing_but_fewer_tasks():
    def pairs(groups, size):
        base = accepted(table(np.random.default_rng(0), groups * size), names(groups, size))
        cells = night(table(np.random.default_rng(0), groups * size), names(groups, size)).cells
        return [sort_out(cell, base.cells()[cell.name], base.environment, RULE) for cell in cells]

    assert all(isinstance(one, Pairs) for one in pairs(1, 3))
    assert [mean_margin(pairs(*shape), 0.3) for shape in [(1, 3), (4, 6), (9, 2)]] == pytest.approx([0.3, 0.15, 0.1])


def test_other_rates_and_weights_are_named():
    def at(rates, weights="1a", **more):
        return lambda n, r: {"lr": rates[r], "weights": weights, **more}

    base = night(BEFORE, CELLS)
    base = with_rows(base, at([0.01, 0.01, 0.03, 0.01, 0.01]))
    before = accepted(BEFORE, CELLS)
    before = dataclasses.replace(before, rows=tuple(row for cell in base.cells for row in cell.rows))
    tonight = with_rows(night(BEFORE, CELLS), at([0.01, 0.003, 0.03, 0.003, 0.1], "2b"))
    reason = compare(before, tonight, RULE).verdicts[0].reason
    assert reason == (
        "rate 0.01 -> 0.003 in repeats 1, 3; rate 0.01 -> 0.1 in repeat 4; pretrained weights 1a -> 2b"
    )
    assert compare(before, tonight, RULE).notes[-1].startswith("24 cells had other pretrained weights than the")
    shared = dataclasses.replace(tonight, cells=tuple(
        dataclasses.replace(cell, searches_once=True) for cell in tonight.cells))  # fmt: skip
    assert "in repeats 1, 3, which share one search" in compare(before, shared, RULE).verdicts[0].reason
    penalized = with_rows(night(BEFORE, CELLS), lambda n, r: {"penalty": 10.0 if r else 1.0})
    closed = dataclasses.replace(before, rows=tuple(
        dataclasses.replace(row, lr=None, weights=None, penalty=1.0) for row in before.rows))  # fmt: skip
    assert compare(closed, penalized, RULE).verdicts[0].reason == "penalty 1 -> 10 in repeats 1, 2, 3, 4"
    assert compare(accepted(BEFORE, CELLS), tonight, RULE).verdicts[0].reason == "", "old files do not say"
