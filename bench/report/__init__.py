"""Results -> one self-contained HTML page. `page.py` puts it together from `sections/`; `view.py` says what it has."""

from pathlib import Path

from bench.analysis.frame import SuiteResults


def render(results: SuiteResults) -> str:
    """The page: no request to any host, no clock; the same results give the same bytes."""
    from bench.report.page import build  # jinja2 and matplotlib, only when a page is wanted

    return build(results)


def write(results: SuiteResults, path: Path) -> Path:
    """Write the page so that a reader sees the old one or the new one, never half of it."""
    text = render(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".part")
    half.write_text(text, encoding="utf-8", newline="\n")
    half.replace(path)
    return path
