"""Every way in which a job can go wrong ends in a record that says so, and the suite goes on."""

import dataclasses

import pytest
import torch

from bench.backbones.weights_file import file_sha256
from bench.engine.jobs import finals
from bench.engine.jobs.perform import perform
from bench.engine.train.loop import Outcome, Session
from bench.errors import StoreError
from bench.network.weights import sha256_of
from bench.spec.refs import BackboneRef, Weights
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]


@pytest.mark.parametrize(("error", "status"), [
    (ZeroDivisionError("a bug"), "failed"), (MemoryError(), "oom"), (torch.OutOfMemoryError("no room"), "oom"),
    (torch.AcceleratorError("CUDA error: out of memory"), "oom"),
    (torch.AcceleratorError("CUDA error: invalid configuration argument"), "failed"),
])
def test_a_crash_in_training_becomes_a_record(tmp_path, monkeypatch, error, status):
    def explode(*_):
        raise error

    monkeypatch.setattr(Session, "advance", explode)
    trials, final = toys.everything(toys.context(tmp_path), toys.fit_spec())
    for record in trials:
        assert (record.status, record.error) == (status, f"{type(error).__name__}: {error}")
        assert "in explode" in record.result["traceback"]
        assert "score" not in record.result
    assert (final.status, final.error) == ("failed", "none of the 3 trials of its search has a score")


def test_what_failed_is_a_record_and_is_not_tried_again_unasked(tmp_path, monkeypatch):
    context, spec = toys.context(tmp_path), toys.fit_spec()
    with monkeypatch.context() as patch:
        patch.setattr(Session, "advance", lambda *_: 1 / 0)
        toys.everything(context, spec)
    again = dataclasses.replace(context, begins=pytest.fail, announce=pytest.fail)
    trials, final = toys.everything(again, spec)
    assert {record.status for record in (*trials, final)} == {"failed"}


def test_one_bad_trial_costs_one_trial(tmp_path, monkeypatch):
    real, calls = Session.advance, []

    def limp(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise ZeroDivisionError
        return real(*arguments)

    monkeypatch.setattr(Session, "advance", limp)
    trials, final = toys.everything(toys.context(tmp_path), toys.fit_spec())
    assert [record.status for record in trials] == ["ok", "failed", "ok"]
    assert final.status == "ok"
    assert final.result["trial"] in (0, 2)
    assert len(calls) == 4


def test_a_crash_in_pretraining_becomes_a_record_and_its_users_fail_alike(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.engine.jobs.pretrain.train", lambda *_: 1 / 0)
    context = toys.context(tmp_path)
    spec, job = toys.pretrained(context)
    assert context.shared.read(job.key).status == "failed"
    trials, final = toys.everything(context, spec, job.key)
    assert {record.status for record in trials} == {"failed"}
    assert {record.error for record in trials} == {f"RuntimeError: the pretraining {job.key} left no weights"}
    assert final.status == "failed"


def test_a_pretraining_that_diverges_leaves_no_weights(tmp_path):
    context = toys.context(tmp_path)
    job = toys.pretrain_job(lr=1e30, epochs=4)
    assert perform(job, context)
    record = context.shared.read(job.key)
    assert record.status == "diverged"
    assert "weights_sha256" not in record.result
    assert "loss not finite at step" in record.error


def from_file(path):
    sha256 = file_sha256(path)
    return toys.fit_spec(backbone=BackboneRef("toy_conv", {}, "coarse", Weights("file", sha256))), {sha256: path}


def test_weights_that_do_not_fit_fail_their_cells_only(tmp_path):
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    spec, files = from_file(tmp_path / "other.pth")
    context = toys.context(tmp_path, weights_files=files)
    trials, final = toys.everything(context, spec)
    assert {record.status for record in trials} == {"failed"}
    assert all(record.error.startswith("WeightsError: 0 of ") for record in trials)
    assert final.status == "failed"
    # The same context goes on with what does work.
    assert toys.everything(context, toys.fit_spec())[1].status == "ok"


def test_weights_that_changed_after_planning_are_not_taken_for_what_they_were(tmp_path):
    torch.save(toys.network(seed=5).module.state_dict(), tmp_path / "mine.pth")
    spec, files = from_file(tmp_path / "mine.pth")
    torch.save(toys.network(seed=6).module.state_dict(), tmp_path / "mine.pth")
    trials, _ = toys.everything(toys.context(tmp_path, weights_files=files), spec)
    assert {record.error for record in trials} == {
        "WeightsError: mine.pth was changed after this run was planned; start it again"
    }


def test_weights_from_a_file_are_loaded_and_told(tmp_path):
    torch.save(toys.network(seed=5).module.state_dict(), tmp_path / "mine.pth")
    spec, files = from_file(tmp_path / "mine.pth")
    probe = dataclasses.replace(spec, recipe=toys.recipe("linear_probe", 6))
    final = toys.everything(toys.context(tmp_path, weights_files=files), probe)[1]
    net = toys.network()
    assert final.result["weights"]["sha256"] == sha256_of(toys.network(seed=5).module.state_dict())
    assert final.cost["logical"]["trainable_params"] == sum(p.numel() for p in net.parameters[-1].values())
    assert final.cost["logical"]["total_params"] == sum(p.numel() for p in net.module.parameters())


def test_a_random_start_has_no_weights_to_tell_of(tmp_path):
    spec = toys.fit_spec(recipe=toys.recipe("scratch", 6), search=dataclasses.replace(toys.SEARCH, trials=1))
    assert toys.everything(toys.context(tmp_path), spec)[1].result["weights"] is None


def test_a_store_that_fails_stops_everything(tmp_path, monkeypatch):
    """Nothing could be recorded, so nothing may pretend to be: not a failed record, but the end."""
    context = toys.context(tmp_path)

    def full(*_):
        raise StoreError("disk full")

    monkeypatch.setattr(context.store, "write", full)
    for job in toys.search_and_final(toys.fit_spec()):
        monkeypatch.setattr(finals, "read_history", lambda *_: [])
        with pytest.raises(StoreError, match="disk full"):
            perform(job, context)


def test_a_diverging_search_is_told_and_its_final_does_not_run(tmp_path):
    search = dataclasses.replace(toys.SEARCH, lr_low=1e30, lr_high=1e32)
    context, spec = toys.context(tmp_path), toys.fit_spec(search=search)
    trials, final = toys.everything(context, spec)
    assert {record.status for record in trials} == {"diverged"}
    assert all("loss not finite at step" in record.error for record in trials)
    sha256 = context.data(spec.data).sha256
    assert trials[0].result == {"lr": 1e30, "weight_decay": 1e-4, "dataset_sha256": sha256, "weights": None}
    assert (final.status, final.result) == ("failed", {})


def test_a_final_that_diverges_says_so_and_has_no_score(tmp_path, monkeypatch):
    context = toys.context(tmp_path)
    search, final = toys.search_and_final(toys.fit_spec())
    perform(search, context)
    monkeypatch.setattr(finals, "Session", toys.ended(Outcome(steps=3, diverged_at=2)))
    perform(final, context)
    record = context.store.read(final.key)
    assert record.status == "diverged"
    assert record.error.startswith("loss not finite at step 2, rate ")
    assert "score" not in record.result
