"""One training: its arithmetic by hand, its length, its cost, and how it ends when the loss does."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional as F

from bench.engine.train import loop
from bench.engine.train import solo as team
from bench.engine.train.evaluate import evaluate
from bench.engine.train.examples import Examples
from bench.engine.train.loop import train
from bench.engine.train.optimize import Hyper, schedule
from bench.modalities.pixels import prepare
from bench.network.flops import training_flops
from bench.spec.recipe import Phase, Recipe, uniform
from tests.engine import toys

BARE = {"schedule": "constant", "warmup": 0.0, "batch_size": 4}


@pytest.fixture(autouse=True)
def _counted_once():
    """Instead of the one for all tests: here counting itself is tried."""


def four_images():
    pixels = torch.arange(4 * 3 * 4, dtype=torch.uint8).reshape(4, 3, 2, 2) * 5
    return Examples((pixels,), torch.tensor([0, 1, 1, 0]))


def linear_task(changes, hyper):
    pipeline = dataclasses.replace(toys.PIPELINE, image_size=2)
    return toys.assignment(
        toys.ONE_UNIT, {**BARE, **changes}, hyper=hyper, pipeline=pipeline, images=four_images()
    )


def linear():
    torch.manual_seed(0)
    return toys.Linear(12)


def flops(net, task):
    batch_size = min(task.training.batch_size, len(task.images))
    return training_flops(net, task.procedure, batch_size, task.training.steps, {})


def gradients(x, labels, weight, bias, smoothing=0.0):
    """Of the mean cross entropy of a linear layer: softmax minus target, by hand."""
    probability = torch.softmax(x @ weight.T + bias, 1)
    target = F.one_hot(labels, 2) * (1 - smoothing) + smoothing / 2
    error = (probability - target) / len(x)
    return error.T @ x, error.sum(0)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_sgd_by_hand(momentum, smoothing):
    """Three steps: momentum, Nesterov's look ahead, weight decay on the matrix and never on the bias."""
    hyper, module = Hyper(0.1, 0.05), linear()
    weight, bias = module.fc.weight.detach().clone(), module.fc.bias.detach().clone()
    task = linear_task({"steps": 3, "momentum": momentum, "label_smoothing": smoothing}, hyper)
    train(toys.one_unit(module), task)
    x, labels = prepare(task.images.values[0], task.pipeline).flatten(1), task.images.labels
    speed = [torch.zeros_like(weight), torch.zeros_like(bias)]
    for _ in range(3):
        d_weight, d_bias = gradients(x, labels, weight, bias, smoothing)
        d_weight = d_weight + hyper.weight_decay * weight
        speed = [momentum * v + d for v, d in zip(speed, (d_weight, d_bias), strict=True)]
        weight = weight - hyper.lr * (d_weight + momentum * speed[0])
        bias = bias - hyper.lr * (d_bias + momentum * speed[1])
    torch.testing.assert_close(module.fc.weight.detach(), weight)
    torch.testing.assert_close(module.fc.bias.detach(), bias)


def test_adamw_by_hand():
    hyper, module = Hyper(0.01, 0.5), linear()
    weight, bias = module.fc.weight.detach().clone(), module.fc.bias.detach().clone()
    task = linear_task({"steps": 1, "optimizer": "adamw"}, hyper)
    train(toys.one_unit(module), task)
    x = prepare(task.images.values[0], task.pipeline).flatten(1)
    d_weight, d_bias = gradients(x, task.images.labels, weight, bias)
    # The first step of Adam is the sign of the gradient; the decay is decoupled and spares the bias.
    decayed = weight * (1 - hyper.lr * hyper.weight_decay)
    torch.testing.assert_close(module.fc.weight.detach(), decayed - hyper.lr * d_weight / (d_weight.abs() + 1e-8))
    torch.testing.assert_close(module.fc.bias.detach(), bias - hyper.lr * d_bias / (d_bias.abs() + 1e-8))


def test_a_rate_per_unit_scales_each_step_and_the_schedule_all(monkeypatch, tiny):
    seen = []
    toys.watch(monkeypatch, lambda optimizer: seen.append(toys.rates_by_unit(optimizer)))
    rates = (0.0, 0.1, 0.2, 0.0, 0.5, 2.0)
    task = toys.assignment(Recipe(uniform(rates)))
    train(toys.network(), task)
    assert len(seen) == 12
    for step, got in enumerate(seen):
        factor = schedule(task.training, step, 12) * toys.HYPER.lr
        assert got == pytest.approx({unit: factor * rate for unit, rate in enumerate(rates)})


def test_flops_of_a_linear_layer_by_hand():
    """x W: 2 x 4 x 12 x 2 forward, the same again for dW; none for dx, which nobody needs."""
    for steps in (1, 3, 7):
        assert flops(toys.one_unit(linear()), linear_task({"steps": steps}, toys.HYPER)) == steps * 2 * (2 * 4 * 12 * 2)


@pytest.mark.parametrize("toy", toys.TOYS)
def test_freezing_a_longer_prefix_costs_less(tiny, toy):
    counts = []
    for depth in range(toys.network(toy).num_units):
        net = toys.network(toy)
        counts.append(flops(net, toys.assignment(toys.recipe("freeze", net.num_units, upto=depth), {"steps": 2})))
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == len(counts)
    assert 2 < counts[0] / counts[-1] < 3.1  # a backward pass costs about two forward passes


def test_flops_of_phases_add_up(tiny):
    def count(recipe, steps):
        return flops(toys.network(), toys.assignment(recipe, {"steps": steps}))

    head, everything = (0.0,) * 5 + (1.0,), (1.0,) * 6
    both = Recipe((Phase(0.25, head), Phase(0.75, everything)))
    assert count(both, 8) == count(Recipe(uniform(head)), 2) + count(Recipe(uniform(everything)), 6)


def test_counting_flops_changes_nothing(tiny):
    net = toys.network()
    before = {name: tensor.clone() for name, tensor in net.module.state_dict().items()}
    flops(net, toys.assignment(toys.recipe("gradual_unfreeze", 6)))
    assert all(torch.equal(before[name], tensor) for name, tensor in net.module.state_dict().items())
    assert all(p.grad is None for p in net.module.parameters())


def test_counting_flops_leaves_modes_and_gradients_as_they_are(tiny):
    """Whoever counts may be the first or not; what comes after must not depend on it."""
    net = toys.network()
    recipe = toys.recipe("gradual_unfreeze", 6)
    for phase in range(6):
        net.set_active(recipe.active(phase))
        flags = [m.training for m in net.module.modules()], [p.requires_grad for p in net.module.parameters()]
        flops(net, toys.assignment(recipe))
        assert flags == ([m.training for m in net.module.modules()], [p.requires_grad for p in net.module.parameters()])


@pytest.mark.parametrize(("changes", "samples"), [({"steps": 7}, 56), ({"steps": 5, "batch_size": 64}, 300)])
def test_steps_and_samples_are_counted_as_trained(tiny, changes, samples):
    """A batch is never larger than the images there are."""
    net = toys.network()
    outcome = train(net, toys.assignment(toys.recipe("linear_probe", 6), changes))
    assert (outcome.steps, outcome.samples) == (changes["steps"], samples)
    assert (outcome.last, outcome.curve, outcome.diverged_at) == (None, [], None)


def test_the_last_score_is_that_of_the_weights_left_behind(tiny):
    net = toys.network()
    task = toys.assignment(toys.recipe("full_finetune", 6), scored=toys.images("test"), evaluations=3)
    outcome = train(net, task)
    assert [point.step for point in outcome.curve] == [4, 8, 12]
    again = evaluate(net.module, toys.images("test"), toys.PIPELINE)
    assert (outcome.last.score, outcome.last.loss) == (again.score, again.loss)
    assert outcome.last.predicted.tolist() == again.predicted.tolist()
    assert (outcome.curve[-1].accuracy, outcome.curve[-1].loss) == (outcome.last.score, outcome.last.loss)


def test_more_evaluations_than_steps_still_score_the_last_step(tiny):
    net = toys.network()
    task = toys.assignment(toys.recipe("full_finetune", 6), {"steps": 3}, scored=toys.images("test"), evaluations=5)
    outcome = train(net, task)
    assert [point.step for point in outcome.curve] == [1, 2, 3]
    again = evaluate(net.module, toys.images("test"), toys.PIPELINE)
    assert (outcome.last.score, outcome.last.loss) == (again.score, again.loss)
    assert outcome.last.predicted.tolist() == again.predicted.tolist()


def test_the_training_loss_of_a_point_is_the_mean_since_the_one_before(monkeypatch, tiny):
    losses = []
    real = F.cross_entropy

    def spy(logits, labels, **options):
        loss = real(logits, labels, **options)
        if "label_smoothing" in options:
            losses.append(float(loss.detach()))
        return loss

    monkeypatch.setattr(team.F, "cross_entropy", spy)
    task = toys.assignment(toys.recipe("full_finetune", 6), {"steps": 5}, scored=toys.images("test"), evaluations=2)
    first, second = train(toys.network(), task).curve
    assert first.train_loss == pytest.approx(sum(losses[:3]) / 3)
    assert second.train_loss == pytest.approx(sum(losses[3:]) / 2)


@pytest.mark.parametrize("cadence", [1, 4, 1000])
def test_a_diverging_rate_is_told_by_its_step_and_stops(monkeypatch, cadence):
    """However seldom the loss is looked at, the step named is the first whose loss was not finite."""
    monkeypatch.setattr(loop, "CHECK_EVERY", cadence)
    module = linear()
    calls = []

    def poison(layer, inputs):
        calls.append(len(calls))
        return inputs[0] * (math.nan if len(calls) - 1 >= 6 else 1)

    module.fc.register_forward_pre_hook(poison)
    outcome = train(toys.one_unit(module), linear_task({"steps": 20}, Hyper(0.1, 0.0)))
    assert outcome.diverged_at == 6
    assert outcome.steps == (20 if cadence == 1000 else -(-7 // cadence) * cadence)
    assert outcome.last is None


def test_a_truly_diverging_rate(tiny):
    task = toys.assignment(toys.recipe("full_finetune", 6), {"steps": 60, "warmup": 0.0}, hyper=Hyper(1e6, 0.0),
                           scored=toys.images("test"))
    outcome = train(toys.network("toy_conv"), task)
    if outcome.diverged_at is None:  # BatchNorm may hold the loss finite: then the ViT, which has none, must show it
        outcome = train(toys.network("toy_vit"), dataclasses.replace(task, recipe=toys.recipe("full_finetune", 5)))
    assert outcome.diverged_at is not None
    assert outcome.steps <= 60


def test_weights_spoilt_by_the_very_last_step_are_caught():
    """The last loss is finite, the weights after it are not: the score must not be reported."""
    module = linear()
    task = dataclasses.replace(linear_task({"steps": 1}, Hyper(1e38, 0.0)), scored=four_images())
    pipeline = dataclasses.replace(task.pipeline, std=(1e-3, 1e-3, 1e-3))  # large inputs, so large gradients
    bright = Examples((task.images.values[0] + 50,), task.images.labels)
    task = dataclasses.replace(task, images=bright, pipeline=pipeline)
    outcome = train(toys.one_unit(module), task)
    assert outcome.diverged_at == 0
    assert outcome.curve == []


def test_what_is_scored_never_decides_whether_a_training_diverged():
    """Huge weights that the training images keep finite and the scored ones do not: a score without a loss."""
    task = dataclasses.replace(linear_task({"steps": 1}, Hyper(1e38, 0.0)), scored=four_images())
    task = dataclasses.replace(task, images=Examples((task.images.values[0] + 50,), task.images.labels))
    outcome = train(toys.one_unit(linear()), task)
    assert outcome.diverged_at is None
    assert [point.loss for point in outcome.curve] == [None]


def test_how_often_the_loss_is_checked_changes_nothing(monkeypatch, tiny):
    results = []
    for cadence in (1, 5, 1000):
        monkeypatch.setattr(loop, "CHECK_EVERY", cadence)
        net = toys.network()
        outcome = train(net, toys.assignment(toys.recipe("full_finetune", 6), scored=toys.images("test")))
        results.append((outcome, net.module.state_dict()))
    for outcome, state in results[1:]:
        assert toys.numbers(outcome) == toys.numbers(results[0][0])
        assert all(torch.equal(state[name], results[0][1][name]) for name in state)
