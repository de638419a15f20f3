"""A part of a page: all of it takes seconds, and most tests read a section. (`undrawn` is in tests/conftest.py.)"""

import pytest

from bench.report import page
from bench.report.sections import answer


@pytest.fixture
def only(monkeypatch):
    """`only(depth_section)`: a page has no other sections from now on, and no drawings of prices."""

    def leave(*wanted):
        assert set(wanted) <= set(page.SECTIONS)
        monkeypatch.setattr(page, "SECTIONS", wanted)
        monkeypatch.setattr(answer, "_switch", lambda facts: [])

    return leave
