"""How often and how typical, by hand and against scipy."""

import math

import numpy as np
import pytest
from scipy.stats import trim_mean

from bench.analysis.across import improvement, middle_half, profile, share
from bench.analysis.comparison import average
from bench.analysis.variance import Column, Estimate

from .planted import Planted, suite


def columns(table: list[list[float]] | np.ndarray) -> list[Column]:
    """[tasks, repeats]"""
    return [Column({r: float(one) for r, one in enumerate(row)}, {}) for row in table]


def middle(table: list[list[float]] | np.ndarray) -> Column:
    return middle_half([(f"d{t}", column) for t, column in enumerate(columns(table))])


def test_a_tie_counts_half() -> None:
    found = improvement(columns([[0.5, 0.6], [0.1, 0.3]]), columns([[0.4, 0.6], [0.2, 0.2]]))
    assert found.mean == (1 + 0.5 + 0 + 1) / 4
    assert (found.n, found.tasks) == (2, 2)
    assert improvement(columns([[0.1 + 0.2]]), columns([[0.3]])).mean == 0.5  # equal but for rounding


def test_the_interval_of_one_task_is_wilsons() -> None:
    """10 of 10, from tables: .722 to 1. The spread that ten repeats show has 9 degrees of freedom, so 9 draws stand
    behind 8 of 10: w = 1.96^2 / 9 = .4268, ends (.8 + w / 2 -+ sqrt(.16 w + w^2 / 4)) / (1 + w)."""
    every = share(np.ones((1, 10)))
    assert (every.low, every.high) == pytest.approx((0.722, 1.0), abs=5e-4)
    most = share(np.array([[1.0] * 8 + [0.0] * 2]))
    assert (most.low, most.high) == pytest.approx((0.4738, 0.9467), abs=1e-4)


def test_tasks_that_win_and_lose_together_are_fewer_draws() -> None:
    together = share(np.tile([1.0, 1, 1, 0, 0], (6, 1)))
    alone = share(np.array([np.roll([1.0, 1, 1, 0, 0], t) for t in range(5)]))
    assert together.mean == alone.mean == 0.6
    assert together.high - together.low > 1.8 * (alone.high - alone.low)


@pytest.mark.parametrize("hits", [np.array([[1.0], [0], [1]] * 4), np.array([[1.0, 0, 1]]), np.eye(2)])
def test_one_repeat_and_few_pairs_have_no_interval(hits: np.ndarray) -> None:
    found = share(hits)
    assert found.mean == hits.mean()
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize("shape", [(2, 2), (3, 4), (6, 10), (12, 3)])
def test_the_middle_half_is_that_of_scipy(shape: tuple[int, int]) -> None:
    table = np.random.default_rng(shape).normal(size=shape)
    assert middle(table).alone().mean == pytest.approx(trim_mean(table, 0.25, axis=None))


def test_a_quarter_may_end_inside_a_score() -> None:
    """Of three scores .75 goes at either end: (.25 * 1 + 2 + .25 * 6) / 1.5. Of six, 1.5."""
    assert middle([[1, 6, 2]]).alone().mean == pytest.approx(2.5)
    assert middle([[1, 2, 3], [4, 5, 9]]).alone().mean == pytest.approx((0.5 * 2 + 3 + 4 + 0.5 * 5) / 3)


def test_where_quarters_are_whole_tasks_the_middle_ones_are_left_with_their_images() -> None:
    world = Planted(n=4, num_images=200, tasks=4, strategies=1)
    shares = np.array([[0.3], [0.6], [0.75], [0.95]])
    found = suite(world, np.random.default_rng(0), shares).columns
    tasks = [(task[0], one["s0"]) for task, one in found.items()]
    all_tasks, two = Estimate.of(middle_half(tasks).alone()), Estimate.of(average(tasks[1:3]).alone())
    assert all_tasks.mean == pytest.approx(two.mean)
    assert all_tasks.between == pytest.approx(two.between)
    assert all_tasks.shared == pytest.approx(two.shared, rel=1e-4)
    assert all_tasks.images == pytest.approx(two.images, rel=1e-4)


def test_profile_by_hand() -> None:
    found = profile(columns([[0.2, 0.3, 0.4], [0.6, 0.7, 0.8]]), np.array([0.1, 0.4, 0.7, 0.8]))
    assert [one.mean for one in found] == pytest.approx([1, 1 / 2, 1 / 6, 0])
    assert found[0].high == 1
    assert found[-1].low == 0
    assert all(0 <= one.low <= one.mean <= one.high <= 1 for one in found)
