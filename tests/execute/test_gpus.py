"""GPUs are counted by CUDA's own driver: by a stand-in for it, compiled here, and by one made of Python."""

import shutil
import subprocess

import pytest
import torch

from bench.commands.run import _tell_of_gpus
from bench.commands.suites import machine_here
from bench.execute import ask_cuda, gpus
from bench.execute.gpus import Gpus, compute_capability, count_gpus, driver_gpus, usable_gpus

# Counts what CUDA_VISIBLE_DEVICES names, up to $FAKE_GPUS; the first card is of compute capability 8.6, others 9.0.
LIBCUDA = r"""
#include <stdlib.h>
#include <string.h>
int cuInit(unsigned flags) { const char *code = getenv("FAKE_CODE"); return code ? atoi(code) : 0; }
int cuDeviceGetCount(int *count) {
    const char *names = getenv("CUDA_VISIBLE_DEVICES");
    int most = atoi(getenv("FAKE_GPUS")), named = 1;
    for (const char *c = names ? names : ""; *c; c++) named += *c == ',';
    *count = !names ? most : !strcmp(names, "GPU-nosuch") ? 0 : named < most ? named : most;
    return 0;
}
int cuDeviceGet(int *device, int ordinal) { *device = 10 + ordinal; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "Some Card", length); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? (device == 10 ? 8 : 9) : attribute == 76 ? (device == 10 ? 6 : 0) : -1;
    return 0;
}
int cuGetErrorString(int code, const char **words) {
    *words = "unsupported display driver / cuda driver combination";
    return code == 803 ? 0 : 1;
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("driver")
    (folder / "fake.c").write_text(LIBCUDA)
    command = [compiler, "-shared", "-fPIC", "-o", folder / ask_cuda.LIBRARY, folder / "fake.c"]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus._asked.cache_clear()
    yield
    gpus._asked.cache_clear()


@pytest.fixture
def driver(folder, monkeypatch):
    """A driver with so many cards."""

    def make(num, visible=None, code=0):
        monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
        monkeypatch.setenv("FAKE_GPUS", str(num))
        monkeypatch.setenv("FAKE_CODE", str(code))
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return make


@pytest.mark.parametrize(("num", "visible", "count"), [
    (0, None, 0), (2, None, 2), (4, "2,3", 2), (1, "GPU-8f2c", 1), (7, "MIG-3c1d9a2e-0b5f-5f3e-9d2a-1f7c6f0c9d10", 1),
])  # fmt: skip
def test_the_driver_counts_and_reads_what_is_visible(driver, monkeypatch, num, visible, count):
    driver(num, visible)
    assert driver_gpus() == Gpus(("Some Card",) * count, 8.6 if count else None)
    monkeypatch.setattr(gpus, "torch_is_for_cpus", lambda: False)
    assert count_gpus() == count
    assert machine_here().kind == ("GPU" if count else "CPU")
    assert machine_here(0).kind == "CPU"


def test_where_all_are_hidden_the_oldest_card_is_known(driver):
    """As Ray hides them from whoever asked for none."""
    driver(2, "GPU-nosuch")
    assert compute_capability() == 8.6


@pytest.mark.parametrize(("code", "visible", "trouble"), [
    (803, None, "a CUDA driver is here, but no GPU works: unsupported display driver / cuda driver combination"),
    (999, None, "a CUDA driver is here, but no GPU works: error 999"),
    (ask_cuda.NO_DEVICE, None, ""),
    (ask_cuda.NO_DEVICE, "", ""), (ask_cuda.NO_DEVICE, "-1", ""),
    (0, "GPU-nosuch", "CUDA_VISIBLE_DEVICES=GPU-nosuch names no GPU of this machine"),
])  # fmt: skip
def test_why_a_driver_has_no_gpu(driver, code, visible, trouble):
    driver(2, visible, code)
    assert driver_gpus() == Gpus(trouble=trouble)


def test_without_a_driver_there_is_nothing_to_tell_of(monkeypatch, tmp_path):
    script = tmp_path / "asking.py"
    script.write_text(gpus.ASKING.read_text().replace(ask_cuda.LIBRARY, "libno-such-driver.so"))
    monkeypatch.setattr(gpus, "ASKING", script)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert driver_gpus() == Gpus()


@pytest.mark.parametrize(("script", "trouble"), [
    ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    ("import time; time.sleep(60)", "timed out"),
    ("print('no JSON')", "failed"),
])  # fmt: skip
def test_a_driver_that_crashes_or_hangs_takes_nobody_along(monkeypatch, tmp_path, script, trouble):
    (tmp_path / "asking.py").write_text(script)
    monkeypatch.setattr(gpus, "ASKING", tmp_path / "asking.py")
    monkeypatch.setattr(gpus, "PATIENCE", 0.5 if "sleep" in script else 60)
    found = driver_gpus()
    assert not found.names
    assert trouble in found.trouble


def test_a_torch_for_cpus_uses_no_card_and_says_so(driver, monkeypatch, tmp_path):
    driver(2)
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    spec = gpus.importlib.util.spec_from_file_location("torch", tmp_path / "torch" / "__init__.py")
    monkeypatch.setattr(gpus.importlib.util, "find_spec", lambda name: spec)
    for cuda, is_for_cpus in ((None, True), ("13.2", False)):
        (tmp_path / "torch" / "version.py").write_text(f"from typing import Optional\ncuda: Optional[str] = {cuda!r}\n")
        assert gpus.torch_is_for_cpus() is is_for_cpus
        assert count_gpus() == (0 if is_for_cpus else 2)
        told = usable_gpus().trouble
        assert told == (("2 GPUs: Some Card, Some Card; but torch is built for CPUs only: install a build for CUDA "
                        "to use them") if is_for_cpus else "")


def test_torch_is_built_for_what_it_says():
    assert gpus.torch_is_for_cpus() is (torch.version.cuda is None)


@pytest.mark.parametrize(("code", "told"), [
    (0, "2 GPUs: Some Card, Some Card\n"),
    (803, "a CUDA driver is here, but no GPU works: unsupported display driver / cuda driver combination; the CPU "
          "is used\n"),
    (ask_cuda.NO_DEVICE, ""),
])  # fmt: skip
def test_a_run_says_what_it_found(driver, monkeypatch, capsys, code, told):
    monkeypatch.setattr(gpus, "torch_is_for_cpus", lambda: False)
    driver(2, code=code)
    _tell_of_gpus()
    assert capsys.readouterr().err == told
