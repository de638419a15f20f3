"""Parts of a page. All of its figures take seconds to draw, and most tests read a section or a sentence."""

import pytest
from matplotlib.figure import Figure

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


@pytest.fixture
def undrawn(monkeypatch):
    """Each figure of a page is an empty drawing."""
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **_: file.write('<svg viewBox="0 0 1 1"></svg>'))
