import os

import pytest

from tests.planning.conftest import folder, plan

__all__ = ["folder", "plan"]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """The machine outlives these tests."""
    monkeypatch.setattr(os, "fsync", os.fstat)
