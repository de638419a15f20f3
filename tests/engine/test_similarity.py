"""How much a training changed each unit: the number itself against its definition, and what a final records of it."""

import dataclasses
from itertools import permutations

import numpy as np
import pytest
import torch

from bench.engine.common.start import final_stream, start
from bench.engine.jobs import similarity
from bench.engine.jobs.perform import perform
from bench.engine.jobs.similarity import MOST, some, unbiased_cka
from bench.engine.train.loop import train
from bench.engine.train.optimize import Hyper
from bench.network.capture import in_eval_mode
from bench.spec.refs import BackboneRef, Engine, NewHead, Weights
from tests.engine import toys
from tests.engine.test_fleet import forced, several

pytestmark = [pytest.mark.usefixtures("tiny")]


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def by_definition(one, other):
    """HSIC as the mean over all ordered fours of different examples (Song et al. 2012), with nothing simplified."""

    def hsic(k, ell):
        fours = permutations(range(len(k)), 4)
        return np.mean([k[i, j] * (ell[i, j] + ell[q, r] - 2 * ell[i, q]) for i, j, q, r in fours])

    k, ell = one @ one.T, other @ other.T
    return hsic(k, ell) / np.sqrt(hsic(k, k) * hsic(ell, ell))


def plain(one, other):
    """The biased one, as Kornblith et al. 2019 print it."""
    one, other = one - one.mean(0), other - other.mean(0)
    return float((one.T @ other).norm() ** 2 / ((one.T @ one).norm() * (other.T @ other).norm()))


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_mean_over_all_fours(seed):
    one = normal(8, 3, seed=seed) + 5
    other = torch.cat([one[:, :1] + 0.3 * normal(8, 1, seed=seed + 10), normal(8, 4, seed=seed + 20)], 1)
    assert unbiased_cka(one, other) == pytest.approx(by_definition(one.numpy(), other.numpy()), rel=1e-9)


def test_a_rotation_a_shift_and_a_scale_change_nothing():
    features = normal(60, 12)
    rotation, _ = torch.linalg.qr(normal(12, 12, seed=1))
    assert unbiased_cka(features, features) == pytest.approx(1, abs=1e-12)
    assert unbiased_cka(features, 1e-6 * features @ rotation - 7) == pytest.approx(1, abs=1e-9)
    assert unbiased_cka(features, features * torch.linspace(0.1, 3, 12)) < 0.9


def test_unrelated_features_have_nothing_in_common_however_many_channels_there_are():
    one, other = normal(100, 500), normal(100, 500, seed=1)
    assert abs(unbiased_cka(one, other)) < 0.05
    assert plain(one, other) > 0.7, "where the plain one sees likeness"
    many = normal(4000, 5), normal(4000, 5, seed=1)
    assert unbiased_cka(*many) == pytest.approx(plain(*many), abs=0.01), "with many images they agree"


def test_features_that_are_the_same_for_every_image_have_no_likeness():
    assert unbiased_cka(torch.full((20, 3), 0.1), normal(20, 3)) is None
    assert unbiased_cka(normal(20, 3), torch.zeros(20, 3)) is None


def test_images_are_taken_from_the_whole_split_and_always_the_same_ones():
    images = toys.images("test").take(torch.arange(2600) % 103)
    rows = some(images).rows
    assert len(some(images)) == MOST
    assert torch.equal(rows, some(images).rows)
    places = torch.arange(MOST) * 2600 // MOST
    assert torch.equal(rows, images.rows[places])
    assert len(some(toys.images("test"))) == 103


def final(folder, name="full_finetune", toy="toy_conv", options=None, notice=print, **fields):
    context = toys.context(folder, similarity=True, notice=notice)
    backbone = BackboneRef(toy, {}, "coarse", Weights("random"))
    job = toys.pretrain_job(data=dataclasses.replace(toys.DATA, options={"shade": 1}, revision="tiny-1"),
                            backbone=backbone)  # fmt: skip
    assert perform(job, context)
    recipe = toys.recipe(name, toys.network(toy).num_units, **(options or {}))
    spec = toys.fit_spec(backbone=dataclasses.replace(backbone, weights=Weights("pretrain", job.key)), recipe=recipe,
                         **fields)  # fmt: skip
    _, record = toys.everything(context, spec, job.key)
    assert record.status == "ok", record.error
    return context, spec, record


@pytest.mark.parametrize("toy", toys.TOYS)
def test_frozen_units_are_as_they_were_and_the_others_are_not(tmp_path, toy):
    _, _, record = final(tmp_path, "freeze", toy, {"upto": 2})
    found = record.result["similarity"]
    assert len(found) == toys.network(toy).num_units - 1
    assert found[:2] == pytest.approx([1, 1], abs=1e-9)
    assert all(one < 1 - 1e-6 for one in found[2:])


def test_it_is_of_the_weights_that_the_training_began_with_and_those_that_were_scored(tmp_path):
    """Trained once more by the plain loop, and one unit heard by a hook of one's own."""
    context, spec, record = final(tmp_path, "transplant", options={"keep": 2, "tune": True})
    begin = start(spec, context)
    begin.renew()
    images = context.data(spec.data).test

    def heard():
        told = []
        unit = begin.network.module.get_submodule("stages.2")
        handle = unit.register_forward_hook(lambda *seen: told.append(seen[2]))
        with torch.no_grad(), in_eval_mode(begin.network.module):
            begin.network.module(images.inputs(spec.pipeline))
        handle.remove()
        return told[0].mean((2, 3)).double()

    before = heard()
    stream = final_stream(spec, context.data(spec.data))
    hyper = Hyper(record.result["lr"], record.result["weight_decay"])
    train(begin.network, toys.assignment(spec.recipe, images=stream.images, order_seed=stream.order_seed, hyper=hyper))
    assert record.result["similarity"][3] == pytest.approx(unbiased_cka(before, heard()), abs=1e-6)


@pytest.mark.parametrize("name", ["wise_ft", "soup", "lora"])
def test_whatever_was_scored_is_what_is_compared(tmp_path, name):
    _, _, record = final(tmp_path, name, "toy_vit" if name == "lora" else "toy_conv")
    found = record.result["similarity"]
    if name == "lora":
        assert found.pop(0) == pytest.approx(1, abs=1e-12), "nothing is added to the stem"
    assert all(0 < one < 1 - 1e-9 for one in found), "twelve steps move what is added by little"


def test_a_head_of_two_layers_does_not_keep_it_from_being_measured(tmp_path):
    _, record = toys.everything(toys.context(tmp_path, similarity=True), toys.fit_spec(head=NewHead(hidden=8)))
    assert len(record.result["similarity"]) == 5
    assert all(one < 1 for one in record.result["similarity"])


def test_nothing_else_of_a_record_depends_on_it(tmp_path, monkeypatch):
    _, _, asked = final(tmp_path / "asked")
    context = toys.context(tmp_path / "not")
    spec, job = toys.pretrained(context)
    _, silent = toys.everything(context, spec, job.key)
    assert "similarity" not in silent.result
    told = asked.result.pop("similarity")
    assert asked.result.pop("projection") is not None
    assert len(told) == 5
    assert toys.metrics(asked) == toys.metrics(silent), "the key and every number"


def test_a_closed_form_has_none(tmp_path):
    _, _, record = final(tmp_path, "ridge_probe", search=dataclasses.replace(toys.SEARCH, trials=1))
    assert "similarity" not in record.result


def test_every_network_of_a_fleet_tells_its_own(tmp_path, monkeypatch, double):
    forced(monkeypatch, "vmap", 100)
    found = {}
    for width in (1, "auto"):
        context = toys.context(tmp_path / str(width), engine=Engine(fleet=width), similarity=True)
        spec, job = toys.pretrained(context)
        searches, finals = several(spec, 3, job.key)
        assert perform(searches, context)
        assert perform(finals, context)
        records = [context.store.read(one.key) for one in finals]
        assert {record.cost["engine"]["replicas"] for record in records} == {1 if width == 1 else 3}
        found[width] = [record.result["similarity"] for record in records]
    for alone, together in zip(found[1], found["auto"], strict=True):
        assert together == pytest.approx(alone, abs=1e-6)
    assert found[1][0] != pytest.approx(found[1][1], abs=1e-4)


def test_a_measurement_that_fails_costs_no_score_and_says_why(tmp_path, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("no room")

    said = []
    monkeypatch.setattr(similarity, "unbiased_cka", fail)
    _, _, record = final(tmp_path, notice=said.append)
    assert record.result["similarity"] is None
    assert said == ["toy_conv: how much its units changed could not be measured: OutOfMemoryError: no room"]
