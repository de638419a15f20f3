"""Puts the page together: facts, sections, template. Everything it needs is inside the file that it returns."""

from pathlib import Path

from bench.gate.verdict import GateResult
from bench.report.facts import Facts
from bench.report.files import write_figures
from bench.report.fill import fill
from bench.report.sections.answer import answer_blocks
from bench.report.sections.claims import claims_section
from bench.report.sections.costs import cost_section
from bench.report.sections.courses import courses_section
from bench.report.sections.depths import depth_section
from bench.report.sections.diagnosis import gaps_section, selection_section
from bench.report.sections.distance import distance_section
from bench.report.sections.forecasts import forecasts_section
from bench.report.sections.learning import labels_section
from bench.report.sections.mistakes import mistakes_section
from bench.report.sections.origin import data_section, pretraining_section, provenance_section
from bench.report.sections.pitfalls import pitfalls_section
from bench.report.sections.protocol import protocol_section
from bench.report.sections.ranking import datasets_section, leaderboard_section
from bench.report.sections.rates import rates_section
from bench.report.sections.references import references_section
from bench.report.sections.regressions import regressions_section
from bench.report.sections.samples import samples_section
from bench.report.sections.search import search_section
from bench.report.sections.similarity import mix_section, similarity_section
from bench.report.sections.source import forgetting_section
from bench.report.sections.tasks import tasks_section
from bench.report.sections.top import findings, key_numbers, remarks, warnings
from bench.report.sections.transfer import transfer_section
from bench.report.sections.transferability import transferability_section
from bench.report.svg import drawing
from bench.report.view import Section

SECTIONS = (
    transferability_section,
    claims_section,
    leaderboard_section,
    tasks_section,
    transfer_section,
    datasets_section,
    labels_section,
    depth_section,
    distance_section,
    forecasts_section,
    similarity_section,
    mix_section,
    mistakes_section,
    pitfalls_section,
    forgetting_section,
    courses_section,
    rates_section,
    search_section,
    cost_section,
    references_section,
    selection_section,
    gaps_section,
    samples_section,
    data_section,
    pretraining_section,
    protocol_section,
    provenance_section,
)
# In a study the same strategy is another treatment on another network, so that strategies are not what is compared.
BETWEEN_STRATEGIES = (
    leaderboard_section, tasks_section, transfer_section, datasets_section, labels_section, courses_section,
)  # fmt: skip


def build(facts: Facts, gate: GateResult | None = None, figures: Path | None = None) -> str:
    """With a gate's result, what it found comes first. `figures`: a folder that gets each figure as files."""
    with drawing():
        wanted = [make for make in SECTIONS if not facts.studies or make not in BETWEEN_STRATEGIES]
        answer = [] if facts.studies else answer_blocks(facts)
        sections: list[Section] = [found for make in wanted if (found := make(facts)) is not None]
        if figures is not None:
            write_figures([Section("answer", "The answer", "", answer), *sections], facts.results.name, figures)
    styles = ["page.css", "answer.css", "samples.css", "filter.css", "print.css"]
    if gate is not None:
        sections.insert(0, regressions_section(gate))
        styles.append("gate.css")
    return fill(
        "page.html",
        styles,
        facts.filters,
        results=facts.results,
        baseline=gate is not None,
        findings=findings(facts),
        answer=answer,
        warnings=warnings(facts),
        remarks=remarks(facts),
        numbers=key_numbers(facts),
        sections=sections,
    )
