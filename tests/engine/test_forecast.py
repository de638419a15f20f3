"""What finals tell of forecasts: of which network and examples they are, found once, and at nobody's cost."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import stats

from bench.engine.common import forecast
from bench.engine.common.forecast import forecast_of
from bench.engine.common.labels import labelled
from bench.engine.common.sources import source_of
from bench.engine.common.start import start
from bench.engine.jobs.perform import perform
from bench.solve import forecasts
from bench.spec.refs import LabelBudget
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]


def asked(tmp_path, **fields):
    return toys.context(tmp_path, forecasts=True, **fields)


def final_of(context, name="linear_probe", **fields):
    spec, job = toys.pretrained(context, **fields)
    spec = dataclasses.replace(spec, recipe=toys.recipe(name, 6))
    _, final = toys.everything(context, spec, job.key)
    return spec, final


def probed(spec, context):
    """Features of the repeat's labelled examples as the linear probe's own start gives them, layer by layer."""
    module = start(dataclasses.replace(spec, recipe=toys.recipe("linear_probe", 6)), context).renew().module.eval()
    data = context.data(spec.data, spec.pipeline)
    images = data.train.take(labelled(spec, data.train_labels))
    with torch.no_grad():
        rows = module.forward_head(module.forward_features(images.inputs(spec.pipeline)), pre_logits=True)
    return rows.double(), images


def approximately(value):
    return None if value is None else pytest.approx(value, rel=1e-4)


def numbers(found):
    return {name: value for name, value in found.items() if name != "seconds"}


@pytest.mark.parametrize("name", ["linear_probe", "full_finetune", "ridge_probe", "lora"])
def test_every_final_that_is_asked_tells_the_same(tmp_path, name):
    """Whatever was trained: it is of the network that a probe begins with, and of the labels of this repeat."""
    context = asked(tmp_path)
    spec, final = final_of(context, name)
    found = final.result["forecast"]
    rows, images = probed(spec, context)
    assert found["num"] == found["num_labels"] == len(images) == 24
    for field, score in forecast.OF_FEATURES.items():
        assert found[field] == approximately(score(rows, images.labels)), field
    assert final.final.forecast.log_me == found["log_me"]


def test_the_classifier_that_it_was_pretrained_with_answers(tmp_path):
    context = asked(tmp_path)
    spec, final = final_of(context)
    source, (_, images) = source_of(spec, context), probed(spec, context)
    with torch.no_grad():
        said = source.network.module(images.inputs(spec.pipeline)).double().softmax(1)
    found = final.result["forecast"]
    assert found["leep"] == pytest.approx(forecasts.leep(said, images.labels), rel=1e-5)
    table = np.histogram2d(said.argmax(1).numpy(), images.labels.numpy(), bins=3, range=[[0, 3]] * 2)[0]
    by_hand = sum(row.sum() / table.sum() * stats.entropy(row) for row in table if row.sum())
    assert found["nce"] == pytest.approx(-by_hand)
    assert "without_head" not in found


def test_a_random_network_is_seen_as_a_probe_sees_it_and_has_no_classifier_of_its_own(tmp_path):
    context = asked(tmp_path)
    spec = toys.fit_spec(recipe=toys.recipe("full_finetune", 6))
    _, final = toys.everything(context, spec)
    found = final.result["forecast"]
    rows, images = probed(spec, context)
    assert found["log_me"] == pytest.approx(forecasts.log_me(rows, images.labels), rel=1e-5)
    assert (found["leep"], found["nce"]) == (None, None)
    assert found["without_head"] == "needs the head that the backbone was pretrained with; its weights are random"


@pytest.mark.parametrize("name", ["scratch", "source_only", "own_head"])
def test_nothing_is_foretold_where_the_targets_labels_or_the_weights_are_not_used(tmp_path, name):
    context = asked(tmp_path)
    spec, _ = toys.pretrained(context)
    assert forecast_of(dataclasses.replace(spec, recipe=toys.recipe(name, 6)), context) == {}
    assert forecast_of(spec, context)["forecast"]["num"] == 24


def test_nothing_is_said_where_nobody_asked_and_the_rest_is_the_same(tmp_path):
    _, plain = final_of(toys.context(tmp_path / "plain"))
    _, final = final_of(asked(tmp_path / "asked"))
    assert "forecast" not in plain.result
    assert final.key == plain.key
    assert {**plain.result, "forecast": final.result["forecast"]} == final.result


def test_trials_and_finals_that_make_a_mistake_on_purpose_tell_nothing(tmp_path):
    context = asked(tmp_path)
    spec, job = toys.pretrained(context)
    search, final = toys.search_and_final(spec, job.key)
    context = dataclasses.replace(context, mistaken=frozenset([final.key]))
    assert perform(search, context)
    assert perform(final, context)
    records = [context.store.read(key) for key in (*search.record_keys, final.key)]
    assert [("forecast" in record.result, record.status) for record in records] == [(False, "ok")] * 4


def test_a_training_beside_it_is_not_disturbed(tmp_path):
    """The network is one of its own: those that wait to train keep their weights."""
    context = asked(tmp_path)
    spec, _ = toys.pretrained(context)
    begin = start(spec, context)
    with torch.no_grad():
        for parameter in begin.network.module.parameters():
            parameter.fill_(0.5)
    forecast_of(spec, context)
    assert all(bool((parameter == 0.5).all()) for parameter in begin.network.module.parameters())


def test_it_is_found_out_once_for_each_target_repeat_and_network(tmp_path, monkeypatch):
    context = asked(tmp_path)
    spec, final = final_of(context)
    measured, measure = [], forecast._measure
    monkeypatch.setattr(forecast, "_measure", lambda *args: measured.append(args[0]) or measure(*args))
    again = asked(tmp_path)
    other = dataclasses.replace(spec, recipe=toys.recipe("full_finetune", 6))
    assert forecast_of(other, again)["forecast"] == final.result["forecast"]
    assert not measured
    another_budget = dataclasses.replace(spec, budget=LabelBudget("labels_per_class", 4.0))
    another_target = dataclasses.replace(spec, data=dataclasses.replace(toys.DATA, options={"shade": 3}))
    another_network = dataclasses.replace(spec, backbone=toys.fit_spec().backbone)
    for one in (dataclasses.replace(spec, repeat=1), another_budget, another_target, another_network):
        assert numbers(forecast_of(one, again)["forecast"]) != numbers(final.result["forecast"])
        assert measured == [one]
        measured.clear()


def test_of_many_examples_some_are_looked_at_and_the_same_ones_every_time(tmp_path, monkeypatch):
    monkeypatch.setattr(forecast, "MOST", 20)
    context = asked(tmp_path)
    spec, final = final_of(context)
    assert (final.result["forecast"]["num"], final.result["forecast"]["num_labels"]) == (20, 24)
    _, images = probed(spec, context)
    assert forecast._some(images).rows.tolist() == forecast._some(images).rows.tolist()
    assert set(forecast._some(images).rows.tolist()) < set(images.rows.tolist())


def test_each_score_and_the_pass_over_the_examples_say_what_they_took(tmp_path):
    _, final = final_of(asked(tmp_path))
    seconds = final.result["forecast"]["seconds"]
    assert set(seconds) == {"features", *forecast.OF_FEATURES, "leep", "nce"}
    assert all(0 < value < math.inf for value in seconds.values())


def test_a_forecast_that_fails_costs_no_score_and_says_why(tmp_path, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("no room")

    said = []
    monkeypatch.setitem(forecast.OF_FEATURES, "parc", fail)
    _, final = final_of(asked(tmp_path, notice=said.append))
    assert final.status == "ok"
    assert final.result["forecast"] == {"error": "OutOfMemoryError: no room"}
    assert said == ["tiny: transfer could not be forecast: OutOfMemoryError: no room"]
