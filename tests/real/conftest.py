"""Real data and real weights, where they lie beside the checkout; elsewhere these tests are skipped, and say so."""

import subprocess
import sys
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[3] / "shared" / "data" / "prepare.py"


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """The folder with cifar10.npz, class folders and weights/."""
    if not BESIDE.is_file():
        pytest.skip("no real data beside the checkout (../shared/data)")
    place = tmp_path_factory.mktemp("real")
    subprocess.run([sys.executable, str(BESIDE), str(place)], check=True, capture_output=True)
    return place


@pytest.fixture(autouse=True)
def _data(real, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(real))
