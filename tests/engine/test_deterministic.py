"""Where a suite asks for equal bits, an operation that adds in an order by chance is refused; elsewhere it is not."""

import dataclasses
import os

import pytest
import torch
from torch.nn import functional as F

from bench.backbones import BACKBONES
from bench.engine.jobs.perform import perform
from bench.engine.train import precision
from bench.spec.refs import Engine
from tests.conftest import build_toy_conv
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]
ASKED = dataclasses.replace(toys.TRAINING, deterministic=True)


def build_unpooling(num_classes, options):
    """`max_unpool2d` has no deterministic form on any device."""
    net = build_toy_conv(num_classes, options)

    def there_and_back(module, inputs, output):
        return F.max_unpool2d(*F.max_pool2d(output, 2, return_indices=True), 2)

    net.stem.register_forward_hook(there_and_back)
    return net


@pytest.fixture
def unpooling(tiny, monkeypatch):
    monkeypatch.setitem(BACKBONES, "toy_conv", dataclasses.replace(BACKBONES["toy_conv"], build=build_unpooling))


@pytest.mark.parametrize("fleet", [1, "auto"])
@pytest.mark.parametrize("strategy", ["full_finetune", "linear_probe", "ridge_probe"])
@pytest.mark.usefixtures("unpooling")
def test_what_has_no_such_form_fails_and_says_so(tmp_path, strategy, fleet):
    recipe, context = toys.recipe(strategy, 6), toys.context(tmp_path, engine=Engine(fleet=fleet))
    trials, _ = toys.everything(context, toys.fit_spec(recipe=recipe, training=ASKED))
    assert {(trial.status, trial.error) for trial in trials} == {("failed", (
        "max_unpooling2d_forward_out adds in an order by chance on this device, and `engine.deterministic` forbids it"
    ))}  # fmt: skip
    trials, final = toys.everything(context, toys.fit_spec(recipe=recipe))  # in the same process
    assert {record.status for record in (*trials, final)} == {"ok"}


def test_every_kind_of_job_is_done_so_and_leaves_the_process_as_it_was(tmp_path, monkeypatch):
    seen = []
    real = F.cross_entropy

    def note(*arguments, **more):
        seen.append(torch.are_deterministic_algorithms_enabled())
        return real(*arguments, **more)

    monkeypatch.setattr(F, "cross_entropy", note)
    context = toys.context(tmp_path)
    jobs = [toys.pretrain_job(deterministic=True), *toys.search_and_final(toys.fit_spec(training=ASKED))]
    for job in jobs:
        seen.clear()
        assert perform(job, context)
        assert seen
        assert all(seen)
        assert not torch.are_deterministic_algorithms_enabled()
    seen.clear()
    assert perform(toys.pretrain_job(), context)
    assert seen
    assert not any(seen)
    broken = dataclasses.replace(toys.pretrain_job(deterministic=True).spec, seed=1)
    monkeypatch.setattr("bench.engine.jobs.perform.run_pretraining", lambda *_: exec("raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        perform(dataclasses.replace(jobs[0], spec=broken), context)
    assert not torch.are_deterministic_algorithms_enabled()


def test_tables_of_features_are_not_shared_with_jobs_that_do_not_ask(tmp_path):
    context, computed = toys.context(tmp_path), []
    for training in (toys.TRAINING, toys.TRAINING, ASKED):
        toys.everything(context, toys.fit_spec(recipe=toys.recipe("linear_probe", 6), training=training))
        computed.append(context.features.computed)
    assert computed[0] == computed[1] < computed[2] == 2 * computed[0]


def test_on_a_cpu_the_numbers_stay_what_they_are(tmp_path):
    found = []
    for training in (toys.TRAINING, ASKED):
        trials, final = toys.everything(toys.context(tmp_path), toys.fit_spec(training=training))
        found.append([record.result for record in (*trials, final)])
    assert found[0] == found[1]


@pytest.mark.parametrize(("is_asked", "given", "expected"), [
    (True, None, ":4096:8"), (True, ":16:8", ":16:8"), (False, None, None),
])  # fmt: skip
def test_cublas_is_told_before_cuda_begins(monkeypatch, is_asked, given, expected):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", given or "")
    if given is None:
        monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    precision.set_explicitly(is_asked)
    assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == expected
