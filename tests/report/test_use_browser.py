"""The page in use: filters, columns, the address, a phone, paper, and axe-core. Run with `-m browser`."""

import csv
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.report import write
from tests.analysis.synthetic import World, make
from tests.report.test_browser import browser, pytestmark  # noqa: F401  a fixture, and the marker

# A name that must break on a phone.
WORLD = World(
    datasets=("near", "digits"), budgets=(5, 20), repeats=2, trials=2, backbones=("small", "large"),
    rename={"gradual_unfreeze": "discriminative(decay=0.31,top=2)"},
    strategies=("scratch", "linear_probe", "full_finetune", "freeze(upto=3)", "gradual_unfreeze"),
)  # fmt: skip
SHOWN = "[...document.querySelectorAll('#table-{} tbody tr:not([hidden])')].map(r => r.cells[0].innerText)"
OPEN = "document.querySelectorAll('main section details:not(.columns)').forEach(fold => {{ fold.open = {}; }})"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(make(WORLD), tmp_path_factory.mktemp("report") / "report.html").as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:  # noqa: F811
    found = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    found.goto(address)
    yield found
    found.close()


def tick(page: Any, kind: str, *names: str) -> None:
    page.click(f"#filter details[data-kind='{kind}'] summary")
    for name in names:
        page.check(f"#filter input[value='{name}']")
    page.keyboard.press("Escape")


def test_a_filter_hides_rows_columns_drawings_and_lines_and_changes_no_number(page: Any) -> None:
    before = page.inner_text("#table-leaderboard tbody tr:has-text('full_finetune')")
    tick(page, "strategy", "full_finetune", "linear_probe")
    assert sorted(page.evaluate(SHOWN.format("leaderboard"))) == ["full_finetune", "linear_probe"]
    assert page.inner_text("#table-leaderboard tbody tr:has-text('full_finetune')") == before
    lines = "[...document.querySelectorAll('#labels .panel:first-child g[data-f]:not([hidden])')].map(g => g.dataset.f)"
    assert set(page.evaluate(lines)) == {"s1", "s2"}
    assert page.locator("#labels .legend li:visible").count() == 2
    tick(page, "budget", "20")
    assert page.locator("#table-scores-0 thead th:not([hidden])").count() == 2
    tick(page, "dataset", "digits")
    tick(page, "backbone", "large")
    assert page.locator("#labels .panel:visible").count() == 1
    assert page.locator("#datasets figure.table:visible").count() == 1
    assert page.locator("#table-cells tbody tr:not([hidden])").count() == 2  # of 40 cells
    assert "every mean and interval stays as it is" in page.inner_text("#filter [role=status]")
    rows = "[...document.querySelectorAll('tbody tr')].filter(r => r.closest('[hidden]')).length"
    assert f"{page.evaluate(rows)} rows" in page.inner_text("#filter [role=status]")
    note = page.get_attribute("#table-leaderboard", "data-note")
    unfiltered = "not filtered by dataset or backbone or labels: means are over all of them."
    assert note == f"3 of 5 rows hidden by the filter; {unfiltered}"


def test_show_all_brings_everything_back(page: Any) -> None:
    tick(page, "strategy", "scratch")
    page.click("#table-leaderboard .columns summary")
    page.uncheck("#table-leaderboard .columns input >> nth=1")
    assert "1 column" in page.inner_text("#filter [role=status]")
    page.click("#filter .all")
    assert page.evaluate("[...document.querySelectorAll('main [hidden]')].map(e => e.className)") == ["all"]
    assert page.evaluate("location.hash") == ""
    assert page.locator("#filter input:checked, .columns input:not(:checked)").count() == 0


def test_an_address_can_be_sent(page: Any, browser: Any) -> None:  # noqa: F811
    tick(page, "strategy", "full_finetune", "freeze(upto=3)")
    page.click("#table-leaderboard .columns summary")
    page.uncheck("#table-leaderboard .columns input >> nth=3")
    page.keyboard.press("Escape")
    page.click("#table-leaderboard thead th:nth-child(2) button")
    page.click("#table-leaderboard thead th:nth-child(2) button")
    page.click("#datasets summary:has-text('long form')")
    page.click("nav a[href='#datasets']")  # a link within the page loses nothing
    page.wait_for_function("location.hash.startsWith('#datasets&')")
    state = "[...document.querySelectorAll('tr, th, .panel, details')].map(e => [e.hidden, e.open, e.ariaSort])"
    order = SHOWN.format("leaderboard")
    other = browser.new_page(viewport={"width": 1280, "height": 900})
    other.goto(page.url)
    assert other.evaluate(state) == page.evaluate(state)
    assert other.evaluate(order) == page.evaluate(order)
    assert other.evaluate("location.hash") == page.evaluate("location.hash")
    assert 0 <= other.evaluate("document.getElementById('datasets').getBoundingClientRect().top") < 300
    other.close()


def test_a_file_has_what_is_shown(page: Any, tmp_path: Path) -> None:
    tick(page, "strategy", "full_finetune", "linear_probe")
    page.click("#table-leaderboard .columns summary")
    page.uncheck("#table-leaderboard .columns input >> nth=3")  # mean rank
    with page.expect_download() as download:
        page.click("#table-leaderboard .csv")
    download.value.save_as(tmp_path / "board.csv")
    rows = list(csv.reader((tmp_path / "board.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert sorted(row[0] for row in rows[1:]) == ["full_finetune", "linear_probe"]
    assert "Mean rank" not in rows[0]
    assert "First in 8 tasks" in rows[0]


def test_keys_alone_filter(page: Any) -> None:
    page.focus("#filter details[data-kind='dataset'] summary")
    for key in ("Enter", "Tab", "Space"):
        page.keyboard.press(key)
    assert "dataset=near" in page.evaluate("location.hash")
    page.keyboard.press("Escape")
    assert not page.locator("#filter details[open]").count()
    assert page.evaluate("document.activeElement.innerText").startswith("Dataset")


def test_without_a_script_there_is_no_bar(browser: Any, address: str) -> None:  # noqa: F811
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("#filter").is_hidden()
    assert page.locator("button:visible").count() == 0
    context.close()


def test_a_phone_sees_where_a_table_goes_on(browser: Any, address: str) -> None:  # noqa: F811
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(address)
    page.evaluate(OPEN.format("true"))
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    cut = page.evaluate(
        "[...document.querySelectorAll('.scroll')].map(b => [b.scrollWidth - b.clientWidth > 2,"
        " b.parentElement.classList.contains('more-right'), getComputedStyle(b).boxShadow !== 'none', b.tabIndex])"
    )
    assert sum(goes_on for goes_on, *_ in cut) > 5
    assert all(goes_on == hinted == shadow and index == 0 for goes_on, hinted, shadow, index in cut)
    page.evaluate("document.querySelector('#table-leaderboard .scroll').scrollLeft = 9999")
    page.wait_for_function("!document.querySelector('#table-leaderboard').classList.contains('more-right')")
    assert "more-left" in page.get_attribute("#table-leaderboard", "class")
    overflow = "[...document.querySelectorAll('nav a, h1, h2, h3, figcaption, .words, summary')]" \
               ".filter(e => e.getBoundingClientRect().right > 391).length"  # fmt: skip
    assert page.evaluate(overflow) == 0
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing(browser: Any, address: str, width: int, scheme: str) -> None:  # noqa: F811
    """Text in drawings it cannot judge, nor single characters: `test_text_in_drawings_has_contrast` does."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    page.goto(address)
    page.evaluate(OPEN.format("true"))
    found = axe.Axe().run(page).response
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
    undecided = {check["data"]["messageKey"] for one in found["incomplete"] for node in one["nodes"]
                 if not node["html"].startswith("<text")
                 for check in node["any"]}  # fmt: skip
    assert undecided <= {"shortTextContent", "nonBmp"}
    page.close()


def brightness(color: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_brightness_is_that_of_the_standard() -> None:
    white, grey, black = brightness("rgb(255, 255, 255)"), brightness("rgb(119, 119, 119)"), brightness("rgb(0, 0, 0)")
    assert (white + 0.05) / (black + 0.05) == pytest.approx(21)
    assert (white + 0.05) / (grey + 0.05) == pytest.approx(4.478, abs=0.001)  # #777 on white, a known failure of AA


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_in_drawings_has_contrast(browser: Any, address: str, scheme: str) -> None:  # noqa: F811
    page = browser.new_page(color_scheme=scheme)
    page.goto(address)
    colors = set(page.evaluate("[...document.querySelectorAll('.plot text')].map(t => getComputedStyle(t).fill)"))
    short = page.evaluate("[...document.querySelectorAll('td bdi')].filter(e => [...e.innerText].length === 1)"
                          ".map(e => getComputedStyle(e).color)")  # fmt: skip
    paper = brightness(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colors
    for color in colors | set(short):
        bright, dark = sorted((brightness(color), paper), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, color
    page.close()


def test_paper_loses_no_score(page: Any, tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    texts = page.evaluate("[...document.querySelectorAll('td bdi, td small')]"
                          ".map(cell => [cell.closest('table').dataset.name, cell.textContent])")  # fmt: skip
    chunks: list[str] = []
    for sheet in pypdf.PdfReader(tmp_path / "page.pdf").pages:
        width = float(sheet.mediabox.width)

        def visit(text: str, page: list[float], of: list[float], *rest: Any, width: float = width) -> None:
            if 0 <= page[0] * of[4] + page[2] * of[5] + page[4] < width:  # beyond the edge is not on paper
                chunks.append(text)

        sheet.extract_text(visitor_text=visit)
    printed = re.sub(r"\s", "", unicodedata.normalize("NFKC", "".join(chunks)))
    wanted = [(name, re.sub(r"\s", "", unicodedata.normalize("NFKC", text))) for name, text in texts]
    assert {"leaderboard", "cells", "transfer-0"} <= {name for name, _ in wanted}
    assert len(wanted) > 1000
    assert [(name, text) for name, text in wanted if text not in printed] == []


def test_no_table_is_wider_than_its_paper(page: Any) -> None:
    """What pypdf cannot see: text that begins on the sheet and ends beyond it."""
    page.evaluate(OPEN.format("true"))
    page.emulate_media(media="print")
    for width, chosen in ((725, "figure.table:not(.broad)"), (965, "figure.broad")):  # a letter less 12 mm each side
        page.set_viewport_size({"width": width, "height": 900})
        wide = "f => [f.id, f.querySelector('table').getBoundingClientRect().right > document.body.clientWidth + 1]"
        found = page.evaluate(f"[...document.querySelectorAll('{chosen}')].map({wide})")
        assert found
        assert [name for name, is_cut in found if is_cut] == []


def test_paper_shows_what_is_folded_without_a_script(browser: Any, address: str, tmp_path: Path) -> None:  # noqa: F811
    pypdf = pytest.importorskip("pypdf")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    printed = "".join(sheet.extract_text() for sheet in pypdf.PdfReader(tmp_path / "page.pdf").pages)
    assert "so it says nothing about other data sets" in re.sub(r"\s+", " ", unicodedata.normalize("NFKC", printed))
    context.close()
