"""JUnit XML that parses, counts right, and is red exactly where the exit code is."""

import dataclasses
import math
import xml.etree.ElementTree as ET

import pytest

from bench.gate.outputs.junit import junit
from bench.gate.verdict import CellName, GateResult, Verdict
from tests.gate.made import (
    ABSENT,
    EVERY,
    IMPROVED,
    MEAN,
    NEW,
    OPEN,
    OTHER,
    REGRESSED,
    SAME,
    SLOWER,
    STEADY,
    WRONG,
    gate,
    hostile,
)  # fmt: skip


def parsed(result: GateResult) -> ET.Element:
    return ET.fromstring(junit(result).encode())


def outcome(case: ET.Element) -> str:
    tags = [child.tag for child in case if child.tag != "system-out"]
    assert len(tags) <= 1
    return tags[0] if tags else "passed"


def outcomes(result: GateResult) -> dict[str, str]:
    return {case.get("name") or "": outcome(case) for case in parsed(result).iter("testcase")}


def test_every_word_has_its_outcome() -> None:
    assert outcomes(gate(*EVERY[:7], ABSENT, WRONG)) == {
        "linear_probe": "failure", "freeze(upto=1)": "failure", "lora": "error", "bitfit": "error",
        "full_finetune": "passed", "gradual_unfreeze": "passed", "discriminative": "passed", "scratch": "passed",
        "wise_ft": "skipped",
    }  # fmt: skip
    assert outcomes(gate(OTHER, SAME))["linear_probe"] == "skipped"


@pytest.mark.parametrize(("verdict", "tag"), [
    (OPEN, "failure"), (NEW, "failure"), (OTHER, "failure"), (IMPROVED, "failure"), (ABSENT, "error"),
])  # fmt: skip
def test_what_fails_is_what_the_person_chose(verdict: Verdict, tag: str) -> None:
    assert outcomes(gate(STEADY, verdict, fail_on=(verdict.word,)))[verdict.cell.strategy] == tag
    assert outcomes(gate(STEADY, verdict, fail_on=()))[verdict.cell.strategy] in ("passed", "skipped")


def test_the_mean_of_all_is_a_case() -> None:
    assert outcomes(gate(STEADY, mean=MEAN))["mean of all 24 cells"] == "failure"
    assert outcomes(gate(STEADY, mean=dataclasses.replace(MEAN, word="improved")))["mean of all 24 cells"] == "passed"
    assert outcomes(gate(STEADY, OTHER))["enough could have been seen"] == "error"


def test_a_regression_that_fails_nothing_says_so() -> None:
    (case,) = parsed(gate(REGRESSED, fail_on=())).iter("testcase")
    assert "by the options given fails nothing" in (case.findtext("system-out") or "")


@pytest.mark.parametrize("result", [
    gate(), gate(STEADY), gate(OTHER), gate(NEW), gate(ABSENT), gate(STEADY, WRONG), gate(*EVERY),
    gate(STEADY, WRONG, fail_on=()), gate(STEADY, ABSENT, fail_on=()), gate(STEADY, costs=(SLOWER,)), gate(OPEN),
    gate(STEADY, mean=MEAN), gate(STEADY, mean=MEAN, fail_on=()), gate(STEADY, OTHER, STEADY),
    gate(STEADY, dataclasses.replace(OPEN, went_wrong=True)), gate(STEADY, OPEN, fail_on=("inconclusive",)), hostile(),
])  # fmt: skip
def test_red_where_the_exit_code_is(result: GateResult) -> None:
    root = parsed(result)
    red = int(root.get("failures") or 0) + int(root.get("errors") or 0)
    assert bool(red) == bool(result.exit_code)


@pytest.mark.parametrize("result", [gate(*EVERY, costs=(SLOWER,)), hostile(), gate()])
def test_counts_are_right(result: GateResult) -> None:
    root = parsed(result)
    for suite in [*root.findall("testsuite"), root]:
        for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            assert suite.get(attribute) == str(len(list(suite.iter(tag))))
    for suite in root.findall("testsuite"):
        assert suite.get("skipped") == str(len(list(suite.iter("skipped"))))
    assert {element.get("time") for element in [root, *root.iter("testsuite"), *root.iter("testcase")]} == {"0"}
    extra = result.exit_code == 4
    assert root.get("tests") == str(len(result.verdicts) + len(result.costs) + extra)


def test_the_message_has_the_numbers() -> None:
    (case,) = parsed(gate(REGRESSED)).iter("testcase")
    message = case[0].get("message") or ""
    for part in ("change −2.10 points", "interval −2.70 to −1.50", "n = 5", "p = 0.003", "margin 0.5", "1.30 points"):
        assert part in message
    assert case.get("classname") == "quickstart.digits@5.small"


def test_numbers_that_nobody_knows() -> None:
    lone = dataclasses.replace(OPEN, low=math.nan, high=math.nan, p=math.nan, smallest=math.nan, n=1)
    text = junit(gate(lone))
    assert "no interval" in text
    assert "no size of drop was sure to be seen" in text
    assert "nan" not in text.lower()


def test_costs_are_a_suite_of_their_own() -> None:
    words = ("slower", "same", "faster", "incomparable")
    costs = [dataclasses.replace(SLOWER, word=word) for word in words]
    scores, suite = parsed(gate(STEADY, costs=tuple(costs))).findall("testsuite")
    assert [outcome(case) for case in suite.iter("testcase")] == ["failure", "passed", "passed", "skipped"]
    assert "from 10 s to 14.2 s (factor 1.42)" in (suite[0][0].get("message") or "")
    assert scores.get("tests") == "1"


def test_hostile_names() -> None:
    text = junit(hostile())
    root = ET.fromstring(text.encode())  # encode refuses a lone half of a pair
    assert all(c == "\n" or c.isprintable() for c in text)
    names = {case.get("name") for case in root.iter("testcase")}
    assert "<script>alert(1)</script>" in names
    assert "n" * 300 in names
    assert "日本語 🦊 & \"q\" 'p' $\\frac{1}$ 100%, a:b" in names
    assert "\\x1b[31mred\\x00\\x07\\ufffe" in names
    assert "<script" not in text


def test_dots_of_names_make_no_packages() -> None:
    dotted = dataclasses.replace(STEADY, cell=CellName("a.b", "0.5%", "vit.augreg", "lr=0.1"))
    (case,) = parsed(gate(dotted)).iter("testcase")
    assert (case.get("classname"), case.get("name")) == ("quickstart.a_b@0_5%.vit_augreg", "lr=0.1")


def test_same_bytes_twice() -> None:
    assert junit(hostile()) == junit(hostile())
