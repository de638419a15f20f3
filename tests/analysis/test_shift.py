"""What is said of a further split: a mean, how far below the test score it lies, and both intervals."""

import math

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_rel

from bench.analysis.cells import cell_summary, records
from bench.analysis.shift import COLUMNS
from bench.analysis.terminal import cell_text
from tests.analysis.test_tables import finals

SCORES, SHIFTS = [0.98, 0.96, 0.99, 0.975], [0.70, 0.65, 0.74, 0.72]


def row_of(scores, shifts, **columns):
    frame = finals({("digits", "full_finetune"): scores}, **columns)
    (row,) = records(cell_summary(frame.assign(shift_score=shifts)))
    return row


def test_the_drop_is_a_paired_difference_as_scipy_has_it():
    row = row_of(SCORES, SHIFTS)
    theirs = ttest_rel(SCORES, SHIFTS).confidence_interval()
    assert row["drop"] == pytest.approx(np.mean(SCORES) - np.mean(SHIFTS), abs=1e-12)
    assert (row["drop_low"], row["drop_high"]) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_the_score_has_wilsons_interval_with_the_repeats_own_spread():
    row, mean = row_of(SCORES, SHIFTS), np.mean(SHIFTS)
    draws = mean * (1 - mean) / (np.var(SHIFTS, ddof=1) / 4)
    weight = student.ppf(0.975, 3) ** 2 / draws
    half = math.sqrt(mean * (1 - mean) * weight + weight**2 / 4) / (1 + weight)
    middle = (mean + weight / 2) / (1 + weight)
    assert row["shift"] == pytest.approx(mean, abs=1e-12)
    assert (row["shift_low"], row["shift_high"]) == pytest.approx((middle - half, middle + half), abs=1e-9)


def test_one_repeat_has_no_interval():
    row = row_of([0.9], [0.5])
    assert (row["shift"], row["drop"]) == pytest.approx((0.5, 0.4))
    assert all(math.isnan(row[name]) for name in COLUMNS if "_" in name)


def test_repeats_that_did_not_finish_count_nowhere():
    row = row_of([0.9, "failed", 0.8], [0.5, math.nan, 0.6])
    assert (row["shift"], row["drop"]) == pytest.approx((0.55, 0.3))


def test_where_some_repeats_collapsed_there_is_no_interval():
    frame = finals({("digits", "full_finetune"): SCORES}).assign(shift_score=SHIFTS, collapsed=[1.0, 0.0, 0.0, 0.0])
    (row,) = records(cell_summary(frame))
    assert row["shift"] == pytest.approx(np.mean(SHIFTS))
    assert all(math.isnan(row[name]) for name in COLUMNS if "_" in name)


def test_the_terminal_says_it_behind_the_score_and_nothing_where_there_is_none():
    assert cell_text(row_of(SCORES, SHIFTS)).endswith("(4), shift 70.2")
    assert "shift" not in cell_text(row_of(SCORES, [math.nan] * 4))
