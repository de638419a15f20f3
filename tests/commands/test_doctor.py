import json
import os
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bench import catalogue
from bench.commands.doctor import imports, libraries, machine
from bench.commands.doctor.imports import TRIED, check_devices, explain
from bench.errors import INCOMPLETE
from bench.execute.gpus import Gpus
from bench.store import locks

ROOT = Path(libraries.CHECKOUT).parent
CPU_TORCH = """
class cuda:
    is_available = staticmethod(lambda: False)
class version:
    cuda = None
"""


@pytest.fixture
def stubs(place, monkeypatch):
    """Libraries of a few lines stand before the real ones; `stubs(torchvision=...)` breaks one."""

    def put(**broken: str) -> None:
        for name in TRIED:
            text = broken.get(name, CPU_TORCH if name == "torch" else "")
            (place / "stubs").mkdir(exist_ok=True)
            (place / "stubs" / f"{name}.py").write_text(text)

    monkeypatch.setenv("PYTHONPATH", str(place / "stubs"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    put()
    return put


@pytest.fixture
def verdicts(bench, stubs):
    """Name of a check -> (verdict, text), and the exit code under ""."""

    def found(*typed):
        said = bench("doctor", "--json", *typed)
        return {"": said.code, **{check["name"]: (check["verdict"], check["text"]) for check in said.json}}

    return found


def test_all_is_well(bench, stubs, monkeypatch):
    monkeypatch.setattr(machine, "available_memory", lambda: 1 << 50)
    said = bench("doctor")
    assert said.code == 0
    assert said.out.endswith("nothing stands in the way of a run\n")
    assert said.err == "importing torch, torchvision, timm, optuna: this takes some seconds\n"
    assert not Path("results").exists()


def test_a_torchvision_of_another_build(verdicts, stubs):
    stubs(torchvision="raise RuntimeError('operator torchvision::nms does not exist')")
    found = verdicts()
    assert found[""] == INCOMPLETE
    verdict, text = found["import torchvision"]
    assert verdict == "fails"
    assert text.startswith("this torchvision does not belong to this build of torch: install both anew, together and")
    assert "(RuntimeError: operator torchvision::nms does not exist)" in text
    assert found["import timm"] == ("ok", "imports")


def test_an_import_that_ends_the_process(verdicts, stubs):
    stubs(torchvision="import os; print('{\"name'); print('noise'); os.abort()")
    found = verdicts()
    assert found["import torch"][0] == "ok"
    assert "ended the process (signal 6)" in found["import torchvision"][1]
    assert "not tried" in found["import timm"][1]


def test_an_import_that_says_goodbye(verdicts, stubs):
    stubs(timm="raise SystemExit(3)", optuna="import no_such_module_of_ours")
    found = verdicts()
    assert "SystemExit: 3" in found["import timm"][1]
    assert "not installed, or only in part" in found["import optuna"][1]


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        ("ImportError: libcudart.so.12: cannot open shared object file", "a CUDA library is missing"),
        ("ImportError: /lib/libstdc++.so.6: version `GLIBCXX_3.4.32' not found", "this system's C++ library"),
        ("ImportError: /lib/libm.so.6: version `GLIBC_2.38' not found", "this system's C library is too old"),
        ("OSError: undefined symbol: _ZN3c10", "compiled for another build of torch"),
        ("AttributeError: partially initialized module 'torch' has no attribute (circular import)", "a file of that"),
        ("ValueError: anything else", "ValueError: anything else: install it anew"),
    ],
)
def test_reasons(error, meaning):
    assert explain(error).startswith(meaning)


TORCH = {"name": "torch", "cuda": "12.8", "gpus": ["H100", "H100"], "trouble": ""}


@pytest.mark.parametrize(
    ("driver", "torch", "verdict", "text"),
    [
        (2, {}, "ok", "2 GPUs: H100, H100"),
        (0, {"gpus": []}, "ok", "no GPU; the CPU is used"),
        (2, {"gpus": [], "cuda": None}, "fails", "the driver sees 2 GPUs, torch none: this torch is built for CPUs"),
        (2, {"gpus": [], "trouble": "driver too old"}, "fails", "for CUDA 12.8 (driver too old); install a build"),
        (2, {"trouble": "no kernel image"}, "fails", "2 GPUs are there but cannot compute (no kernel image)"),
        (3, {}, "warning", "the driver sees 3 GPUs, torch 2"),
        (1, {"error": "ImportError"}, "warning", "what torch sees is open until it imports"),
    ],
)
def test_devices(monkeypatch, driver, torch, verdict, text):
    monkeypatch.setattr(imports, "driver_gpus", lambda: Gpus(("H100",) * driver))
    check = check_devices({"torch": {**TORCH, **torch}})
    assert check.verdict == verdict
    assert text in check.text


def test_a_driver_without_a_gpu_that_works_is_told_of(monkeypatch):
    monkeypatch.setattr(imports, "driver_gpus", lambda: Gpus(trouble="a CUDA driver is here, but no GPU works: x"))
    check = check_devices({"torch": {**TORCH, "gpus": []}})
    assert (check.verdict, check.text) == (
        "warning", "a CUDA driver is here, but no GPU works: x; the CPU is used"
    )  # fmt: skip


def test_versions(monkeypatch, verdicts):
    have = {"torch": "1.13.1+cu117", "timm": None}
    real = libraries.importlib.metadata.version

    def version(name):
        if have.get(name, "") is None:
            raise libraries.importlib.metadata.PackageNotFoundError(name)
        return have.get(name) or real(name)

    monkeypatch.setattr(libraries.importlib.metadata, "version", version)
    monkeypatch.setattr(libraries.platform, "python_version", lambda: "3.10.2")
    found = verdicts()
    assert found["torch"][1].startswith("1.13.1+cu117 is too old, 2.")
    assert found["timm"][1].startswith("not installed, 1.")
    assert found["Python"][1].startswith("3.10.2, but the project needs 3.11 or newer")
    assert found["numpy"][0] == "ok"


@pytest.mark.parametrize(("low", "high"), [("2.9.1", "2.11.0+cpu"), ("1.9", "1.10"), ("2.0rc1", "2.0.1")])
def test_versions_are_compared_by_number(low, high):
    assert libraries.numbers(low) < libraries.numbers(high)


def test_a_floor_is_met_by_fewer_zeros():
    assert libraries.numbers("2.0") == libraries.numbers("2.0.0+cu128") == libraries.numbers("2")


def test_the_floors_are_those_of_the_project():
    python, floors = libraries.wanted()
    text = (ROOT / "pyproject.toml").read_text()
    assert f'requires-python = ">={python}"' in text
    assert len(floors) > 10
    assert all(f'"{name}>={floor}"' in text for name, floor in floors.items())


def test_an_installed_copy_knows_its_floors(monkeypatch, tmp_path):
    info = tmp_path / "transfer_bench-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: transfer-bench\nVersion: 9\nRequires-Python: >=3.99\n"
        "Requires-Dist: torch>=2.11\nRequires-Dist: pytest>=9; extra == 'test'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(libraries, "CHECKOUT", tmp_path / "pyproject.toml")
    assert libraries.wanted() == ("3.99", {"torch": "2.11"})


def test_broken_entry_points_are_named(monkeypatch):
    point = EntryPoint("bad", "no_such_module:entry", "bench.strategies")
    monkeypatch.setattr(catalogue, "third_party", lambda kind: {"bad": point} if kind == "strategy" else {})
    (check,) = libraries.check_entry_points()
    assert (check.name, check.verdict) == ("strategy bad", "warning")
    assert "no_such_module" in check.text


def test_results_that_cannot_be_written(verdicts):
    Path("taken").write_text("")
    found = verdicts("--results", "taken")
    assert found[""] == INCOMPLETE
    assert found["results folder"][1].startswith("cannot write in taken: a file stands where a folder is needed")


def test_a_folder_without_locks(monkeypatch, place):
    def refuse(path):
        raise locks.Unsupported("No locks available")

    monkeypatch.setattr(machine.locks, "acquire", refuse)
    assert "two runs at the same time may do some work twice" in machine.check_locks(place).text
    monkeypatch.setattr(machine.locks, "acquire", lambda path: os.open(os.devnull, os.O_RDONLY))
    assert "exclude nobody" in machine.check_locks(place).text


def test_locks_leave_nothing_behind(place):
    before = sorted(place.rglob("*"))
    assert machine.check_locks(place / "results").verdict == "ok"
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(("free", "verdict"), [(1 << 20, "fails"), (1 << 30, "warning"), (1 << 40, "ok")])
def test_disk(monkeypatch, place, free, verdict):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: _Usage(free))
    assert machine.check_folder(place)[1].verdict == verdict


class _Usage:
    def __init__(self, free):
        self.free = free


def test_little_memory(monkeypatch):
    monkeypatch.setattr(machine, "num_cores", lambda: 16)
    monkeypatch.setattr(machine, "available_memory", lambda: 3 << 30)
    assert machine.check_memory().text.endswith("start runs with --workers 3")
    monkeypatch.setattr(machine, "available_memory", lambda: None)
    assert machine.check_memory().verdict == "ok"


def test_an_offline_hub(verdicts, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert verdicts()["weights hub"][0] == "warning"


def test_json_is_one_list(bench, stubs):
    checks = json.loads(bench("doctor", "--json").out)
    assert {frozenset(check) for check in checks} == {frozenset({"name", "verdict", "text"})}


def test_what_an_extra_lacks(verdicts, monkeypatch):
    """Nobody with pictures alone needs it, so the exit code stays."""
    real, lacking = libraries.importlib.metadata.version, ["peft"]

    def version(name):
        if name in lacking:
            raise libraries.importlib.metadata.PackageNotFoundError(name)
        return "4.9" if name == "soundfile" else "0.1" if name == "soxr" else real(name)

    monkeypatch.setattr(libraries.importlib.metadata, "version", version)
    found = verdicts()
    assert found[""] == 0
    assert found["extra text"] == (
        "ok", "only for texts; not installed: peft (pip install 'transfer-bench[text]')")
    lacking.clear()
    assert verdicts()["extra audio"] == (
        "warning", "only for sound; soxr 0.1 is too old, 0.5 or newer is needed: pip install 'transfer-bench[audio]'")
