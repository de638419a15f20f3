"""Examples of the data in Debian's chromium: pictures are shown without a request, with and without JavaScript. Run
with `-m browser`."""

import dataclasses
import shutil

import pytest

from bench.report import write
from tests.analysis.synthetic import make
from tests.analysis.test_mistakes import WORLD, with_predictions
from tests.report.test_samples_page import kept, projected, samples, told

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@pytest.mark.parametrize("has_script", [True, False])
def test_pictures_marks_and_folds_are_there_without_a_request(tmp_path, has_script):
    results = projected(with_predictions(make(WORLD), tmp_path / "store", told))
    results = dataclasses.replace(results, samples={"near": kept(tmp_path, samples())})
    report = write(results, tmp_path / "report.html")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(java_script_enabled=has_script, viewport={"width": 390, "height": 800})
        requests, problems = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: problems.append(message.text))
        page.goto(report.as_uri())
        assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
        assert problems == []
        assert page.locator("img.glimpse").first.bounding_box()["width"] == 48
        assert page.locator("img.glimpse").count() == 4 + 12
        assert page.locator("#similarity .plot use").last.bounding_box()["width"] > 4
        inside = page.locator("#table-confusion-0-1")
        assert not inside.is_visible()
        page.locator("details.group > summary").click()
        page.locator("details.group > details > summary").first.click()
        assert inside.is_visible()
        widths = page.locator("section").evaluate_all("all => all.map(one => one.scrollWidth - one.clientWidth)")
        assert max(widths) <= 0, "nothing hangs over a phone's edge"
        browser.close()
