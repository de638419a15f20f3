"""The rule of a bracket, against hills whose top is known. No network, no engine."""

import math

import pytest

from bench.planning.bracket import COHORT, TriedRate, cohort_sizes, next_points


def decades(points):
    return [round(math.log10(point), 6) for point in points]


def seen(*rows):
    """(decade, score); a score of None is a trial that diverged."""
    return [TriedRate(10.0**decade, score) for decade, score in rows]


def searched(score, trials, centre=1e-2):
    """A whole search; `score` of a decade."""
    history = []
    for num in cohort_sizes(trials):
        history += [TriedRate(point, score(math.log10(point))) for point in next_points(centre, history, num)]
    return history


def hill(top):
    return lambda decade: -((decade - top) ** 2)


def best(history):
    return math.log10(max((one for one in history if one.score is not None), key=lambda one: one.score).lr)


@pytest.mark.parametrize("trials", range(1, 20))
def test_cohorts_add_up_and_none_is_empty(trials):
    sizes = cohort_sizes(trials)
    assert sum(sizes) == trials
    assert sizes[0] == min(COHORT, trials)
    assert all(0 < size <= COHORT for size in sizes)


@pytest.mark.parametrize(("num", "expected"), [(1, [-2]), (2, [-2.5, -1.5]), (3, [-3, -2, -1])])
def test_the_first_points_lie_a_decade_apart_around_the_centre(num, expected):
    assert decades(next_points(1e-2, [], num)) == expected
    half = [math.log10(math.sqrt(10)) * (decade + 2) - 2 for decade in expected]
    assert decades(next_points(1e-2, [], num, step=math.sqrt(10))) == pytest.approx(half)


def test_it_extends_a_decade_past_an_end_while_the_best_lies_there():
    assert decades(next_points(1e-2, seen((-3, 0.1), (-2, 0.2), (-1, 0.3)), 1)) == [0]
    assert decades(next_points(1e-2, seen((-3, 0.3), (-2, 0.2), (-1, 0.1)), 1)) == [-4]
    assert decades(next_points(1e-2, seen((-3, 0.3), (-2, 0.2), (-1, 0.1), (-4, 0.4)), 1)) == [-5]
    assert decades(next_points(1e-2, seen((-3, 0.1), (-2, 0.2), (-1, 0.3)), 3)) == [0, -1.5, -0.5]


def test_it_halves_the_steps_around_the_best_the_better_neighbour_first():
    assert decades(next_points(1e-2, seen((-3, 0.1), (-2, 0.3), (-1, 0.2)), 2)) == [-1.5, -2.5]
    assert decades(next_points(1e-2, seen((-3, 0.2), (-2, 0.3), (-1, 0.1)), 2)) == [-2.5, -1.5]
    # the wider step first, whoever is the better neighbour
    assert decades(next_points(1e-2, seen((-3, 0.1), (-2, 0.3), (-1, 0.1), (-1.5, 0.2)), 1)) == [-2.5]


def test_a_trial_that_diverged_is_an_end_that_was_tried():
    """The best beside it is no end, and the halving goes the other way first."""
    assert decades(next_points(1e-2, seen((-3, 0.1), (-2, 0.3), (-1, None)), 2)) == [-2.5, -1.5]
    assert decades(next_points(1e-2, seen((-3, None), (-2, None), (-1, None)), 2)) == [-4, -5]


def test_ties_go_to_the_lower_loss_then_to_the_smaller_rate():
    rows = [TriedRate(1e-3, 0.5, 1.0), TriedRate(1e-2, 0.5, 0.9), TriedRate(1e-1, 0.5, 0.8)]
    assert decades(next_points(1e-2, rows, 1)) == [0]
    assert decades(next_points(1e-2, [TriedRate(one.lr, 0.5, 1.0) for one in rows], 1)) == [-4]


@pytest.mark.parametrize("top", [-3.4, -2.9, -2.3, -2.0, -1.45, -0.8])
def test_it_comes_near_the_top_of_a_hill(top):
    """Within a quarter of a decade in 9 trials from a centre of -2, where a grid of 9 over three decades has steps of
    3/8; and no nearer neighbours than luck can tell apart."""
    history = searched(hill(top), 9)
    assert abs(best(history) - top) <= 0.25
    rates = sorted(math.log10(one.lr) for one in searched(hill(top), 24))
    assert min(b - a for a, b in zip(rates, rates[1:], strict=False)) > 1 / 16 - 1e-6


def test_rates_above_a_cliff_diverge_and_the_search_stays_below():
    history = searched(lambda decade: decade if decade < -1.2 else None, 9)
    assert -1.5 < best(history) < -1.2


def test_no_point_twice():
    for top in (-5.0, -2.0, 0.5):
        rates = [one.lr for one in searched(hill(top), 30)]
        assert len(set(rates)) == 30
