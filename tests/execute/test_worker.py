"""What a worker does where its device, or its runner, is not what it was."""

import dataclasses
import multiprocessing
import os

import pytest
import torch

from bench.datasets.split_lists import Lists
from bench.engine.jobs.perform import perform
from bench.execute import worker as worker_module
from bench.execute.messages import Paused, Setup, Starting
from bench.execute.worker import RunnerGone, make_context
from bench.spec.refs import Engine
from tests.engine import toys


@pytest.fixture
def pipes():
    ours, theirs = multiprocessing.Pipe()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def setup(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_module, "machine_cache", lambda: None)
    return Setup(
        results=tmp_path, suite="toys", device="cpu", threads=torch.get_num_threads(), engine=Engine(fleet=1),
        keeps="none", distances=False, forecasts=False, similarity=False, samples=False, patterns={}, weights_files={},
        sources={}, lists=Lists(), arithmetic={}, provenance={},
        log=tmp_path / "log",
    )  # fmt: skip


def said(pipe):
    while pipe.poll():
        yield pipe.recv()


class Breaking:
    """A pipe whose other end is gone after so many messages."""

    def __init__(self, num):
        self.left = num

    def send(self, message):
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError

    def poll(self):
        return False


def test_a_device_is_first_used_when_all_is_set_for_equal_bits(setup, monkeypatch, pipes):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    seen = []
    monkeypatch.setattr(worker_module, "_prove", lambda device: seen.append(os.environ.get("CUBLAS_WORKSPACE_CONFIG")))
    for is_deterministic in (False, True):
        make_context(dataclasses.replace(setup, is_deterministic=is_deterministic), pipes[1])
    assert seen == [None, ":4096:8"]


@pytest.mark.parametrize("strategy", ["linear_probe", "ridge_probe", "full_finetune", "pretraining"])
@pytest.mark.usefixtures("tiny")
def test_a_runner_that_is_gone_is_no_failed_training(setup, tmp_path, strategy):
    """Whichever message finds nobody."""
    if strategy == "pretraining":
        jobs = [toys.pretrain_job()]
    else:
        search = dataclasses.replace(toys.SEARCH, trials=1)
        jobs = toys.search_and_final(toys.fit_spec(recipe=toys.recipe(strategy, 6), search=search))
    for num in range(100):
        place = dataclasses.replace(setup, results=tmp_path / str(num))
        pipe = Breaking(num)
        context = make_context(place, pipe)
        try:
            for job in jobs:
                assert perform(job, context)
        except RunnerGone:
            assert pipe.left == -1, "nothing more was said"
        written = [*context.store.scan()[0].values(), *context.shared.scan()[0].values()]
        assert {record.status for record in written} <= {"ok"}
        if pipe.left >= 0:
            break
    assert num > len(jobs)
    assert len(written) == sum(len(job.record_keys) for job in jobs)


@pytest.mark.usefixtures("tiny")
def test_tables_are_made_in_a_pause(setup, pipes):
    ours, theirs = pipes
    context = make_context(setup, theirs)
    search, final = toys.search_and_final(toys.fit_spec(recipe=toys.recipe("linear_probe", 6)))
    assert perform(search, context)
    list(said(ours))
    assert perform(final, context)
    kinds = [message for message in said(ours) if isinstance(message, Starting | Paused)]
    first = next(number for number, one in enumerate(kinds) if isinstance(one, Starting) and one.together == 1)
    assert kinds[first + 1 :] == [Paused(), Paused(is_over=True)]


def test_a_wish_for_forecasts_reaches_the_context(setup, pipes):
    assert make_context(dataclasses.replace(setup, forecasts=True), pipes[1]).forecasts
    assert not make_context(setup, pipes[1]).forecasts


def test_a_wish_for_distances_reaches_the_context(setup, pipes):
    assert make_context(dataclasses.replace(setup, distances=True), pipes[1]).distances
    assert not make_context(setup, pipes[1]).distances


def test_a_device_that_does_not_work_ends_its_process_before_any_job(setup, pipes):
    with pytest.raises((RuntimeError, NotImplementedError)):
        make_context(dataclasses.replace(setup, device="meta"), pipes[1])


def test_a_device_that_computes_wrongly_does_not_work(setup, pipes, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "mm", torch.Tensor.add)
    with pytest.raises(RuntimeError, match="cpu computes something else than the product of two matrices"):
        make_context(setup, pipes[1])
