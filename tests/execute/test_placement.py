"""One worker for each device, and what is not there is refused before anything starts."""

import pytest

from bench.errors import BenchError
from bench.execute import placement
from bench.execute.gpus import Gpus
from bench.execute.placement import choose_placement


@pytest.fixture
def machine(monkeypatch):
    """Makes a machine of so many GPUs and cores."""

    def make(gpus, cores=8, trouble=""):
        monkeypatch.setattr(placement, "num_cores", lambda: cores)
        monkeypatch.setattr(placement, "usable_gpus", lambda: Gpus(("H200",) * gpus, 9.0, trouble))

    return make


def test_more_gpus_than_there_are(machine):
    machine(2)
    with pytest.raises(BenchError, match=r"^--gpus 3: this machine has 2$"):
        choose_placement(None, 3, None, None)


def test_gpus_asked_of_a_machine_without(machine):
    machine(0)
    with pytest.raises(BenchError, match=r"^--gpus 1: this machine has 0; leave it out to use the CPU$"):
        choose_placement(None, 1, None, None)


def test_gpus_that_torch_cannot_use(machine):
    machine(0, trouble="torch is built for CPUs only")
    with pytest.raises(BenchError, match=r"has 0 \(torch is built for CPUs only\); leave it out"):
        choose_placement(None, 1, None, None)


def test_every_gpu_has_its_workers_and_its_share_of_the_cores(machine):
    machine(2)
    assert choose_placement(None, None, None, None).devices == ("cuda:0", "cuda:1")
    two = choose_placement(2, None, None, None)
    assert two.devices == ("cuda:0", "cuda:0", "cuda:1", "cuda:1")
    assert two.threads == 2
    assert (two.sharing, choose_placement(None, None, None, None).sharing) == (2, 1)
    assert choose_placement(4, 0, None, None).sharing == 1  # a core is not shared


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
