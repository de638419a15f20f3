"""Distances between samples, against scikit-learn, the normal distribution, loops by hand, and samples of one set."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from bench.analysis.distances import distances
from bench.solve.two_samples import held_out_errors, squared_mmd
from bench.store.results import Distance

torch.set_num_threads(1)

PENALTY = 0.001


def two(num, shift, dim=3, seed=0):
    """Gaussian clouds, `shift` standard deviations apart."""
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randn(2 * num, dim, generator=draw, dtype=torch.float64)
    rows[num:, 0] += shift
    return rows, torch.arange(2).repeat_interleave(num), torch.arange(2 * num) % 5


@pytest.mark.parametrize(("num", "dim"), [(100, 4), (30, 80)])
def test_each_fold_is_judged_by_scikit_learns_fit_on_the_others(num, dim):
    from sklearn.linear_model import LogisticRegression

    rows, side, fold = two(num, 0.8, dim)
    ours = held_out_errors(rows, side, 2, fold, PENALTY)
    for number in range(5):
        train, held = fold != number, fold == number
        mean = rows[train].mean(0)
        scale = (rows[train] - mean).square().sum(1).mean().sqrt()
        z = ((rows - mean) / scale).numpy()
        # Of two classes they have one row of weights, we have two that are each other's opposite.
        theirs = LogisticRegression(C=2 / (PENALTY * int(train.sum())), tol=1e-10, max_iter=10_000)
        theirs.fit(z[train], side[train].numpy())
        assert np.array_equal(ours[held].numpy(), theirs.predict(z[held]) != side[held].numpy())
    assert 0 < ours.double().mean() < 0.5


@pytest.mark.parametrize("shift", [0.5, 1.5, 3.0])
def test_the_error_is_that_of_the_best_line_between_two_gaussian_clouds(shift):
    """Bayes' error is the normal share beyond half of the shift."""
    rows, side, fold = two(4000, shift)
    best = 0.5 * math.erfc(shift / 2 / math.sqrt(2))
    found = float(held_out_errors(rows, side, 2, fold, PENALTY).double().mean())
    assert found == pytest.approx(best, abs=4 * math.sqrt(best / 8000))


def test_two_samples_of_one_set_are_nowhere_apart():
    """Of 100 pairs, intervals miss in about five at the most; held to twice that, which chance passes once in 100."""
    missed = {"distance": 0, "mmd": 0}
    for seed in range(100):
        rows, side, fold = two(60, 0.0, 8, seed)
        error = float(held_out_errors(rows, side, 2, fold, PENALTY).double().mean())
        mmd, spread = squared_mmd(rows[:60], rows[60:])
        told = Distance(num=60, folds=5, features=error, mmd=mmd, mmd_error=spread)
        row = {"dataset": "near", "budget": "5", "backbone": "small", "strategy": "linear_probe", "lesson": "source",
               "weights": "ab", "status": "ok", "repeat": 0, "distance": told}  # fmt: skip
        (pair,) = distances(pd.DataFrame([row])).pairs
        missed["distance"] += not pair.features.low <= 0 <= pair.features.high
        missed["mmd"] += not pair.mmd.low <= 0 <= pair.mmd.high
    assert missed["distance"] <= 10
    assert missed["mmd"] <= 10


def test_mmd_is_the_mean_over_pairs_and_its_error_leaves_one_out():
    rows, _, _ = two(7, 1.0)
    first, second = rows[:7].numpy(), rows[7:].numpy()

    def by_hand(kept, width):
        kernel = lambda a, b: math.exp(-float(((a - b) ** 2).sum()) / (2 * width))  # noqa: E731
        terms = [kernel(first[i], first[j]) + kernel(second[i], second[j]) - kernel(first[i], second[j])
                 - kernel(first[j], second[i]) for i in kept for j in kept if i != j]  # fmt: skip
        return sum(terms) / len(terms)

    every = [*first, *second]
    width = sorted(float(((a - b) ** 2).sum()) for n, a in enumerate(every) for b in every[:n])[(14 * 13 // 2 - 1) // 2]
    without = [by_hand([i for i in range(7) if i != out], width) for out in range(7)]
    found = squared_mmd(torch.from_numpy(first), torch.from_numpy(second))
    assert found == pytest.approx((by_hand(range(7), width), math.sqrt(6 * np.var(without))))


def test_mmd_has_no_bias_where_samples_are_alike_and_no_width_where_rows_are_equal():
    found = [squared_mmd(*two(10, 0.0, 2, seed)[0].split(10))[0] for seed in range(400)]
    assert abs(np.mean(found)) < 4 * np.std(found) / math.sqrt(400)
    assert min(found) < 0
    assert squared_mmd(torch.ones(5, 2), torch.ones(5, 2)) == (0.0, 0.0)
