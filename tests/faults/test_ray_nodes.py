"""The command of `ray_nodes.py` with a small count."""

import pytest

from tests.faults.test_faults import run


@pytest.mark.ray
def test_killed_nodes_and_drivers_lose_nothing(tmp_path):
    pytest.importorskip("ray")
    done = run(tmp_path, "ray_nodes --count 2")
    assert done.returncode == 0, done.stdout + done.stderr
