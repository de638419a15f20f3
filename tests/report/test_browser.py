"""The page in Debian's chromium: what only a browser can tell. Run with `-m browser`."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.report import write
from tests.analysis.synthetic import World, make

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    hostile = {"linear_probe": '=SUM("a",1)', "freeze(upto=1)": "n" * 300, "mid": "\u05d0\u05d1 mid"}
    return write(make(World(rename=hostile)), tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture
def open_page(browser: Any, report: Path) -> Iterator[Any]:
    pages = []

    def open_it(**options: Any) -> Any:
        page = browser.new_page(**options)
        pages.append(page)
        page.requests, page.problems = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.goto(report.as_uri())
        return page

    yield open_it
    for page in pages:
        page.close()


def test_loads_alone_and_without_complaint(open_page: Any, report: Path) -> None:
    page = open_page()
    assert page.requests == [report.as_uri()]
    assert page.problems == []


@pytest.mark.parametrize("width", [390, 1280])
def test_the_body_never_scrolls_sideways(open_page: Any, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_sorting_numbers_names_and_gaps(open_page: Any) -> None:
    page = open_page()
    head = "table[data-name='scores-3'] thead th:nth-child(4)"
    column = "[...document.querySelectorAll(\"table[data-name='scores-3'] tbody tr\")].map(r => r.cells[3].dataset.v)"
    page.click(f"{head} button")
    falling = page.evaluate(column)
    numbers = [float(text) for text in falling[:-1]]
    assert numbers == sorted(numbers, reverse=True)
    assert falling[-1] == ""  # the gap stays last
    assert page.get_attribute(head, "aria-sort") == "descending"
    page.click(f"{head} button")
    rising = page.evaluate(column)
    assert rising[:-1] == falling[:-1][::-1]
    assert rising[-1] == ""


def test_csv_holds_numbers_bounds_and_harmless_names(open_page: Any, tmp_path: Path) -> None:
    page = open_page()
    with page.expect_download() as download:
        page.click("#table-scores-0 .csv")
    path = tmp_path / "scores.csv"
    download.value.save_as(path)
    assert download.value.suggested_filename == "scores-0.csv"
    rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    assert len(rows[0]) == 1 + 3 * 4
    assert {len(row) for row in rows} == {13}
    assert rows[2][0] == '\'=SUM("a",1)'
    mean, low, high, n = map(float, rows[1][1:5])
    assert low < mean < high
    assert n == 3


def test_dark_mode_changes_the_variables(open_page: Any) -> None:
    ink = "getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()"
    line = "getComputedStyle(document.querySelector('.plot text')).fill"
    light, dark = open_page(color_scheme="light"), open_page(color_scheme="dark")
    assert light.evaluate(ink) != dark.evaluate(ink)
    assert light.evaluate(line) != dark.evaluate(line)


def test_readable_without_javascript(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("table").count() > 10
    assert page.locator(".plot").count() > 10
    assert page.locator("button:visible").count() == 0
    context.close()


def test_text_in_figures_is_legible_on_a_phone(open_page: Any) -> None:
    page = open_page(viewport={"width": 390, "height": 900})
    sizes = page.evaluate(
        "[...document.querySelectorAll('.plot text')].map(t => parseFloat(getComputedStyle(t).fontSize)"
        " * t.ownerSVGElement.getScreenCTM().a)"
    )
    assert min(sizes) > 8.5


def test_marks_say_what_they_stand_for(open_page: Any) -> None:
    """To the keyboard, below their drawing; a pointer has their titles."""
    page = open_page()
    plot = page.locator("#labels .plot").first
    first, second = plot.locator("title").nth(0).text_content(), plot.locator("title").nth(1).text_content()
    said = page.locator("#labels .said").first
    assert not said.is_visible()
    plot.focus()
    assert said.text_content() == first
    page.keyboard.press("ArrowRight")
    assert said.text_content() == second
    assert plot.locator(".pointed title").all_text_contents() == [second]
    page.keyboard.press("ArrowLeft")
    assert said.text_content() == first
    plot.locator("use:has(title)").nth(1).click()  # once scrolling has ended
    assert ", 20 labels per class: " in said.text_content()
    box = plot.locator("use:has(title)").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 - 10)  # a finger is not exact
    assert said.text_content() == first
    page.mouse.click(*[plot.bounding_box()[side] + 2 for side in "xy"])
    assert said.text_content() == ""
    plot.focus()
    page.keyboard.press("Tab")
    assert not said.is_visible()
    assert page.problems == []


def test_prints(open_page: Any) -> None:
    assert len(open_page().pdf()) > 50_000
