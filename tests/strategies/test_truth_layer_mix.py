"""The weighted sum of all units: its optimum by another optimiser, and what its records say of a network."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from bench.engine.common.start import labelled_images, start
from bench.engine.jobs.solved import penalties
from bench.modalities.pixels import prepare
from bench.network.capture import in_eval_mode
from bench.solve.closed_forms import ridge_path
from bench.solve.mixture import mixture
from bench.store import coherence
from tests.engine import toys

CLASSES = 3
PENALTY = 0.02


def layers_of(num, widths=(4, 7, 2), seed=0):
    """The second tells the classes best; each has another size and another place."""
    draw = np.random.default_rng(seed)
    labels = np.arange(num) % CLASSES
    layers = [10.0 ** k * (draw.normal(size=(num, d)) + (0.3, 1.5, 0.6)[k] * np.eye(CLASSES, d)[labels] + k)
              for k, d in enumerate(widths)]  # fmt: skip
    return [torch.from_numpy(layer) for layer in layers], torch.from_numpy(labels)


def by_descent(layers, labels, penalty):
    """The same objective, weights and matrices at once, by BFGS. Logits of the rows, and the weights' shares."""
    rows = [(x - x.mean(0)) / (x - x.mean(0)).square().sum(1).mean().sqrt() for x in layers]
    targets = 2 * torch.nn.functional.one_hot(labels, CLASSES).double() - 1
    sizes = [x.shape[1] * CLASSES for x in layers]

    def parts(point):
        free, flat = point[: len(rows)], point[len(rows) :]
        weights = free.exp() / free.exp().norm() / len(rows) ** 0.5
        matrices = [one.view(-1, CLASSES) for one in flat.split(sizes)]
        return weights, matrices, sum(p * x @ w for p, x, w in zip(weights, rows, matrices, strict=True))

    def loss(values):
        point = torch.tensor(values, requires_grad=True)
        weights, matrices, logits = parts(point)
        value = (logits + targets.mean(0) - targets).square().sum(1).mean()
        value = value + penalty * sum(p * w.square().sum() for p, w in zip(weights, matrices, strict=True))
        value.backward()
        return value.item(), point.grad.numpy()

    start = np.r_[np.zeros(len(rows)), np.random.default_rng(1).normal(size=sum(sizes))]
    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000})
    weights, _, logits = parts(torch.from_numpy(found.x))
    return logits + targets.mean(0), (weights / weights.sum()).tolist()


@pytest.mark.parametrize("num", [60, 9])
def test_truth_layer_mix(num):
    """More rows than columns, and fewer."""
    layers, labels = layers_of(num)
    head = mixture(layers, labels, CLASSES, PENALTY)
    logits, mix = by_descent(layers, labels, PENALTY)
    assert head.converged
    torch.testing.assert_close(head.logits(torch.cat(layers, 1)), logits, atol=1e-5, rtol=1e-5)
    assert head.mix == pytest.approx(mix, abs=1e-4)
    assert sum(head.mix) == pytest.approx(1)


def test_truth_layer_mix_of_one_layer_is_ridge_regression():
    (_, layer, _), labels = layers_of(30)
    (alone,) = ridge_path(layer, labels, CLASSES, [PENALTY])
    head = mixture([layer], labels, CLASSES, PENALTY)
    torch.testing.assert_close(head.weight, alone.weight)
    torch.testing.assert_close(head.bias, alone.bias)
    assert head.mix == (1.0,)


def test_the_layer_that_tells_most_weighs_most_and_its_size_does_not_matter():
    layers, labels = layers_of(60)
    head = mixture(layers, labels, CLASSES, PENALTY)
    assert max(head.mix) == head.mix[1]
    larger = [1e3 * layers[0] + 5, *layers[1:]]
    assert mixture(larger, labels, CLASSES, PENALTY).mix == pytest.approx(head.mix, abs=1e-6)


def test_a_constant_layer_counts_for_nothing_and_a_copy_for_as_much():
    layers, labels = layers_of(60)
    constant = torch.full((60, 5), 0.1, dtype=torch.float64)
    *rest, silent = mixture([*layers, constant], labels, CLASSES, PENALTY).mix
    assert silent == 0
    assert min(rest) > 0
    first, second = mixture([layers[1], layers[1]], labels, CLASSES, PENALTY).mix
    assert first == pytest.approx(second)
    nothing = mixture([constant, constant], labels, CLASSES, PENALTY)
    assert nothing.mix == (0.5, 0.5)
    assert nothing.logits(torch.cat([constant, constant], 1)).isfinite().all()


def test_a_class_without_a_row_never_wins():
    layers, labels = layers_of(30)
    head = mixture(layers, labels % 2, CLASSES, PENALTY)
    assert (head.logits(torch.cat(layers, 1)).argmax(1) < 2).all()


@pytest.mark.parametrize("toy", toys.TOYS)
def test_a_final_tells_how_much_each_unit_counts(tmp_path, tiny, toy):
    """By hand: means over places of what units put out, and for the last one what the classifier is given."""
    context = toys.context(tmp_path)
    num_units = toys.network(toy).num_units
    spec = toys.fit_spec(
        recipe=toys.recipe("layer_mix", num_units), search=dataclasses.replace(toys.SEARCH, folds=2),
        backbone=dataclasses.replace(toys.fit_spec().backbone, name=toy),
    )
    trials, final = toys.everything(context, spec)
    assert {record.status for record in trials} == {"ok"}
    begin = start(spec, context)
    net = begin.renew()
    data = context.data(spec.data)
    images = labelled_images(spec, data)

    def rows(of):
        seen = {}
        handles = [last_of(net, unit).register_forward_hook(lambda m, i, out, unit=unit: seen.update({unit: out}))
                   for unit in range(num_units - 2)]  # fmt: skip
        handles.append(net.modules[-1][0].register_forward_pre_hook(lambda m, i: seen.update({num_units - 2: i[0]})))
        with torch.no_grad(), in_eval_mode(net.module):
            net.module(prepare(of.values[0], toys.PIPELINE))
        [handle.remove() for handle in handles]
        return [mean_over_places(seen[unit]) for unit in range(num_units - 1)]

    head = mixture(rows(images), images.labels, toys.CLASSES, penalties(spec)[final.result["trial"]])
    right = int((head.logits(torch.cat(rows(data.test), 1)).argmax(1) == data.test.labels).sum())
    assert final.result["score"] == right / len(data.test)
    assert final.result["mix"] == pytest.approx(head.mix, abs=1e-4)
    assert len(final.result["mix"]) == num_units - 1
    width = sum(one.shape[1] for one in rows(images))
    assert final.cost["logical"]["trainable_params"] == toys.CLASSES * (width + 1) + num_units - 1
    assert all("mix" not in record.result for record in trials)


def last_of(net, unit):
    """The module of a unit that speaks last, which in these networks is defined last."""
    inside = {id(child) for module in net.modules[unit] for child in module.modules() if child is not module}
    return [module for module in net.modules[unit] if id(module) not in inside][-1]


def mean_over_places(value):
    value = value.flatten(2).mean(2) if value.ndim == 4 else value
    return value.mean(1) if value.ndim == 3 else value


def test_a_record_whose_shares_do_not_fit_is_damaged(tmp_path, tiny):
    spec = toys.fit_spec(recipe=toys.recipe("layer_mix", 6))
    _, final = toys.everything(toys.context(tmp_path), spec)
    for wrong in (final.result["mix"][1:], [2 * share for share in final.result["mix"]]):
        broken = dataclasses.replace(final, result={**final.result, "mix": wrong})
        with pytest.raises(ValueError, match=r"result\.mix"):
            coherence.check(broken)
