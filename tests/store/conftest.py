import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import bench
from bench.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def memory_folder(tmp_path):
    """In memory where the system has such a place: for tests of thousands of files that no disk need be asked."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def run_script(tmp_path):
    """Runs scripts/<name>.py, which forks: that wants a process without threads, which pytest's need not be."""

    def run(name, *arguments, folder=tmp_path):
        script = Path(__file__).parent / "scripts" / f"{name}.py"
        environment = {**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-W", "error", script, folder, *arguments],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
