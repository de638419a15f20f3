"""Every strategy of the catalogue, and a recipe written in a suite, keeps its word on a convolutional net and a ViT."""

import pytest
import torch

from bench.engine.train.evaluate import evaluate
from bench.engine.train.loop import train
from bench.engine.train.optimize import Hyper
from bench.errors import NotApplicable
from bench.strategies import STRATEGIES
from bench.strategies.inline import build_inline
from bench.suite.recipe_schema import PhaseSpec, RecipeSpec
from tests.engine import toys

OPTIONS = {
    "layer_probe": {"unit": 1},
    "freeze": {"upto": 2}, "transplant": {"keep": 2},  # one is required
    "intermediate": {"dataset": "tiny"},
    "delta": {"alpha": 0.02},  # held to random features as strongly as to good ones, nothing learns
}
INLINE = RecipeSpec(
    name="mine",
    phases=(
        PhaseSpec(share=0.25, rates={"head": 1.0, "rest": 0.0}),
        PhaseSpec(share=0.75, rates={"stem": 0.5, "-1": 1.0, "1": 0.0, "rest": 0.1}),
    ),
)
NEEDS_VIT = {name for name, entry in STRATEGIES.items() if "a vision transformer" in entry.needs}
OF_TEXT = {"continued_pretraining"}  # tests/engine/test_masked.py
CONTRACT = pytest.mark.parametrize("name", [*(name for name in STRATEGIES if name not in OF_TEXT), "inline"])

pytestmark = [pytest.mark.usefixtures("tiny")]


def made(name, toy="toy_conv"):
    """A recipe and a network that is ready for it; skipped where the strategy says that it cannot fit."""
    plain = toys.network(toy)
    if name == "inline":
        return build_inline(INLINE, plain.unit_names), plain
    recipe = toys.recipe(name, plain.num_units, **OPTIONS.get(name, {}))
    try:
        return recipe, toys.prepared(recipe, toy)
    except NotApplicable:
        assert STRATEGIES[name].needs, "what it needs is told"
        pytest.skip(f"{name} does not fit {toy}")


@pytest.mark.parametrize("toy", toys.TOYS)
@CONTRACT
def test_declared_units_move_and_no_others(name, toy):
    recipe, net = made(name, toy)
    before = toys.frozen_state(net)
    train(net, toys.assignment(recipe, net=net))
    declared = set(net.moving(recipe.touched(len(recipe.phases) - 1)))
    for unit, names in enumerate(toys.moved(before, toys.frozen_state(net))):
        assert names == set(before[unit]) & declared, net.unit_names[unit]


@pytest.mark.parametrize("toy", toys.TOYS)
@CONTRACT
def test_the_same_seed_twice_gives_the_same_weights_and_scores(name, toy):
    results = []
    for _ in range(2):
        torch.rand(17)  # the global generator stands elsewhere each time
        recipe, net = made(name, toy)
        changes = {"shift": 1, "flip": True, "steps": 6}
        task = toys.assignment(recipe, changes, net, scored=toys.images("test"), evaluations=3)
        results.append((net.module.state_dict(), train(net, task)))
    (state, outcome), (state_again, outcome_again) = results
    assert toys.numbers(outcome) == toys.numbers(outcome_again)
    assert len(outcome.curve) == 3
    assert all(torch.equal(state[key], state_again[key]) for key in state)


@pytest.mark.parametrize("toy", toys.TOYS)
def test_another_seed_gives_other_weights(toy):
    states = []
    for seed in (1, 2):
        net = toys.network(toy)
        train(net, toys.assignment(toys.recipe("linear_probe", net.num_units), order_seed=seed))
        states.append(toys.frozen_state(net)[-1])
    assert toys.moved(states[:1], states[1:]) == [set(states[0])]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@CONTRACT
def test_a_rate_of_zero_changes_no_parameter(name, optimizer):
    recipe, net = made(name, "toy_vit" if name in NEEDS_VIT else "toy_conv")
    before = toys.frozen_state(net)
    train(net, toys.assignment(recipe, {"optimizer": optimizer, "steps": 6}, net, hyper=Hyper(0.0, 0.1)))
    changed = toys.moved(before, toys.frozen_state(net))
    assert [names & set(net.parameters[unit]) for unit, names in enumerate(changed)] == [set()] * net.num_units


@CONTRACT
def test_every_strategy_learns(name):
    """What it is for: on colours under noise each one does better than guessing, 1 in 3."""

    def reached(lr):
        recipe, net = made(name, "toy_vit" if name in NEEDS_VIT else "toy_conv")
        task = toys.assignment(recipe, {"steps": 60}, net, scored=toys.images("test"), hyper=Hyper(lr, 1e-3))
        outcome = train(net, task)
        return outcome.last.score if outcome.last else 0.0

    assert any(reached(lr) > 0.5 for lr in (0.05, 0.5))  # some want more than others, as a search would find


@CONTRACT
def test_the_budget_is_spent_exactly(name):
    for steps in (7, 13):
        recipe, _ = made(name, "toy_vit" if name in NEEDS_VIT else "toy_conv")
        spans = toys.phase_steps(recipe, steps)
        assert [start for _, start, _ in spans] == [0, *(end for _, _, end in spans[:-1])]
        assert spans[-1][2] == steps


@pytest.mark.parametrize("toy", toys.TOYS)
def test_what_is_frozen_behaves_as_in_evaluation(toy):
    """Features below a frozen unit are the same in every step: no dropout, no batch statistics."""
    net = toys.network(toy)
    head = net.modules[-1][0]
    seen = []
    handle = head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    task = toys.assignment(toys.recipe("linear_probe", net.num_units), {"steps": 15, "batch_size": 60})
    train(net, task)
    handle.remove()
    # Each batch is the whole split in another order: sorted by one coordinate, the features coincide.
    first, *others = [features[features.norm(dim=1).argsort()] for features in seen]
    assert len(others) == 14
    for features in others:
        torch.testing.assert_close(features, first, rtol=1e-4, atol=1e-5)


def test_evaluation_in_the_middle_changes_nothing():
    states = []
    for evaluations in (1, 12):
        net = toys.network("toy_vit")
        task = toys.assignment(toys.recipe("gradual_unfreeze", net.num_units), scored=toys.images("test"))
        outcome = train(net, toys.dataclasses.replace(task, evaluations=evaluations))
        assert len(outcome.curve) == evaluations
        states.append(net.module.state_dict())
        again = evaluate(net.module, toys.images("test"), toys.PIPELINE)
        assert (outcome.last.score, outcome.last.loss) == (again.score, again.loss)
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
