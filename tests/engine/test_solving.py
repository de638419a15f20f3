"""Closed forms as strategies: what their records say, and that they say the same whichever way features came about."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from bench.engine.common import labels as labels_of
from bench.engine.common.start import labelled_images, start
from bench.engine.jobs.perform import perform
from bench.engine.jobs.solved import penalties
from bench.modalities.pixels import prepare
from bench.solve.closed_forms import logistic_path, prototypes, ridge_path
from bench.spec.job import trial_key
from bench.spec.refs import BackboneRef, Engine, Weights
from tests.engine import toys
from tests.engine.test_staging import assert_alike

pytestmark = [pytest.mark.usefixtures("tiny")]

FORMS = ("ridge_probe", "logistic_probe", "prototypes")


def solved(name, num_units=6, **fields):
    recipe = toys.recipe(name, num_units)
    trials = 1 if name == "prototypes" else 5
    search = dataclasses.replace(toys.SEARCH, trials=trials, folds=2)
    return toys.fit_spec(recipe=recipe, search=search, **fields)


def features(net, images):
    """What the head sees, the plain way."""
    net.module.eval()
    seen = []
    hook = net.modules[-1][0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].flatten(1)))
    with torch.no_grad():
        net.module(prepare(images.values[0], toys.PIPELINE))
    hook.remove()
    return seen[0]


@pytest.mark.parametrize("name", FORMS)
def test_every_number_by_the_plain_way(tmp_path, name):
    context = toys.context(tmp_path)
    spec = solved(name)
    trials, final = toys.everything(context, spec)


    begin = start(spec, context)
    net = begin.renew()
    data = context.data(spec.data)
    images = labelled_images(spec, data)
    x, test = features(net, images), features(net, data.test)

    def path(points, index=None):
        if name == "prototypes":
            return [prototypes(x, images.labels, toys.CLASSES, index)]
        solve = ridge_path if name == "ridge_probe" else logistic_path
        return solve(x, images.labels, toys.CLASSES, points, index)

    points = penalties(spec)
    right = [0] * len(points)
    for train, held in labels_of.splits(spec, images.labels.numpy()):
        train, held = torch.from_numpy(train), torch.from_numpy(held)
        for number, head in enumerate(path(points, train)):
            right[number] += int((head.logits(x[held]).argmax(1) == images.labels[held]).sum())
    assert [record.result["score"] for record in trials] == [count / len(images) for count in right]
    assert [record.result["penalty"] for record in trials] == points
    chosen = final.result["trial"]
    best = max(right)
    ties = [n for n, count in enumerate(right) if count == best]
    if name == "ridge_probe":
        assert chosen == max(ties)  # the strongest penalty that does as well
    assert chosen in ties
    (head,) = path([points[chosen]])
    correct = int((head.logits(test).argmax(1) == data.test.labels).sum())
    assert final.result["score"] == final.result["best_on_test"] == correct / len(data.test)
    assert final.cost["logical"]["steps"] == 0
    assert final.cost["logical"]["trainable_params"] == toys.CLASSES * (x.shape[1] + 1)
    assert final.cost["logical"]["flops"] > 0
    assert (final.result["loss"] is None) == (name != "logistic_probe")
    assert all(record.result["converged"] for record in (*trials, final))


@pytest.mark.parametrize("name", FORMS)
def test_kept_features_and_the_whole_network_give_the_same(tmp_path, double, name):
    found = []
    for way in (True, False):
        context = toys.context(tmp_path / str(way), engine=Engine(partition=way, fleet=1))
        trials, final = toys.everything(context, solved(name))
        found.append([*trials, final])
        assert (context.features.computed > 0) == way
    for record in found[0] + found[1]:
        record.result.pop("evaluations")  # where L-BFGS stops hangs on the last digits
        record.result.pop("gradient_norm")
    assert_alike(*found, tolerance=1e-3)


def test_penalties_span_their_range_exactly_in_equal_ratios():
    got = penalties(solved("ridge_probe"))
    assert (got[0], got[-1]) == (1e-5, 1e2)
    assert [math.log10(b / a) for a, b in zip(got[:-1], got[1:], strict=True)] == pytest.approx([7 / 4] * 4)


def test_features_serve_the_trained_probe_and_every_closed_form(tmp_path):
    context = toys.context(tmp_path)
    job = toys.pretrain_job()
    assert perform(job, context)
    backbone = BackboneRef("toy_conv", {}, "coarse", Weights("pretrain", job.key))
    toys.everything(context, toys.fit_spec(recipe=toys.recipe("linear_probe", 6), backbone=backbone), job.key)
    before = context.features.computed
    for name in FORMS:
        toys.everything(context, solved(name, backbone=backbone), job.key)
    assert context.features.computed == before == 2


@pytest.mark.parametrize("lost", [(0,), (2, 4), (0, 1, 2, 3, 4)])
def test_an_interrupted_search_is_the_unbroken_one(tmp_path, lost):
    context, spec = toys.context(tmp_path), solved("logistic_probe")
    trials, _ = toys.everything(context, spec)
    search, _ = toys.search_and_final(spec)
    for number in lost:
        context.store.path(trial_key(search.key, number)).unlink()
    assert perform(search, context)
    again = [context.store.read(key) for key in search.record_keys]
    assert list(map(toys.metrics, again)) == list(map(toys.metrics, trials))


def test_a_network_without_a_linear_head_is_told_apart_from_a_failure(tmp_path, monkeypatch):
    real = toys.build_network

    def other(*arguments):
        net = real(*arguments)
        head = nn.Bilinear(2, 2, 2)
        return dataclasses.replace(net, modules=(*net.modules[:-1], (head,)))

    monkeypatch.setattr("bench.engine.common.start.build_network", other)
    trials, final = toys.everything(toys.context(tmp_path), solved("ridge_probe"))
    assert {record.status for record in (*trials, final)} == {"not_applicable"}
    assert final.error == "needs one linear layer as the head, and this network has another"


def test_a_fault_is_every_trials_and_the_final_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.engine.jobs.solved.ridge_folds", lambda *_: 1 / 0)
    trials, final = toys.everything(toys.context(tmp_path), solved("ridge_probe"))
    assert {record.status for record in trials} == {"failed"}
    assert (final.status, final.error) == ("failed", "none of the 5 trials of its search has a score")
