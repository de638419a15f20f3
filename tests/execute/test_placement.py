"""Devices are counted without torch, and what is not there is refused before anything starts."""

import os

import pytest

from bench.errors import BenchError
from bench.execute import placement
from bench.execute.placement import choose_placement, compute_capability, count_gpus


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes a machine of so many GPUs and cores, with a driver's tool of that word."""

    def make(gpus, cores=8, visible=None, tool="exit 0"):
        monkeypatch.setattr(placement, "num_cores", lambda: cores)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        lines = "\n".join(f"echo 'GPU {n}: Some Name (UUID: GPU-{n}abc)'" for n in range(gpus))
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{lines}\n{tool}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)

    return make


@pytest.mark.parametrize(
    ("gpus", "visible", "count"),
    [
        (0, None, 0), (2, None, 2), (4, "0", 1), (4, "2,3", 2), (4, "", 0), (4, "-1", 0), (4, " ", 0), (4, "1,9,2", 1),
        (4, "0,-1,1", 1), (2, "GPU-0abc", 1), (1, "0,1,2", 1),
    ],
)  # fmt: skip
def test_count_gpus(machine, gpus, visible, count):
    machine(gpus, visible=visible)
    assert count_gpus() == count


@pytest.mark.parametrize(
    ("says", "found"),
    [("echo 9.0", 9.0), ("echo 8.6; echo 7.5", 7.5), ("echo '[N/A]'", None), ("exit 6", None), ("true", None)],
)
def test_the_oldest_card_tells_what_is_computed_in(machine, says, found):
    """As `nvidia-smi --query-gpu=compute_cap --format=csv,noheader` prints it."""
    machine(0, tool=f'test "$*" = "--query-gpu=compute_cap --format=csv,noheader" || exit 9; {says}')
    assert compute_capability() == found


def test_without_the_drivers_tool_nobody_knows(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compute_capability() is None


def test_a_driver_that_fails_has_no_gpus(machine):
    machine(2, tool="exit 9")
    assert count_gpus() == 0


def test_more_gpus_than_there_are(machine):
    machine(2)
    with pytest.raises(BenchError, match=r"^--gpus 3: this machine has 2$"):
        choose_placement(None, 3, None, None)


def test_gpus_asked_of_a_machine_without(machine):
    machine(0)
    with pytest.raises(BenchError, match=r"^--gpus 1: this machine has 0; leave it out to use the CPU$"):
        choose_placement(None, 1, None, None)


def test_every_gpu_has_its_workers_and_its_share_of_the_cores(machine):
    machine(2)
    assert choose_placement(None, None, None, None).devices == ("cuda:0", "cuda:1")
    two = choose_placement(2, None, None, None)
    assert two.devices == ("cuda:0", "cuda:0", "cuda:1", "cuda:1")
    assert two.threads == 2


def test_gpus_0_means_the_cpu(machine):
    machine(2, cores=3)
    assert choose_placement(None, 0, None, None).devices == ("cpu",) * 3


@pytest.mark.parametrize(
    ("workers", "threads", "devices", "each"), [(None, None, 8, 1), (3, None, 3, 1), (None, 4, 2, 4), (2, 4, 2, 4)]
)
def test_on_a_cpu_workers_times_threads_stay_within_the_cores(machine, workers, threads, devices, each):
    machine(0)
    made = choose_placement(workers, None, threads, 5.0)
    assert (len(made.devices), made.threads, made.timeout) == (devices, each, 5.0)


@pytest.mark.parametrize(("workers", "threads"), [(9, None), (3, 4), (None, 9)])
def test_more_than_the_cores_is_refused(machine, workers, threads):
    machine(0)
    with pytest.raises(BenchError, match=r"^\d+ workers of \d+ threads are more than the 8 cores there are$"):
        choose_placement(workers, None, threads, None)


def test_refused_before_anything_is_written(launcher, tmp_path):
    command = launcher.run(tmp_path, "--gpus", 1)
    assert command.wait() == 2
    assert command.stderr == "--gpus 1: this machine has 0; leave it out to use the CPU\n"
    assert not (tmp_path / "results" / "tiny").exists()
