"""The search: where its points lie, that it resumes as if nothing had happened, and which point it chooses."""

import dataclasses
import math

import numpy as np
import pytest

from bench.engine.common.history import Tried
from bench.engine.search.points import ask_cohort, choose, edge_of
from bench.engine.train.optimize import Hyper
from bench.planning.bracket import TriedRate, next_points
from bench.planning.halving import cohorts
from tests.engine import toys

SAMPLERS = ("bracket", "grid", "tpe", "random")
WITH_ENDS = ("grid", "tpe", "random")


def spec(sampler, trials=8, **fields):
    search = dataclasses.replace(toys.SEARCH, sampler=sampler, trials=trials, lr_low=1e-4, lr_high=1e-1)
    decay = {name: fields.pop(name) for name in ("weight_decay_low", "weight_decay_high") if name in fields}
    return toys.fit_spec(search=dataclasses.replace(search, **decay), **fields)


DECAY = {"weight_decay_low": 1e-6, "weight_decay_high": 1e-2}


def score(hyper):
    """A hill with its top at 3e-3."""
    return math.exp(-((math.log10(hyper.lr) + 2.5) ** 2))


def run(one, history=(), fail=()):
    """The search brought to its end from the trials so far."""
    history = list(history)
    for cohort in cohorts(one.search):
        points = ask_cohort(one, history, cohort)
        for number, hyper in list(zip(cohort, points, strict=True))[max(0, len(history) - cohort.start) :]:
            scored = None if number in fail else score(hyper)
            history.append(Tried(number, hyper, scored, None if scored is None else 1 - scored))
    return history


def rates(history):
    return [tried.hyper.lr for tried in history]


@pytest.mark.parametrize("trials", [2, 3, 5, 8])
def test_a_grid_spans_the_range_exactly_in_equal_ratios(trials):
    got = rates(run(spec("grid", trials)))
    assert (got[0], got[-1]) == (1e-4, 1e-1)  # to the last bit
    assert np.diff(np.log10(got)) == pytest.approx(3 / (trials - 1))


def test_a_single_trial_sits_in_the_middle_of_the_range():
    for sampler in ("bracket", "grid", "tpe"):
        assert rates(run(spec(sampler, 1))) == [pytest.approx(math.sqrt(1e-4 * 1e-1))]
    assert 1e-4 <= rates(run(spec("random", 1)))[0] <= 1e-1


@pytest.mark.parametrize("trials", [4, 7, 8])
def test_tpe_spends_its_first_half_on_the_grid(trials):
    half = math.ceil(trials / 2)
    got = rates(run(spec("tpe", trials)))
    assert got[:half] == rates(run(spec("grid", half)))
    assert not set(got[half:]) & set(got[:half])
    assert all(1e-4 <= lr <= 1e-1 for lr in got)


def test_tpe_learns_from_what_it_saw():
    good, bad = run(spec("tpe")), run(spec("tpe"))[:4]
    turned = [dataclasses.replace(t, score=1 - t.score) for t in bad]
    assert rates(run(spec("tpe"), turned))[4:] != rates(good)[4:]


@pytest.mark.parametrize("decay", [{}, DECAY])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_resumed_search_is_the_unbroken_one(sampler, decay):
    one = spec(sampler, 6, **decay)
    whole = run(one, fail={2})
    for kept in range(6):
        np.random.default_rng().random(3)
        assert run(one, whole[:kept], fail={2}) == whole


@pytest.mark.parametrize("sampler", ["grid", "random"])
def test_every_strategy_is_tried_at_the_same_points(sampler):
    """Whatever it scores there."""
    one, other = spec(sampler), spec(sampler, recipe=toys.recipe("linear_probe", 6))
    assert rates(run(one)) == rates(run(other, fail={0, 3, 5}))


def test_another_seed_moves_the_points_of_chance():
    assert rates(run(spec("random"))) != rates(run(spec("random", seed=1)))
    assert rates(run(spec("random"))) != rates(run(spec("random", repeat=1)))
    assert len(set(rates(run(spec("random"))))) == 8


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_all_points_lie_in_the_range_and_all_differ(sampler):
    got = run(spec(sampler, 12, **DECAY))
    assert len(got) == 12
    assert len({tried.hyper for tried in got}) == 12
    assert sampler not in WITH_ENDS or all(1e-4 <= t.hyper.lr <= 1e-1 for t in got)
    assert all(1e-6 <= t.hyper.weight_decay <= 1e-2 for t in got)
    # The decay is searched as widely as the rate, and not along with it.
    logs = np.log10([[t.hyper.lr, t.hyper.weight_decay] for t in got])
    assert np.ptp(logs[:, 1]) > 1.5
    assert len(set(logs[:, 1])) == 12
    assert abs(np.corrcoef(logs.T)[0, 1]) < 0.9


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_fixed_weight_decay_stays_what_the_suite_says(sampler):
    assert {tried.hyper.weight_decay for tried in run(spec(sampler))} == {toys.SEARCH.weight_decay}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_failed_trials_count_and_do_not_stop_the_search(sampler):
    got = run(spec(sampler), fail=range(8))
    assert len(got) == 8
    assert choose(got) is None


def tried(*rows):
    return [Tried(i, Hyper(lr, 0.0), score, loss) for i, (lr, score, loss) in enumerate(rows)]


@pytest.mark.parametrize(("rows", "number"), [
    ([(0.1, 0.5, 1.0), (0.2, 0.7, 2.0), (0.3, 0.6, 0.1)], 1),  # accuracy first
    ([(0.1, 0.7, 1.0), (0.2, 0.7, 0.9), (0.3, 0.7, 1.1)], 1),  # then the lower loss
    ([(0.3, 0.7, 0.9), (0.1, 0.7, 0.9), (0.2, 0.7, 0.9)], 1),  # then the smaller rate
    ([(0.1, None, None), (0.2, 0.0, 5.0)], 1),  # a score of zero is a score
    ([(0.1, 0.7, None), (0.2, 0.7, 3.0)], 1),
    ([(0.1, 0.2, 1.0)], 0),
])
def test_choosing(rows, number):
    assert choose(tried(*rows)).number == number


def test_nothing_to_choose():
    assert choose([]) is None
    assert choose(tried((0.1, None, None))) is None


def test_edges():
    """The lowest and the highest rate that was tried, with whatever result."""
    history = tried((0.1, 0.5, 1.0), (0.01, 0.4, 1.0), (1.0, None, None), (0.3, 0.9, 0.1))
    assert [edge_of(one, history) for one in history] == ["", "low", "high", ""]
    assert choose(history).edge == ""
    assert choose([*history[:2], history[3]]).edge == "high"
    assert choose(tried((0.1, 0.9, 1.0), (0.2, 0.5, 1.0))).edge == "low"
    assert choose(tried((0.1, 0.9, 1.0))).edge == ""


def test_optuna_asks_the_bracket_where_the_rule_says():
    """The engine adds nothing to the rule, and the rule needs nothing of the engine."""
    one = spec("bracket", 8)
    got = run(one, fail={2})
    by_hand = []
    for size in (3, 3, 2):
        points = next_points(math.sqrt(1e-4 * 1e-1), by_hand, size, step=10**1.5)
        for point in points:
            failed = len(by_hand) == 2
            value = score(Hyper(point, 0.0))
            by_hand.append(TriedRate(point, None if failed else value, None if failed else 1 - value))
    assert rates(got) == pytest.approx([seen.lr for seen in by_hand], rel=1e-12)


def test_a_search_finds_a_rate_far_from_where_it_began():
    """The hill's top lies at 3e-3, two and a half decades below the first points."""
    search = dataclasses.replace(toys.SEARCH, sampler="bracket", trials=12, lr_low=1.0, lr_high=100.0)
    got = run(toys.fit_spec(search=search))
    assert abs(math.log10(choose(got).hyper.lr) + 2.5) < 0.3
    assert choose(got).edge == ""


def test_where_nobody_ran_to_the_end_the_furthest_are_chosen_from():
    """The last in the race may all diverge after the others were dropped."""
    hyper = Hyper(0.1, 0.0)
    history = [Tried(0, hyper, 0.9, 0.1, pruned_at=10), Tried(1, hyper, 0.5, 0.4, pruned_at=30),
               Tried(2, hyper, 0.6, 0.4, pruned_at=30), Tried(3, hyper, None, None)]  # fmt: skip
    assert choose(history).number == 2
    assert choose([*history, Tried(4, hyper, 0.2, 2.0)]).number == 4
    assert choose(history[3:]) is None
