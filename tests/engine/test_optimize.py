"""Schedules, phases and groups by hand."""

import dataclasses
import math

import pytest
import torch

from bench.engine.train.loop import evaluation_steps
from bench.engine.train.optimize import Hyper, make_optimizer, schedule
from bench.spec.recipe import Phase, Recipe
from tests.engine import toys


def curve(name, warmup, steps):
    training = dataclasses.replace(toys.TRAINING, schedule=name, warmup=warmup)
    return [schedule(training, step, steps) for step in range(steps)]


def test_warm_up_rises_in_equal_stairs_to_the_full_rate():
    factors = curve("constant", 0.4, 10)
    assert factors[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert factors[4:] == [1.0] * 6


def test_without_warm_up_the_first_step_has_the_full_rate():
    for name in ("cosine", "linear", "constant"):
        assert curve(name, 0.0, 7)[0] == 1.0


def test_cosine_by_hand():
    factors = curve("cosine", 0.2, 10)
    assert factors[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert factors[2:] == pytest.approx([(1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)])
    assert factors[2 + 4] == pytest.approx(0.5)


def test_linear_by_hand():
    assert curve("linear", 0.2, 7) == pytest.approx([0.5, 1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_a_falling_schedule_ends_near_zero_and_never_rises_again(name):
    factors = curve(name, 0.1, 200)
    top = factors.index(max(factors))
    assert top == 20
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert 0 < factors[-1] < 0.01


@pytest.mark.parametrize("name", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_budgets(name, steps):
    assert all(0 < factor <= 1 for factor in curve(name, 0.1, steps))


SHARES = [(1.0,), (0.5, 0.5), (1 / 3, 1 / 3, 1 / 3), (0.1, 0.9), (0.13, 0.29, 0.58), (1 / 7,) * 7, (0.01, 0.99)]


@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 99, 200])
def test_phases_share_the_budget_without_a_gap(shares, steps):
    recipe = Recipe(tuple(Phase(share, (1.0,)) for share in shares))
    covered = [step for _, start, end in toys.phase_steps(recipe, steps) for step in range(start, end)]
    assert covered == list(range(steps))
    for phase, start, end in toys.phase_steps(recipe, steps):
        assert abs((end - start) - phase.share * steps) <= 1


@pytest.mark.parametrize(("shares", "steps", "ends"), [
    ((1 / 3,) * 3, 10, [3, 7, 10]), ((0.25, 0.75), 7, [2, 7]), ((0.1,) * 10, 10, list(range(1, 11))),
    ((1 / 6,) * 6, 12, [2, 4, 6, 8, 10, 12]),
])
def test_a_phase_ends_at_the_step_nearest_to_its_share(shares, steps, ends):
    recipe = Recipe(tuple(Phase(share, (1.0,)) for share in shares))
    assert [end for _, _, end in toys.phase_steps(recipe, steps)] == ends


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 60, 99, 200])
@pytest.mark.parametrize("evaluations", [1, 2, 3, 5, 7, 200, 1000])
def test_the_last_step_is_always_evaluated(steps, evaluations):
    """With more evaluations than steps, too: the score reported is that of the weights after the last step."""
    looks = evaluation_steps(steps, evaluations)
    assert max(looks) == steps
    assert len(looks) == min(steps, evaluations)
    assert min(looks) >= 1
    gaps = [b - a for a, b in zip([0, *sorted(looks)], sorted(looks), strict=False)]
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_every_parameter_is_in_one_group_of_its_unit(tiny, optimizer):
    for toy in toys.TOYS:
        net = toys.network(toy)
        training = dataclasses.replace(toys.TRAINING, optimizer=optimizer)
        made = make_optimizer(net, training, Hyper(0.1, 0.03))
        name_of = {id(p): name for ps in net.parameters for name, p in ps.items()}
        exempt = net.module.no_weight_decay() if hasattr(net.module, "no_weight_decay") else set()
        unit_of = {id(p): unit for unit, ps in enumerate(net.parameters) for p in ps.values()}
        grouped = [(group, p) for group in made.param_groups for p in group["params"]]
        assert len(grouped) == len(unit_of) == len({id(p) for _, p in grouped})
        for group, p in grouped:
            assert group["unit"] == unit_of[id(p)]
            assert group["weight_decay"] == (0.03 if p.ndim > 1 and name_of[id(p)] not in exempt else 0.0)
        assert type(made) is (torch.optim.SGD if optimizer == "sgd" else torch.optim.AdamW)


def test_no_momentum_no_nesterov():
    net = toys.one_unit(toys.Linear(4))
    for momentum in (0.0, 0.5):
        made = make_optimizer(net, dataclasses.replace(toys.TRAINING, momentum=momentum), toys.HYPER)
        assert (made.defaults["momentum"], made.defaults["nesterov"]) == (momentum, momentum > 0)
