"""Puts the page together: facts, sections, template. Everything it needs is inside the file that it returns."""

import base64
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup

from bench.analysis.frame import SuiteResults
from bench.report.facts import Facts
from bench.report.palette import swatch, symbols
from bench.report.sections.costs import cost_section
from bench.report.sections.diagnosis import gaps_section, selection_section
from bench.report.sections.learning import depth_section, labels_section
from bench.report.sections.origin import pretraining_section, provenance_section
from bench.report.sections.protocol import protocol_section
from bench.report.sections.ranking import datasets_section, leaderboard_section
from bench.report.sections.rates import rates_section
from bench.report.sections.source import forgetting_section
from bench.report.sections.top import findings, key_numbers, warnings
from bench.report.sections.transfer import transfer_section
from bench.report.svg import drawing
from bench.report.view import Section

TEMPLATES = Path(__file__).parent / "templates"
SECTIONS = (
    leaderboard_section,
    transfer_section,
    datasets_section,
    labels_section,
    depth_section,
    forgetting_section,
    rates_section,
    cost_section,
    selection_section,
    gaps_section,
    pretraining_section,
    protocol_section,
    provenance_section,
)


def build(results: SuiteResults) -> str:
    facts = Facts.of(results)
    with drawing():
        sections: list[Section] = [found for make in SECTIONS if (found := make(facts)) is not None]
    style, script = (_asset(name) for name in ("page.css", "page.js"))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["swatch"] = swatch
    return environment.get_template("page.html").render(
        results=results,
        findings=findings(facts),
        numbers=key_numbers(facts),
        warnings=warnings(facts),
        sections=sections,
        symbols=symbols(),
        style=Markup(style),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8").strip()
