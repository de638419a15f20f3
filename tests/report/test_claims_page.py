"""Claims on a page: each with its number, what it says and the verdict; and one sentence at the top."""

import dataclasses
import html
import re

import pytest

from bench.analysis.claims import judged_claims
from bench.report import render
from bench.suite.claims_schema import ClaimSpec
from tests.analysis.synthetic import World, make

pytestmark = pytest.mark.usefixtures("undrawn")

STATED = (
    {"name": "transfer_beats_scratch"},
    {"claim": "Fifty points are little.", "more": {"strategy": "full_finetune"}, "less": {"strategy": "scratch"},
     "above": 50.0},
    {"claim": "A level <of> its own.", "more": {"strategy": "scratch", "labels": "fewest"}, "between": (0.0, 99.0)},
    {"claim": "It costs little.", "value": "compute", "more": {"strategy": "full_finetune"}, "between": (0.0, 99.0)},
)  # fmt: skip


@pytest.fixture(scope="module")
def made():
    world = World(gaps=False)
    return dataclasses.replace(make(world), claims=tuple(ClaimSpec.model_validate(one) for one in STATED))


@pytest.fixture(scope="module")
def page(made):
    return render(made)


def words(page):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))


def lines(page):
    (section,) = re.findall(r'<section id="claims".*?</section>', page, re.DOTALL)
    (body,) = re.findall(r"<tbody>.*?</tbody>", section, re.DOTALL)
    return [words(line) for line in body.split("<tr")[1:]], words(section)


def test_every_claim_has_a_line_with_its_number_and_verdict(made, page):
    shown, section = lines(page)
    judged = judged_claims(made)
    assert len(shown) == len(judged) == 4
    for one, line in zip(judged, shown, strict=True):
        assert one.claim.claim in line
        assert one.says in line
        assert one.verdict in line
        assert one.reason in line
        assert (f"{abs(100 * one.found.mean):.1f}" if one.found.n else "—") in line
    assert "over the 3 claims that could be tested" in section
    assert "Nothing is claimed beyond" in section


def test_a_level_has_no_sign_and_a_cost_is_in_percent(page):
    shown, _ = lines(page)
    assert re.search(r"\+\d", shown[0])
    assert not re.search(r"[+−]\d+\.\d ±", shown[2])
    assert "between 0 and 99 %" in shown[3]


def test_one_sentence_at_the_top(made, page):
    verdicts = [one.verdict for one in judged_claims(made)]
    told = ", ".join(f"{name}: {verdicts.count(name)}" for name in ("holds here", "does not hold here", "undecided"))
    assert f"Of 4 claims that the suite states, {told}." in words(page)


def test_no_claims_no_section(made):
    page = render(dataclasses.replace(made, claims=()))
    assert 'id="claims"' not in page
    assert "that the suite states" not in words(page)
