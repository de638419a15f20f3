import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.execute.running import Launcher, finish

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """Of a command that finds this code and a third party's backbone `misbehaving`."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.copy(HERE / "misbehaving.py", folder / "bench_misbehaving.py")
    about = folder / "bench_misbehaving-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-misbehaving\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[bench.backbones]\nmisbehaving = bench_misbehaving:BACKBONE\n")
    path = os.pathsep.join([str(folder), str(REPOSITORY)])
    return {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "100", "TERM": "xterm"}


@pytest.fixture(scope="session")
def launcher(environment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, HERE / "launcher.py"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder, env=environment,
        )
    with process:
        assert process.stdout.readline() == "ready\n", (folder / "log").read_text()
        yield Launcher(process, folder)
        process.stdin.close()
        process.wait(60)


@pytest.fixture(scope="session")
def unbroken(launcher, tmp_path_factory):
    """A folder where the tiny suite ran without a break, and that command. Copy it before changing it."""
    place = tmp_path_factory.mktemp("unbroken")
    command = launcher.run(place)
    finish(command)
    return place, command


@pytest.fixture
def copied(unbroken, tmp_path):
    return Path(shutil.copytree(unbroken[0], tmp_path / "copy"))


@pytest.fixture
def stage(tmp_path, monkeypatch):
    from tests.execute.played import Stage

    return Stage(tmp_path, monkeypatch)
