"""What people say about transfer, held against this suite."""

import math

from bench.analysis.claims import FAILS, HOLDS, Judged
from bench.analysis.words import plural, plus_minus
from bench.report.facts import Facts
from bench.report.view import ABSENT, Column, Section, Table, TableCell, signed

MARKS = {HOLDS: ("▲", "helps"), FAILS: ("▼", "hurts")}
CAPTION = (
    "A claim holds here where the interval lies within what it says, and does not hold here where it lies "
    "outside; else it is undecided. Nothing is claimed beyond the data sets, networks and budgets of this suite."
)
METHOD = (
    "Intervals are those of each claim's own step in Holm's correction over the "
    "{num} claims that could be tested (5 %); without a test they are plain. They speak {scope} What is kept of "
    "the source is read off its own test {example}s, and those intervals are over repeats alone. Costs are counted: "
    "they have no chance, and their range is over trainings. Means are over the tasks that all sides have."
)


def claims_section(facts: Facts) -> Section | None:
    if not facts.claims:
        return None
    how = "Each claim is a difference between trainings of this suite and an amount; the interval decides."
    columns = [
        Column("Claim", numeric=False), Column("Verdict", numeric=False),
        Column("Found", "points, or %", interval=True), Column("The claim says", numeric=False),
    ]  # fmt: skip
    num = sum(math.isfinite(one.p) for one in facts.claims)
    method = METHOD.format(num=num, example=facts.example, scope=facts.scope)
    table = Table("claims", columns, [_line(one) for one in facts.claims], CAPTION, method=method)
    return Section("claims", "Claims that people repeat", how, [table])


def _line(one: Judged) -> list[TableCell]:
    mark, css = MARKS.get(one.verdict, ("○", "undecided"))
    behind = "; ".join(part for part in (one.claim.source, one.compared) if part)
    return [
        TableCell(one.claim.claim, css="claim", sub=behind),
        TableCell(f"{mark} {one.verdict}", value=one.verdict, sub=one.reason, css=f"answer {css}"),
        _number(one),
        TableCell(one.says),
    ]


def _number(one: Judged) -> TableCell:
    found, (low, high) = one.found, one.ends
    if found.n == 0:
        return TableCell(ABSENT, value="", css="quiet")
    bounds = (100 * low, 100 * high, found.n)
    if one.is_cost:
        return TableCell(f"{100 * found.mean:.1f} %", value=100 * found.mean, bounds=bounds,
                         sub=f"{100 * low:.1f} to {100 * high:.1f}" if low < high else "")  # fmt: skip
    is_level = one.claim.less is None
    text = f"{100 * found.mean:.1f}" if is_level else signed(found.mean)
    return TableCell(f"{text}{plus_minus(low, found.mean, high)}", value=100 * found.mean, bounds=bounds,
                     sub=plural(found.n, "repeat"))  # fmt: skip
