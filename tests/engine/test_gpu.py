"""On an accelerator (`tox -e gpu`): the same records as the plain loop's there, and near the CPU's."""

import dataclasses

import pytest
import torch

from bench.engine.common.start import start
from bench.engine.jobs.perform import perform
from bench.engine.reuse.stages import stages_for
from bench.engine.train import precision
from bench.engine.train.optimize import Hyper
from bench.engine.train.solo import Solo
from bench.planning.patterns import frozen_patterns
from bench.spec.refs import BackboneRef, Engine, Weights
from tests.engine import toys
from tests.engine.test_fleet import HALVING, forced, records
from tests.engine.test_staging import assert_alike

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("tiny")]


@pytest.fixture(scope="module")
def device():
    if not torch.cuda.is_available():
        pytest.fail("no accelerator")
    precision.set_explicitly()
    return torch.device("cuda")


@pytest.mark.parametrize("strategy", ["linear_probe", "freeze", "gradual_unfreeze", "full_finetune", "ridge_probe"])
def test_partition_and_plain_loop_agree(tmp_path, device, double, strategy):
    options = {"upto": 3} if strategy == "freeze" else {}
    spec = toys.fit_spec(
        recipe=toys.recipe(strategy, 6, **options), search=dataclasses.replace(toys.SEARCH, folds=2, trials=3)
    )
    patterns = frozen_patterns(toys.search_and_final(spec))
    found = []
    for way in (False, True):
        context = toys.context(tmp_path / str(way), device=device, engine=Engine(way, 1), patterns=patterns)
        trials, final = toys.everything(context, spec)
        found.append([*trials, final])
    assert {record.status for record in found[0]} == {"ok"}
    assert_alike(*found, tolerance=1e-6)


@pytest.mark.parametrize(("strategy", "form"), [
    ("linear_probe", "head"), ("scratch", "vmap"), ("full_finetune", "vmap"), ("gradual_unfreeze", "vmap"),
])  # fmt: skip
def test_fleets_and_one_after_another_agree(tmp_path, monkeypatch, device, double, strategy, form):
    forced(monkeypatch, form, 100)
    shared = toys.context(tmp_path / "shared", device=device)
    job = toys.pretrain_job()
    assert perform(job, shared)
    spec = toys.fit_spec(
        recipe=toys.recipe(strategy, 6), search=HALVING, training=dataclasses.replace(toys.TRAINING, batch_size=4),
        backbone=BackboneRef("toy_conv", {}, "coarse", Weights("pretrain", job.key)),
    )  # fmt: skip
    fields = {"shared": shared.shared, "device": device}
    alone = records(tmp_path / "alone", spec, [job.key], **fields)
    fleet = records(tmp_path / "fleet", spec, [job.key], engine=Engine(), **fields)
    assert_alike(fleet, alone, tolerance=1e-6)


def test_the_records_are_near_those_of_a_cpu(tmp_path, device, double):
    spec = toys.fit_spec(recipe=toys.recipe("full_finetune", 6))
    found = []
    for name in (device, torch.device("cpu")):
        trials, final = toys.everything(toys.context(tmp_path / name.type, device=name), spec)
        found.append([*trials, final])
    assert_alike(*found, tolerance=1e-6)


def test_images_that_do_not_fit_are_fetched_batch_by_batch(tmp_path, device, monkeypatch):
    spec = toys.fit_spec(recipe=toys.recipe("full_finetune", 6))
    found = []
    for name, share in (("resident", 0.2), ("streamed", 0.0)):
        monkeypatch.setattr("bench.engine.common.context.RESIDENT_SHARE", share)
        context = toys.context(tmp_path / name, device=device)
        assert context.data(toys.DATA).train.is_streamed == (share == 0)
        trials, final = toys.everything(context, spec)
        found.append([toys.metrics(record) for record in (*trials, final)])
    assert found[0] == found[1]


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
