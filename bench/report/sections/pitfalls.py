"""What common mistakes cost here: each was made on purpose, on the same labels and test examples as the right way."""

import math

from bench.analysis.cells import Task
from bench.analysis.pitfalls import BREAKS, COSTS, GAINS, NOT_SHOWN, UNDECIDED, Cost, in_a_sentence
from bench.analysis.words import plural, plus_minus
from bench.planning.pitfalls import PITFALLS
from bench.report.facts import Facts, unique
from bench.report.view import ABSENT, Block, Column, Section, Table, TableCell, Words, percent, signed

MARKS = {COSTS: "▼ costs", GAINS: "▲ gains here", NOT_SHOWN: "= does not show here", UNDECIDED: "○ undecided",
         BREAKS: "▼ diverges"}  # fmt: skip
LOOKS = {COSTS: "hurts", BREAKS: "hurts", GAINS: "helps", NOT_SHOWN: "equal"}
CAPTION = (
    "Points that are lost: the score of the right way minus that with the mistake, paired by repeat and test "
    "{example}. Below it stand both scores in %."
)
METHOD = (
    "The intervals are those of each row's own step in Holm's correction "
    "over the {num} of this section (5 %). “Does not show here” means that the difference surely lies within "
    "±{margin:g} points (two one-sided tests, corrected alike); “undecided” means that these repeats cannot tell. "
    "“Diverges” means that no repeat with the mistake has a score, because the loss is no number. Repeats that "
    "diverged are left out, and so are those that collapsed, unless all did; no verdict is in favour of a way that "
    "lost repeats so. The spread between repeats is pooled over the strategies that make the same mistake on the same "
    "task. Intervals speak {scope}"
)


def pitfalls_section(facts: Facts) -> Section | None:
    found = facts.pitfalls
    if not found:
        return None
    how = (
        "Each mistake was made on purpose and everything else left as it was. Nothing with a mistake is ranked: "
        "outside this section, only claims about mistakes and the counts of trainings read it."
    )
    by_task: dict[Task, list[Cost]] = {}
    for one in found:
        by_task.setdefault(one.task, []).append(one)
    blocks: list[Block] = [Words([in_a_sentence(found)]), _catalogue(found)]
    blocks += [_table(facts, task, costs, number) for number, (task, costs) in enumerate(by_task.items())]
    num = plural(sum(math.isfinite(one.p) for one in found), "tested comparison")
    method = METHOD.format(num=num, margin=100 * facts.results.margin, scope=facts.scope)
    words = Words([CAPTION.format(example=facts.example)], tone="caption", method=method)
    return Section("pitfalls", "Pitfalls", how, [*blocks, words])


def _catalogue(found: list[Cost]) -> Table:
    columns = [Column(title, numeric=False) for title in ("Mistake", "What is done wrong", "What is right")]
    rows = [
        [TableCell(one.words, value=name, css="name"), TableCell(one.wrong), TableCell(one.right)]
        for name, one in ((name, PITFALLS[name]) for name in PITFALLS if any(cost.pitfall == name for cost in found))
    ]
    return Table("pitfalls-said", columns, rows, "", title="The mistakes")


def _table(facts: Facts, task: Task, costs: list[Cost], number: int) -> Table:
    strategies = unique(one.strategy for one in costs)
    by_name = {(one.pitfall, one.strategy): one for one in costs}
    columns = [Column("Mistake", numeric=False)]
    columns += [Column(strategy, "points lost", interval=True, about=facts.filters.marks(strategy=strategy))
                for strategy in strategies]  # fmt: skip
    rows = [
        [TableCell(PITFALLS[name].words, value=name, css="name"), *(_cell(by_name.get((name, s))) for s in strategies)]
        for name in PITFALLS
        if any(one.pitfall == name for one in costs)
    ]
    return Table(f"pitfalls-{number}", columns, rows, "", title=facts.where(task), about=facts.about(*task))


def _cell(cost: Cost | None) -> TableCell:
    if cost is None:
        return TableCell(ABSENT, value="", css="quiet", title="it cannot happen here")
    reason = f"; {cost.reason}" if cost.reason else ""
    css = f"verdict {LOOKS.get(cost.verdict, 'undecided')}"
    if cost.found.n == 0:
        return TableCell(ABSENT, value="", sub=f"{MARKS[cost.verdict]}{reason}", css=css)
    low, high = cost.ends
    return TableCell(
        f"{signed(cost.found.mean)}{plus_minus(low, cost.found.mean, high)}",
        value=100 * cost.found.mean,
        sub=f"{MARKS[cost.verdict]}, {percent(cost.right)} → {percent(cost.wrong)}{reason}",
        css=css,
        bounds=(100 * low, 100 * high, cost.found.n),
    )
