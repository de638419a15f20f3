"""Every way in which the engine computes, on a device: the same records as the plain loop's there, and the CPU's.

In every run on the pretend device (`pretend.py`), with `-m gpu` (`tox -e gpu`) on a real one.
"""

import dataclasses

import pytest
import torch

from bench.engine.common.features import Features
from bench.engine.common.start import start
from bench.engine.jobs.perform import perform
from bench.engine.reuse import stages
from bench.engine.reuse.stages import stages_for
from bench.engine.train.optimize import Hyper
from bench.engine.train.solo import Solo
from bench.modalities import pixels
from bench.planning.patterns import frozen_patterns
from bench.spec.refs import BackboneRef, Engine, Weights
from tests.engine import toys
from tests.engine.test_fleet import HALVING, forced, records
from tests.engine.test_staging import assert_alike
from tests.gpu.pretend import CARD, DEVICE, MEMORY, pretend_device

pytestmark = [pytest.mark.usefixtures("tiny")]
CPU = torch.device("cpu")
SMALL = dataclasses.replace(HALVING, trials=3, first_rung=1 / 3, folds=0)
SHORT = dataclasses.replace(toys.TRAINING, batch_size=4, steps=6)


def of_both(tmp_path, device, spec):
    """Trials and final of the same spec, there and on the CPU."""
    for one in (device, CPU):
        trials, final = toys.everything(toys.context(tmp_path / one.type, device=one), spec)
        yield [*trials, final]


@pytest.mark.parametrize("strategy", ["linear_probe", "gradual_unfreeze", "full_finetune", "ridge_probe"])
def test_partition_and_plain_loop_agree(tmp_path, device, double, strategy):
    spec = toys.fit_spec(
        recipe=toys.recipe(strategy, 6), search=dataclasses.replace(toys.SEARCH, folds=2, trials=2)
    )
    patterns = frozen_patterns(toys.search_and_final(spec))
    found = []
    for way in (False, True):
        context = toys.context(tmp_path / str(way), device=device, engine=Engine(way, 1), patterns=patterns)
        trials, final = toys.everything(context, spec)
        found.append([*trials, final])
    assert {record.status for record in found[0]} == {"ok"}
    assert_alike(*found, tolerance=1e-6)
    frozen = {record.cost["engine"]["frozen"][0] for record in found[1]}
    assert frozen == ({"none"} if strategy == "full_finetune" else {"kept"})


@pytest.mark.parametrize(("strategy", "form"), [
    ("linear_probe", "head"), ("gradual_unfreeze", "vmap"),
    pytest.param("full_finetune", "vmap", marks=pytest.mark.gpu),
])  # fmt: skip
def test_fleets_and_one_after_another_agree(tmp_path, monkeypatch, device, double, strategy, form):
    """The CPU's trainings one after another: that a device's agree with them, others see to."""
    forced(monkeypatch, form, 100)
    shared = toys.context(tmp_path / "shared")
    job = toys.pretrain_job()
    assert perform(job, shared)
    spec = toys.fit_spec(
        recipe=toys.recipe(strategy, 6), search=SMALL, training=SHORT,
        backbone=BackboneRef("toy_conv", {}, "coarse", Weights("pretrain", job.key)),
    )  # fmt: skip
    alone = records(tmp_path / "alone", spec, [job.key], repeats=2, shared=shared.shared)
    fields = {"shared": shared.shared, "device": device, "engine": Engine()}
    fleet = records(tmp_path / "fleet", spec, [job.key], repeats=2, **fields)
    assert_alike(fleet, alone, tolerance=1e-6)
    # A fleet that fails is trained one by one, with a notice and the same numbers.
    told = [record.cost["engine"] for record in fleet]
    assert {one["forms"][-1] for one in told} == {form}
    assert min(one["replicas"] for one in told) > 1


@pytest.mark.parametrize("strategy", ["gradual_unfreeze", pytest.param("full_finetune", marks=pytest.mark.gpu)])
def test_a_fleet_in_low_precision_is_near_to_one_after_another(tmp_path, monkeypatch, device, strategy):
    forced(monkeypatch, "vmap", 100)
    training = dataclasses.replace(SHORT, precision="bf16")
    search = dataclasses.replace(SMALL, lr_low=1e-3, lr_high=1e-2)  # calm: rounding stays small
    spec = toys.fit_spec(recipe=toys.recipe(strategy, 6), search=search, training=training)
    alone, fleet = (
        records(tmp_path / str(engine.fleet), spec, [], repeats=2, device=device, engine=engine)
        for engine in (Engine(fleet=1), Engine())
    )
    assert {record.cost["engine"]["forms"][-1] for record in fleet} == {"vmap"}
    assert min(record.cost["engine"]["replicas"] for record in fleet) > 1
    for one, other in zip(fleet, alone, strict=True):
        assert one.status == other.status == "ok"
        assert one.result["loss"] == pytest.approx(other.result["loss"], rel=0.03)


def test_a_pretraining_and_what_is_said_of_its_finals_are_near_those_of_a_cpu(tmp_path, device, double):
    """Forgetting, similarity, projections and the probabilities of all classes."""
    found = []
    for one in (device, CPU):
        context = toys.context(tmp_path / one.type, device=one, similarity=True, keeps="full", distances=True)
        spec, job = toys.pretrained(context, search=dataclasses.replace(toys.SEARCH, trials=1))
        _, final = toys.everything(context, spec, job.key)
        assert final.status == "ok"
        found.append([final])
    assert_alike(*found, tolerance=1e-6)


@pytest.mark.parametrize("changes", [
    {"flip": True, "shift": 1, "crop": 0.5}, {"flip": True, "views": 2, "shift": 1}, {"optimizer": "adamw"},
], ids=["random", "views", "adamw"])  # fmt: skip
def test_random_changes_and_optimizers_are_those_of_a_cpu(tmp_path, device, double, changes):
    training = dataclasses.replace(toys.TRAINING, **changes)
    search = dataclasses.replace(toys.SEARCH, trials=1)
    spec = toys.fit_spec(recipe=toys.recipe("full_finetune", 6), training=training, search=search)
    assert_alike(*of_both(tmp_path, device, spec), tolerance=1e-6)


def test_images_that_do_not_fit_are_fetched_batch_by_batch(tmp_path, device, monkeypatch):
    training = dataclasses.replace(toys.TRAINING, flip=True, shift=1)
    spec = toys.fit_spec(recipe=toys.recipe("linear_probe", 6), training=training)
    found = []
    for name, share in (("resident", 0.2), ("streamed", 0.0)):
        monkeypatch.setattr("bench.engine.common.context.RESIDENT_SHARE", share)
        context = toys.context(tmp_path / name, device=device, engine=Engine(False, 1))
        assert context.data(toys.DATA).train.is_streamed == (share == 0)
        trials, final = toys.everything(context, spec)
        found.append([toys.metrics(record) for record in (*trials, final)])
    assert found[0] == found[1]


def test_workers_of_one_card_share_its_memory(tmp_path, monkeypatch):
    """Room for a data set, and for open tables: of two that would fit there, the older one goes."""
    with pretend_device():
        rooms = [toys.context(tmp_path, device=DEVICE, sharing=number)._room() for number in (1, 4)]
        assert rooms == [int(MEMORY * 0.2), int(MEMORY * 0.05)]
        monkeypatch.setattr(CARD, "total_memory", 4 * 2 * 4000)
        kept = []
        for sharing in (1, 2):
            features = Features(tmp_path / str(sharing), DEVICE, sharing=sharing)
            for key in ("one", "two"):
                features.get([key], "group", lambda key=key: {key: torch.zeros(1000)})
            kept.append(list(features._open))
    assert kept == [["one", "two"], ["two"]]


def test_a_table_of_one_kind_of_device_is_none_of_anothers(tmp_path, device, double):
    spec = toys.fit_spec(
        recipe=toys.recipe("linear_probe", 6), search=dataclasses.replace(toys.SEARCH, trials=1)
    )
    for one in (CPU, device):
        context = toys.context(tmp_path / one.type, device=one, cache=tmp_path / "cache")
        trials, final = toys.everything(context, spec)
        assert {record.cost["engine"]["frozen"][0] for record in (*trials, final)} == {"kept"}
        assert context.features.computed > 0


@pytest.mark.parametrize("strategy", ["linear_probe", "full_finetune"])
def test_equal_runs_give_equal_bits_where_they_are_asked_for(tmp_path, device, monkeypatch, strategy):
    """Of a network whose backward passes would else add with atomics, and of one fleet of heads."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    training = dataclasses.replace(toys.TRAINING, flip=True, shift=1, deterministic=True)
    search = dataclasses.replace(toys.SEARCH, trials=2)
    spec = toys.fit_spec(recipe=toys.recipe(strategy, 6), training=training, search=search)
    found = []
    for name in ("one", "two"):
        context = toys.context(tmp_path / name, device=device, engine=Engine())
        trials, final = toys.everything(context, spec)
        assert {record.status for record in (*trials, final)} == {"ok"}
        found.append([toys.metrics(record) for record in (*trials, final)])
    assert found[0] == found[1]


def test_features_are_computed_in_passes_that_fill_a_device(tmp_path, device, monkeypatch):
    """As many examples as a pass of scoring has, at least; fewer on a CPU where they are large."""
    monkeypatch.setattr(pixels, "PASS_PIXELS", 5 * 8 * 8)
    monkeypatch.setattr(stages, "BATCH", 20)
    sizes = []
    real = stages._Maker._views
    monkeypatch.setattr(stages._Maker, "_views", lambda maker, base, how, size: sizes.append(size) or real(
        maker, base, how, size))  # fmt: skip
    found = []
    for one in (CPU, device):
        context = toys.context(tmp_path / one.type, device=one)
        sizes.clear()
        trials, final = toys.everything(context, toys.fit_spec(recipe=toys.recipe("linear_probe", 6)))
        assert set(sizes) == {5 if one == CPU else 20}
        found.append([*trials, final])
    assert_alike(*found, tolerance=1e-3)


def test_low_precision_is_really_used(tmp_path, device):
    training = dataclasses.replace(toys.TRAINING, precision="bf16")
    spec = toys.fit_spec(recipe=toys.recipe("linear_probe", 6), training=training)
    context = toys.context(tmp_path, device=device)
    begin = start(spec, context)
    begin.renew()
    images = context.data(spec.data).train
    stage = stages_for(spec, begin, [images], context)(0)
    team = Solo(begin.network, spec.procedure, Hyper(0.1, 0.0), begin.renew)
    team.enter(stage, spec.recipe.active(0), 0)
    seen = []
    begin.network.modules[-1][0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    assert len(team.score([images])[0]) == 1
    assert set(seen) == {torch.bfloat16}
