"""A page has an end: of very many drawings of one kind the first are made, and the others are counted."""

from bench.report.facts import Facts
from bench.report.sections.gallery import DRAWN, SHOWN
from bench.report.sections.learning import labels_section
from bench.report.sections.rates import rates_section
from bench.report.view import Figure
from tests.analysis.synthetic import World, make


def facts_of(num: int) -> Facts:
    """A suite with so many networks on one data set, at two budgets."""
    return Facts.of(make(World(datasets=("near",), budgets=(5, 20), strategies=("scratch", "linear_probe"),
                               backbones=tuple(f"net{number}" for number in range(num)), gaps=False)))  # fmt: skip


def figures_of(section) -> list[Figure]:
    return [block for block in section.blocks if isinstance(block, Figure)]


def test_the_first_are_drawn_and_the_others_counted(undrawn):
    facts = facts_of(DRAWN + 1)
    first, more, *_ = figures_of(labels_section(facts))
    assert (len(first.panels), len(more.panels)) == (SHOWN, DRAWN - SHOWN)
    assert more.title == f"{DRAWN - SHOWN} more panels"
    assert more.folded
    assert more.wide == first.wide
    assert first.caption.endswith(f"The first {DRAWN} of {DRAWN + 1} panels are drawn.")
    first, more = figures_of(rates_section(facts))
    assert (len(first.panels), len(more.panels)) == (SHOWN, DRAWN - SHOWN)
    assert first.caption.endswith(f"The first {DRAWN} of {2 * (DRAWN + 1)} tasks are drawn.")


def test_few_are_all_there(undrawn):
    (only,) = figures_of(labels_section(facts_of(2)))
    assert len(only.panels) == 2
    assert "are drawn" not in only.caption
