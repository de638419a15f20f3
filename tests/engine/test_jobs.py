"""Jobs end to end in this process: pretraining, search and final, and what their records say."""

import dataclasses

import numpy as np
import pytest
import torch

from bench.engine.common import start as fit
from bench.engine.common.context import OnDevice
from bench.engine.common.history import read_history
from bench.engine.jobs import finals
from bench.engine.jobs.perform import perform
from bench.engine.search.points import choose
from bench.engine.train.loop import Outcome
from bench.keys import digest
from bench.spec.job import trial_key
from bench.spec.refs import BackboneRef, Engine, LabelBudget, Weights
from bench.store import blobs
from bench.store.results import Point
from tests.conftest import put_in_place
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """One whole run, looked at by several tests."""
    with pytest.MonkeyPatch.context() as patch:
        put_in_place(patch)
        context = toys.context(tmp_path_factory.mktemp("whole"))
        spec, job = toys.pretrained(context)
        trials, final = toys.everything(context, spec, job.key)
        return context, spec, job, trials, final


def test_a_pretraining_leaves_weights_and_says_how_good_they_are(told):
    context, _, job, _, _ = told
    record = context.shared.read(job.key)
    assert (record.kind, record.status, record.error) == ("pretrain", "ok", None)
    assert 0.3 < record.result["score"] <= 1
    assert record.result["num_test"] == 103
    assert [point["step"] for point in record.result["curve"]] == [2, 4, 6, 8]  # 60 images in batches of 16, twice
    assert record.cost["logical"]["steps"] == 8
    assert record.cost["logical"]["samples"] == 8 * 16
    assert blobs.get(context.shared.root, record.result["weights_sha256"])
    assert record.result["dataset_sha256"] != told[4].result["dataset_sha256"]  # another shade


def test_trials_say_what_was_tried_and_how_it_went(told):
    _, spec, job, trials, _ = told
    search, _ = toys.search_and_final(spec, job.key)
    for number, record in enumerate(trials):
        assert (record.kind, record.status, record.error) == ("trial", "ok", None)
        assert record.key == trial_key(search.key, number)
        assert (record.spec["number"], record.spec["job"], record.spec["needs"]) == (number, "search", [job.key])
        assert record.result["lr"] == record.spec["hyper"]["lr"]
        assert record.result["num_validation"] == 6  # a quarter of 24
        assert record.result["score"] * 6 == pytest.approx(round(record.result["score"] * 6))
        assert len(record.result["folds"]) == 1
        assert record.cost["logical"]["steps"] == 12
    assert [record.result["lr"] for record in trials] == pytest.approx([1e-2, 10**-1.5, 1e-1])


def test_a_final_holds_all_that_is_promised(told):
    context, spec, job, trials, final = told
    result, cost = final.result, final.cost
    assert (final.kind, final.status, final.error) == ("final", "ok", None)
    chosen = choose(read_history(final.spec["needs"][-1], spec, context.store))
    assert (result["lr"], result["trial"]) == (chosen.hyper.lr, chosen.number)
    assert result["weight_decay"] == toys.SEARCH.weight_decay
    assert result["lr_edge"] == ["low", "", "high"][result["trial"]]
    assert result["metric"] == "accuracy"
    assert result["num_labels"] == 24  # train and validation together
    assert result["num_test"] == 103
    assert [point["step"] for point in result["curve"]] == [4, 8, 12]
    assert result["score"] == result["curve"][-1]["accuracy"]
    assert result["loss"] == result["curve"][-1]["loss"]
    assert result["best_on_test"] == max(point["accuracy"] for point in result["curve"])
    assert len(result["dataset_sha256"]) == 64
    net = toys.network()
    body = sum(len(unit) for unit in toys.frozen_state(net)[:-1])
    assert result["weights"]["matched"] == result["weights"]["expected"] == body
    assert set(result["weights"]["dropped"]) == set(net.parameters[-1])
    assert len(result["weights"]["sha256"]) == 64
    total = sum(p.numel() for p in net.module.parameters())
    logical = cost["logical"]
    assert (logical["steps"], logical["samples"]) == (12, 96)
    assert (logical["trainable_params"], logical["total_params"]) == (total, total)
    assert logical["flops"] > 12 * 8 * total
    assert cost["measured"]["seconds"] > 0
    assert cost["measured"]["peak_memory_bytes"] > 1e6
    assert final.provenance == {"commit": "none"}
    assert {"data", "budget", "backbone", "recipe", "pipeline", "training", "search", "repeat"} <= set(final.spec)


def test_every_start_is_announced_with_what_a_crash_would_leave(told):
    context, *_ = told
    messages = context.begins.__self__
    assert [kind for kind, _ in messages if kind == "written"] == ["written"] * 5
    begun = {}
    for kind, record in messages:
        if kind == "begins":
            begun[record.key] = record
            continue
        crash = begun.pop(record.key)
        assert (crash.kind, crash.spec) == (record.kind, record.spec)
        assert (crash.status, crash.error, record.status) == ("crashed", "the worker process died", "ok")
    assert not begun


def test_what_is_done_is_not_done_again(told, tmp_path):
    context, spec, job, _, _ = told
    again = dataclasses.replace(context, begins=pytest.fail, announce=pytest.fail)
    assert perform(job, again)
    for one in toys.search_and_final(spec, job.key):
        assert perform(one, again)


def test_two_runs_in_two_folders_give_the_same_numbers(told, tmp_path):
    _, spec, job, trials, final = told
    other = toys.context(tmp_path)
    torch.rand(23)
    assert toys.pretrained(other)[1] == job
    assert other.shared.read(job.key).result == told[0].shared.read(job.key).result
    trials_again, final_again = toys.everything(other, spec, job.key)
    assert list(map(toys.metrics, trials_again)) == list(map(toys.metrics, trials))
    assert toys.metrics(final_again) == toys.metrics(final)


def test_a_trial_record_that_was_lost_comes_back_the_same(tmp_path):
    context = toys.context(tmp_path)
    spec = toys.fit_spec(backbone=BackboneRef("toy_vit", {}, "coarse", Weights("random")),
                         recipe=toys.recipe("gradual_unfreeze", 5), search=dataclasses.replace(toys.SEARCH, folds=2))
    trials, final = toys.everything(context, spec)
    search, last = toys.search_and_final(spec)
    for number in (0, 1, 2):
        context.store.path(trial_key(search.key, number)).unlink()
        assert perform(search, context)
        again = context.store.read(trial_key(search.key, number))
        assert toys.metrics(again) == toys.metrics(trials[number])
    context.store.path(last.key).unlink()
    assert perform(last, context)
    assert toys.metrics(context.store.read(last.key)) == toys.metrics(final)
    assert trials[0].result["num_validation"] == 24  # every label, out of fold
    assert len(trials[0].result["folds"]) == 2
    assert trials[0].cost["logical"]["steps"] == 24


def test_stopping_between_trials_and_going_on(tmp_path):
    context = toys.context(tmp_path / "one")
    spec = toys.fit_spec(search=dataclasses.replace(toys.SEARCH, sampler="tpe", trials=4))
    search, final = toys.search_and_final(spec)
    answers = iter([False, False, True])
    assert not perform(search, dataclasses.replace(context, stopping=lambda: next(answers)))
    assert [context.store.read(key) is None for key in search.record_keys] == [False, False, True, True]
    with pytest.raises(RuntimeError, match=f"trial 2 of search {search.key} has no record"):
        perform(final, context)
    assert context.store.read(final.key) is None  # a final never runs on a search that is not over
    broken, _ = toys.everything(context, spec)
    whole, _ = toys.everything(toys.context(tmp_path / "two"), spec)
    assert list(map(toys.metrics, broken)) == list(map(toys.metrics, whole))


class Sealed:
    """A test split that nobody may open."""

    def __getattr__(self, name):
        raise AssertionError(f"the test split was asked for {name}")

    def __len__(self):
        raise AssertionError("the test split was counted")


@pytest.mark.parametrize("folds", [0, 2])
def test_a_search_never_opens_the_test_split(tmp_path, folds):
    spec = toys.fit_spec(search=dataclasses.replace(toys.SEARCH, folds=folds, sampler="tpe"))
    context = toys.context(tmp_path)
    context._loaded[digest(spec.data)] = OnDevice(toys.images("train"), Sealed(), "ab" * 32)
    search, final = toys.search_and_final(spec)
    assert perform(search, context)
    assert {context.store.read(key).status for key in search.record_keys} == {"ok"}
    assert perform(final, context)  # whereas the final must, so the seal does hold
    assert "the test split was" in context.store.read(final.key).error


def test_a_search_looks_at_the_labels_of_its_budget_only(tmp_path):
    """Other labels of the training split are poisoned; no number of any trial moves."""
    spec = toys.fit_spec()
    index = fit.labels_of.labelled(spec, toys.images("train").labels.numpy())
    clean = toys.images("train")
    outside = np.setdiff1d(np.arange(60), index)
    spoilt = toys.Examples((clean.values[0].clone(),), clean.labels)
    spoilt.values[0][torch.from_numpy(outside)] = 255
    results = []
    for number, images in enumerate((clean, spoilt)):
        context = toys.context(tmp_path / str(number))
        context._loaded[digest(spec.data)] = OnDevice(images, toys.images("test"), "ab" * 32)
        trials, final = toys.everything(context, spec)
        results.append([*map(toys.metrics, trials), toys.metrics(final)])
    assert results[0] == results[1]


def test_every_strategy_of_a_repeat_starts_from_the_same_head(tmp_path):
    context = toys.context(tmp_path)
    starts = {}
    # The frozen random body of a probe gets the statistics of the images.
    of_images = {n for n in toys.network().module.state_dict() if "running" in n or "num_batches" in n}
    for name in ("linear_probe", "full_finetune", "scratch"):
        for repeat in (0, 1):
            begin = fit.start(toys.fit_spec(recipe=toys.recipe(name, 6), repeat=repeat), context)
            begin.renew()
            units = toys.frozen_state(begin.network)
            starts[name, repeat] = [{n: t for n, t in unit.items() if n not in of_images} for unit in units]
    for name in ("full_finetune", "scratch"):
        assert not any(toys.moved(starts["linear_probe", 0], starts[name, 0]))
    assert all(toys.moved(starts["scratch", 0], starts["scratch", 1])[:-1])
    assert not any(tensor.any() for tensor in starts["scratch", 0][-1].values())  # the head starts at zero


def test_trials_of_a_search_start_alike(tmp_path):
    """Each from the first network, none from where the one before it ended."""
    spec = toys.fit_spec(search=dataclasses.replace(toys.SEARCH, lr_low=1e-2, lr_high=1.0000001e-2, trials=2))
    (one, other), _ = toys.everything(toys.context(tmp_path), spec)
    assert other.result["loss"] == pytest.approx(one.result["loss"], rel=1e-4)


@pytest.mark.parametrize("budget", [LabelBudget("fraction", 0.2), LabelBudget("total", 13.0), LabelBudget("full")])
def test_other_budgets(tmp_path, budget):
    search = dataclasses.replace(toys.SEARCH, trials=1)
    final = toys.everything(toys.context(tmp_path), toys.fit_spec(budget=budget, search=search))[1]
    assert final.result["num_labels"] == {"fraction": 12, "total": 13, "full": 60}[budget.kind]


def test_the_context_keeps_a_few_datasets(tmp_path):
    context = toys.context(tmp_path)
    refs = [dataclasses.replace(toys.DATA, options={"shade": s}, revision=f"tiny-{s}") for s in range(6)]
    loaded = [context.data(ref) for ref in refs]
    assert len({one.sha256 for one in loaded}) == 6
    assert context.data(refs[5]) is loaded[5]
    assert context.data(refs[0]) is not loaded[0]
    assert context.data(refs[0]).sha256 == loaded[0].sha256


def test_the_result_is_the_last_reading_and_not_the_best(tmp_path, monkeypatch):
    """Choosing the moment of stopping on the test split is told as a diagnosis, and only there."""
    context = toys.context(tmp_path)
    search, final = toys.search_and_final(toys.fit_spec())
    perform(search, context)
    curve = [Point(6, 1.0, 93 / 103, 0.4), Point(12, 0.5, 52 / 103, 0.8)]
    outcome = Outcome(steps=12, samples=96, curve=curve, last=toys.scored(52, 103, 0.8))
    monkeypatch.setattr(finals, "Session", toys.ended(outcome))
    perform(final, context)
    result = context.store.read(final.key).result
    assert (result["score"], result["loss"], result["best_on_test"]) == (52 / 103, 0.8, 93 / 103)


@pytest.mark.parametrize("strategy", ["linear_probe", "ridge_probe"])
@pytest.mark.parametrize("engine", [Engine(fleet=1), Engine()])
def test_trials_tell_the_same_data_and_weights_as_their_final(tmp_path, strategy, engine):
    """Records are held against each other by these."""
    context = toys.context(tmp_path, engine=engine)
    spec, job = toys.pretrained(context, recipe=toys.recipe(strategy, 6))
    trials, final = toys.everything(context, spec, job.key)
    seen = [(one.result["dataset_sha256"], one.result["weights"]) for one in (*trials, final)]
    assert seen == [seen[-1]] * (1 + len(trials))
    assert seen[-1][1]["sha256"] == context.shared.read(job.key).result["tensors_sha256"]


def test_a_trial_that_diverged_tells_them_too(tmp_path):
    context = toys.context(tmp_path)
    search = dataclasses.replace(toys.SEARCH, trials=1, lr_low=1e30, lr_high=1e30)
    spec, job = toys.pretrained(context, search=search)
    (trial,), _ = toys.everything(context, spec, job.key)
    assert trial.status == "diverged"
    assert trial.unscored.weights["sha256"] == context.shared.read(job.key).result["tensors_sha256"]
    assert trial.unscored.dataset_sha256 == context.data(spec.data).sha256
