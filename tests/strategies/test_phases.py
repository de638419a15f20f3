"""What the optimizer is really given, step by step, when a recipe has several phases."""

import pytest
import torch

from bench.engine.train.loop import train
from bench.engine.train.optimize import schedule
from bench.spec.recipe import Phase, Recipe
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]


def run(monkeypatch, recipe, changes=None, name="toy_conv"):
    """(units with gradients, rate by unit, momentum of the head's first tensor) before each step."""
    seen = []

    def note(optimizer):
        head = optimizer.param_groups[-1]["params"][0]
        momentum = optimizer.state[head].get("momentum_buffer")
        kept = None if momentum is None else momentum.clone()
        seen.append((toys.units_with_gradients(optimizer), toys.rates_by_unit(optimizer), kept, head.grad.clone()))

    made = toys.watch(monkeypatch, note)
    train(toys.network(name), toys.assignment(recipe, changes))
    assert len(made) == 1  # one optimizer for all phases
    return seen


@pytest.mark.parametrize("toy", toys.TOYS)
def test_gradual_unfreezing_thaws_in_the_stated_order_at_the_stated_steps(monkeypatch, toy):
    """Two steps for each stage but the last, which has six tenths of them."""
    num_units = toys.network(toy).num_units
    early = num_units - 1
    seen = run(monkeypatch, toys.recipe("gradual_unfreeze", num_units), {"steps": 5 * early}, toy)
    expected = [set(range(max(0, early - step // 2), num_units)) for step in range(5 * early)]
    assert [units for units, *_ in seen] == expected


def test_a_thaw_begins_a_cycle_of_the_rate_and_keeps_the_momentum(monkeypatch):
    seen = run(monkeypatch, toys.recipe("gradual_unfreeze", 6), {"steps": 50})
    training = toys.assignment(toys.ONE_UNIT).training
    for step, (units, rates, momentum, _) in enumerate(seen):
        place, length = (step % 4, 4) if step < 20 else (step - 20, 30)
        wanted = toys.HYPER.lr * schedule(training, place, length)
        assert rates == {unit: wanted if unit in units else 0.0 for unit in range(6)}
        if step > 1:
            before, gradient = seen[step - 1][2:]
            matrix_decay = momentum - 0.9 * before - gradient  # what is left is the weight decay, 1e-3 times weights
            assert matrix_decay.abs().max() < 1e-2
            assert momentum.norm() > 0


def test_each_phase_may_anneal_anew(monkeypatch):
    phases = (Phase(0.5, (0, 0, 0, 0, 0, 1.0)), Phase(0.5, (0.1,) * 5 + (1.0,)))
    training = toys.assignment(toys.ONE_UNIT, {"steps": 10}).training
    for anneal, factors in (
        ("once", [schedule(training, step, 10) for step in range(10)]),
        ("each_phase", [schedule(training, step, 5) for step in range(5)] * 2),
    ):
        seen = run(monkeypatch, Recipe(phases, anneal=anneal), {"steps": 10})
        assert [rates[5] for _, rates, *_ in seen] == [toys.HYPER.lr * factor for factor in factors]
        stem = [0.0] * 5 + [0.1 * toys.HYPER.lr * factor for factor in factors[5:]]
        assert [rates[0] for _, rates, *_ in seen] == pytest.approx(stem)


def test_a_unit_frozen_again_stands_still_at_once(monkeypatch):
    """Its momentum from the phase before must not push it on, nor its old gradient."""
    net = toys.network()
    first, second = (1.0,) * 6, (0.0,) * 5 + (1.0,)
    snapshots = []
    toys.watch(monkeypatch, lambda optimizer: snapshots.append(toys.frozen_state(net)))
    train(net, toys.assignment(Recipe((Phase(0.5, first), Phase(0.5, second))), {"steps": 8}))
    # Buffers of step 4 are those after its forward pass: nothing below the head moves from then on.
    assert toys.moved(snapshots[4], toys.frozen_state(net))[:5] == [set()] * 5
    assert toys.moved(snapshots[3], snapshots[4])[0]


def test_discriminative_rates_reach_the_optimizer(monkeypatch):
    seen = run(monkeypatch, toys.recipe("discriminative", 6, factor=2.0), {"schedule": "constant", "warmup": 0.0})
    for _, rates, *_ in seen:
        assert rates == pytest.approx({unit: 0.05 / 2 ** (5 - unit) for unit in range(6)})


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_budgets_about_as_short_as_the_phases_are_many(monkeypatch, steps):
    seen = run(monkeypatch, toys.recipe("gradual_unfreeze", 6), {"steps": steps})
    thawed = [len(units) for units, *_ in seen]
    assert len(seen) == steps
    assert thawed == sorted(thawed)
    assert thawed[-1] == 6, "the last stage is there however few the steps"
    assert all(torch.isfinite(gradient).all() for *_, gradient in seen)
