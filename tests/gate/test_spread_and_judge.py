"""Formulas against numbers worked by hand, and against simulation where there is no hand for it."""

import math

import numpy as np
import pytest

from bench.analysis.statistics import Spread
from bench.gate.judge import Change, judge, smallest_drop
from bench.gate.spread import spreads


def columns(table):
    """[repeats, cells] -> cells by repeat."""
    return [dict(enumerate(column)) for column in np.asarray(table, dtype=float).T.tolist()]


def test_a_cell_alone_has_its_own_spread():
    assert spreads([{0: 1.0, 3: 2.0, 7: 3.0}], 0.0) == [Spread(1.0, 2.0)]


def test_cells_alike_share_one_spread():
    # Variances 1 and 1: pooled 1. Independent or the same, but for chance: 2 to 4 degrees of freedom.
    one, other = spreads(columns([[1, 3], [2, 1], [3, 2]]), 0.0)
    assert one == other
    assert one.sd == pytest.approx(1)
    assert 2 <= one.df <= 4


def test_copies_of_a_cell_bring_no_freedom():
    column = np.array([0.1, 0.3, 0.2, 0.6, 0.5])
    found = spreads(columns(np.stack([column] * 6, axis=1)), 0.0)
    assert found[0].df == pytest.approx(4)
    assert found[0].sd == pytest.approx(column.std(ddof=1))


def test_freedom_of_independent_cells_is_nearly_all_of_it():
    rng = np.random.default_rng(0)
    found = [spreads(columns(rng.normal(size=(5, 6))), 0.0)[0].df for _ in range(400)]
    assert 17 < np.median(found) <= 24


def test_a_cell_far_noisier_than_its_group_keeps_its_own():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(5, 8))
    table[:, 0] *= 20
    noisy, *rest = spreads(columns(table), 0.0)
    assert noisy.sd > 0.5 * table[:, 0].std(ddof=1)
    assert noisy.df < 8
    assert max(one.sd for one in rest) < 2


def test_the_floor_is_one_image():
    assert all(one.sd == pytest.approx(0.5) for one in spreads(columns([[1, 2], [1, 2], [1, 2]]), 0.5))
    assert spreads([{0: 1.0, 1: 1.0}], 0.0)[0].sd > 0  # nothing is certain, and nothing divides by zero


def test_cells_with_other_repeats_are_pooled_too():
    found = spreads([{0: 1.0, 1: 2.0, 2: 3.0}, {1: 5.0, 2: 6.0, 3: 7.0}], 0.0)
    assert [one.sd for one in found] == pytest.approx([1, 1])
    assert [one.df for one in found] == [2, 2]  # two repeats in common say nothing about moving together


# t(.95, 4) = 2.1318, t(.975, 4) = 2.7764


def test_one_sided_against_the_margin_by_hand():
    sure, unsure = (judge([Change(-0.5 - t, 1.0, 4)], 0.5)[0] for t in (2.14, 2.12))
    assert (sure.word, unsure.word) == ("regressed", "inconclusive")
    assert sure.p < 0.05 < unsure.p < 0.051
    assert judge([Change(0.5 + 2.14, 1.0, 4)], 0.5)[0].word == "improved"
    assert sure.low == pytest.approx(-2.64 - 2.7764, abs=1e-3)
    assert sure.high == pytest.approx(-2.64 + 2.7764, abs=1e-3)


def test_equivalent_by_two_one_sided_tests():
    assert judge([Change(0.0, 0.1, 4)], 0.2132)[0].word == "equivalent"
    assert judge([Change(0.0, 0.1, 4)], 0.2131)[0].word == "inconclusive"
    assert judge([Change(-0.1, 0.1, 4)], 0.2132)[0].word == "inconclusive"
    assert judge([Change(0.0, 0.1, 4)], 0.0)[0].word == "inconclusive"  # without a margin nothing is


def test_holm_counts_the_cells():
    still = [Change(0.0, 1.0, 24)] * 23
    alone, among = judge([Change(-3.0, 1.0, 24)], 0.5), judge([Change(-3.0, 1.0, 24), *still], 0.5)
    assert (alone[0].word, among[0].word) == ("regressed", "inconclusive")
    assert among[0].p == pytest.approx(24 * alone[0].p)
    assert judge([], 0.5) == []


def test_falls_and_rises_do_not_pay_for_each_other():
    fell, rose = judge([Change(-3.0, 1.0, 24), Change(3.0, 1.0, 24)], 0.5)
    assert fell.p == pytest.approx(rose.p)
    assert fell.p == pytest.approx(2 * judge([Change(-3.0, 1.0, 24)], 0.5)[0].p)


@pytest.mark.parametrize(("df", "tests"), [(4, 1), (4, 24), (24, 24)])
def test_smallest_drop_is_caught_four_times_out_of_five(df, tests):
    rng = np.random.default_rng(1)
    drop = smallest_drop(Spread(1.0, df), 5, 0.5, tests)
    others = [Change(0.0, 1.0, df)] * (tests - 1)
    hits = 0
    for _ in range(1000):
        error = math.sqrt(rng.chisquare(df) / df / 5)
        hits += judge([Change(-drop + rng.normal() / math.sqrt(5), error, df), *others], 0.5)[0].word == "regressed"
    assert 0.76 < hits / 1000 < 0.84
