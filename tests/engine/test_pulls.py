"""Quadratic pulls: training ends where loss and pull together are least, and no strength makes it diverge."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from bench.engine.train.loop import train
from bench.engine.train.optimize import Hyper, step_toward
from bench.modalities.pixels import prepare
from bench.spec.parts import Pull
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny", "double")]

FLAT = {"schedule": "constant", "warmup": 0.0, "batch_size": 60, "steps": 500}


def head_alone():
    torch.manual_seed(0)
    return toys.one_unit(toys.Linear(8 * 8 * 3, 3))


def trained(net, beta, changes, lr=0.05):
    """With the pull of a head toward 0, `beta / 2 ||w||^2`."""
    recipe = toys.recipe("l2_sp", 1, alpha=0.0, beta=beta)
    return train(net, toys.assignment(recipe, {**FLAT, **changes}, net, hyper=Hyper(lr, 0.0)))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("beta", [3.0, 1e6])
def test_truth_training_ends_where_the_penalised_loss_is_least(momentum, beta):
    """scikit-learn's penalised logistic regression, its intercept free as biases are here. `C` is 1 / (n beta)."""
    net = head_alone()
    outcome = trained(net, beta, {"momentum": momentum})
    assert outcome.diverged_at is None
    x = prepare(toys.images().values[0], toys.PIPELINE).flatten(1).numpy()
    found = LogisticRegression(C=1 / (60 * beta), tol=1e-13, max_iter=10000).fit(x, toys.images().labels)
    weight = net.module.fc.weight.detach().numpy()
    np.testing.assert_allclose(weight, found.coef_, rtol=1e-3, atol=1e-3 * np.abs(found.coef_).max())


@pytest.mark.parametrize(("momentum", "nesterov", "strength"), [
    (0.0, False, 0.1), (0.0, False, 1e6), (0.9, False, 10.0), (0.9, True, 0.1), (0.9, True, 1e6),
])  # fmt: skip
def test_truth_fixed_point_of_a_quadratic(momentum, nesterov, strength):
    """Loss h/2 (w - t)^2, pull s F/2 (w - a)^2: (h t + s F a) / (h + s F), by algebra."""
    h, t = torch.tensor([0.5, 2.0, 8.0]), torch.tensor([1.0, -3.0, 2.0])
    curvature, a = torch.tensor([0.0, 1.0, 0.2]), torch.tensor([-1.0, 0.5, 4.0])
    w = nn.Parameter(torch.tensor([5.0, 5.0, 5.0]))
    optimizer = torch.optim.SGD([w], lr=0.05, momentum=momentum, nesterov=nesterov)
    for _ in range(3000):
        optimizer.zero_grad()
        (h / 2 * (w - t).square()).sum().backward()
        optimizer.step()
        step_toward(optimizer, {w: Pull(a, strength, curvature)})
    torch.testing.assert_close(w.detach(), (h * t + strength * curvature * a) / (h + strength * curvature))


def test_truth_adamw_pulls_beside_its_step():
    """As its weight decay: (w + lr s F a) / (1 + lr s F) of what torch's own step leaves."""
    start, gradient = torch.tensor([1.0, -2.0]), torch.tensor([0.3, 0.7])
    plain, pulled = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    for parameter in (plain, pulled):
        parameter.grad = gradient.clone()
    torch.optim.AdamW([plain], lr=0.1, weight_decay=0.0).step()
    optimizer = torch.optim.AdamW([pulled], lr=0.1, weight_decay=0.0)
    optimizer.step()
    step_toward(optimizer, {pulled: Pull(torch.tensor([4.0, 4.0]), 5.0, torch.tensor([1.0, 2.0]))})
    c = torch.tensor([0.5, 1.0])
    torch.testing.assert_close(pulled.detach(), (plain.detach() + c * 4) / (1 + c))


def test_what_does_not_learn_is_not_pulled():
    """No gradient, or no rate."""
    still, slow = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    slow.grad = torch.ones(2)
    optimizer = torch.optim.SGD([{"params": [still], "lr": 0.1}, {"params": [slow], "lr": 0.0}])
    step_toward(optimizer, {still: Pull(0.0, 1e9), slow: Pull(0.0, 1e9)})
    assert still.tolist() == slow.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("rate", [0.003, 0.03, 0.3])
@pytest.mark.parametrize(("name", "options"), [
    *(("ewc", {"strength": strength}) for strength in (1e-4, 0.01, 10.0, 1e6)),
    *(("l2_sp", {"alpha": alpha, "beta": alpha}) for alpha in (1e-4, 1.0, 1e6)),
    ("delta", {"alpha": 0.0, "beta": 1e6}),
])  # fmt: skip
def test_no_strength_of_the_stated_range_diverges(name, options, rate):
    net = toys.network()
    recipe = toys.recipe(name, net.num_units, **options)
    outcome = train(net, toys.assignment(recipe, {"steps": 20}, net, hyper=Hyper(rate, 0.0)))
    assert outcome.diverged_at is None
    assert all(p.abs().max() < 100 for p in net.module.parameters()), "in double precision, infinity is far away"


@pytest.mark.parametrize(("name", "option"), [("ewc", "strength"), ("l2_sp", "alpha")])
def test_the_stronger_the_nearer_to_the_start(name, option):
    away = []
    for strength in (0.0, 1.0, 1e6):
        net = toys.network()
        before = {n: p.detach().clone() for unit in net.parameters[:-1] for n, p in unit.items() if p.ndim > 1}
        recipe = toys.recipe(name, net.num_units, **{option: strength})
        train(net, toys.assignment(recipe, {"steps": 20}, net, hyper=Hyper(0.1, 0.0)))
        after = dict(net.module.named_parameters())
        away.append(sum((after[n] - before[n]).square().sum().item() for n in before))
    assert away == sorted(away, reverse=True)
    assert away[-1] < 0.5 * away[0]


def test_the_reported_loss_is_the_whole_objective():
    """With the pulls in it, though they stand in no gradient."""
    net = toys.network()
    recipe = toys.recipe("l2_sp", net.num_units, alpha=0.0, beta=2.0)
    plain = dataclasses.replace(recipe, penalty=None)
    head = net.module.head.fc.weight.detach().clone()
    losses = []
    for one in (recipe, plain):
        net = toys.network()
        outcome = train(net, toys.assignment(one, {"steps": 1}, net, scored=toys.images("test"), evaluations=1))
        losses.append(outcome.curve[0].train_loss)
    assert losses[0] - losses[1] == pytest.approx(head.square().sum().item())
