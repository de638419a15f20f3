"""The gate as JUnit XML, which every CI system reads: a case per cell, a second suite for costs.

The mean of the cells is a case too. The file is red exactly where the exit code is not 0. An inconclusive cell passes,
and its output says what stayed open: it was measured and nothing was found, and `skipped` would say that nothing was
measured.
"""

from xml.etree import ElementTree as ET

from bench.errors import BLIND
from bench.gate.outputs.sentences import METHODS, cost_reading, fails, mean_reading, reading, sentence
from bench.gate.verdict import CostVerdict, GateResult, Verdict
from bench.text import printable

SKIPPED = ("incomparable", "new", "missing")  # where they fail nothing


def junit(result: GateResult) -> str:
    root = ET.Element("testsuites", name=f"gate of {printable(result.suite)}")
    scores = ET.SubElement(root, "testsuite", name=printable(result.suite))
    properties = ET.SubElement(scores, "properties")
    for key, value in _properties(result).items():
        ET.SubElement(properties, "property", name=printable(key), value=printable(value))
    for verdict in result.verdicts:
        _cell(scores, result, verdict)
    if result.mean is not None:
        place = [result.suite]
        _told(_case(scores, place, result.mean.cell.strategy), result, result.mean, mean_reading(result))
    if result.exit_code == BLIND:
        _blind(scores, result)
    _tell(scores, sentence(result), *result.notes)
    if result.costs:
        costs = ET.SubElement(root, "testsuite", name=f"{printable(result.suite)} costs")
        for cost in result.costs:
            _cost(costs, result, cost)
    _count(root)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _properties(result: GateResult) -> dict[str, str]:
    return {
        "baseline": result.baseline,
        "method": METHODS[result.method],
        "margin in points": f"{result.margin:g}",
        "must see, in points": f"{result.must_see:g}",
        **result.facts,
    }


def _cell(suite: ET.Element, result: GateResult, verdict: Verdict) -> None:
    cell = verdict.cell
    case = _case(suite, [result.suite, f"{cell.dataset}@{cell.budget}", cell.backbone], cell.strategy)
    _told(case, result, verdict, reading(result, verdict))


def _told(case: ET.Element, result: GateResult, verdict: Verdict, text: str) -> None:
    if fails(result, verdict):
        is_failure = verdict.word in result.fail_on and verdict.word != "missing"
        kind = "failure" if is_failure else "error"
        ET.SubElement(case, kind, message=text, type=verdict.word).text = text
    elif verdict.word in SKIPPED:
        ET.SubElement(case, "skipped", message=text)
    else:
        left_out = ", which by the options given fails nothing" if verdict.word == "regressed" else ""
        _tell(case, text + left_out)


def _blind(suite: ET.Element, result: GateResult) -> None:
    """Cases that are skipped, or pass, would leave the file green."""
    case = _case(suite, [result.suite], "enough could have been seen")
    text = sentence(result)
    ET.SubElement(case, "error", message=text, type="blind").text = text


def _cost(suite: ET.Element, result: GateResult, cost: CostVerdict) -> None:
    case = _case(suite, [result.suite, "costs", cost.quantity], cost.name)
    text = cost_reading(cost)
    if cost.word == "slower":
        ET.SubElement(case, "failure", message=text, type="slower").text = text
    elif cost.word == "incomparable":
        ET.SubElement(case, "skipped", message=text)
    else:
        _tell(case, text)


def _case(suite: ET.Element, place: list[str], name: str) -> ET.Element:
    """Consumers take dots between the parts for packages, so a part has none."""
    classname = ".".join(printable(part).replace(".", "_") for part in place)
    return ET.SubElement(suite, "testcase", classname=classname, name=printable(name), time="0")


def _tell(parent: ET.Element, *lines: str) -> None:
    ET.SubElement(parent, "system-out").text = "\n".join(printable(line) for line in lines)


def _count(root: ET.Element) -> None:
    for suite in [*root, root]:
        for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            suite.set(attribute, str(len(list(suite.iter(tag)))))
        if suite is not root:  # readers of the root's attributes know no others
            suite.set("skipped", str(len(list(suite.iter("skipped")))))
        suite.set("time", "0")
