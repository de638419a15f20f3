"""Results -> one self-contained HTML page. `page.py` puts it together from `sections/`; `view.py` says what it has.

`trend.py` makes another page, of many nights.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.analysis.frame import SuiteResults
from bench.store.atomic import sweep_beside, write_bytes
from bench.text import encodable

if TYPE_CHECKING:
    from bench.gate.series import NightSeries
    from bench.gate.verdict import GateResult


def render(results: SuiteResults, gate: "GateResult | None" = None, figures: Path | None = None) -> str:
    """The page: no request to any host, no clock; the same results give the same bytes. `figures`: a folder that gets
    each figure as files."""
    from bench.report.facts import Facts
    from bench.report.page import build  # jinja2 and matplotlib, only when a page is wanted

    return build(Facts.of(results), gate, figures)


def write(
    results: SuiteResults, path: Path, gate: "GateResult | None" = None, figures: Path | None = None
) -> Path:
    return replace_page(path, render(results, gate, figures))


def write_trend(suite: str, series: "Sequence[NightSeries]", path: Path) -> Path:
    from bench.report.trend import build_trend

    return replace_page(path, build_trend(suite, series))


def replace_page(path: Path, text: str) -> Path:
    """A reader sees the old page or the new one, never half of it. What writers left that were killed is removed."""
    write_bytes(path, encodable(text).encode())
    sweep_beside(path)
    return path
