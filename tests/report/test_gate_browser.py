"""The gate's section and the trend page in Debian's chromium. Run with `-m browser`."""

from pathlib import Path
from typing import Any

import pytest

from bench.report import write, write_trend
from tests.analysis.synthetic import World, make
from tests.gate.made import hostile
from tests.report.nights_made import many
from tests.report.test_browser import browser, pytestmark  # noqa: F401  a fixture, and the marker


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("pages")
    suite = write(make(World(datasets=("near",), budgets=(5,))), Path(folder / "suite.html"), hostile())
    return [suite.as_uri(), write_trend("n" * 300, many(40), Path(folder / "trend.html")).as_uri()]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("number", [0, 1])
def test_alone_legible_and_never_sideways(browser: Any, pages: list[str], number: int, width: int) -> None:  # noqa: F811
    page = browser.new_page(viewport={"width": width, "height": 900})
    requests, problems = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: problems.append(message.text))
    page.goto(pages[number])
    assert (requests, problems) == ([pages[number]], [])
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate("document.querySelectorAll('details').forEach(item => { item.open = true; })")
    sizes = page.evaluate(
        "[...document.querySelectorAll('.drawn text')].map(t => parseFloat(getComputedStyle(t).fontSize)"
        " * t.ownerSVGElement.getScreenCTM().a)"
    )
    assert min(sizes) > 8.5
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


def test_dark_and_without_javascript(browser: Any, pages: list[str]) -> None:  # noqa: F811
    fills = []
    for scheme in ("light", "dark"):
        context = browser.new_context(java_script_enabled=False, color_scheme=scheme)
        page = context.new_page()
        page.goto(pages[1])
        assert page.locator(".drawn").count() == 40
        assert page.locator("button:visible").count() == 0
        fills.append(page.locator(".drawn text").first.evaluate("t => getComputedStyle(t).fill"))
        context.close()
    assert fills[0] != fills[1]
