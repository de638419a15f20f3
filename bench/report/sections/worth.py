"""What a label is worth: how many times as many labels scratch would need to score as high. Part of `learning.py`."""

import math

from bench.analysis.cells import records
from bench.analysis.efficiency import AT_ONCE, NEVER, Multiple
from bench.analysis.words import labels, listed, plural, shortened
from bench.report.facts import Facts, name_cell
from bench.report.view import ABSENT, Block, Column, Table, TableCell, Words

SENTENCES, ROWS = 4, 24  # in sight
CAPTION = (
    "How many times as many labels scratch would need to score as high as the strategy does with these: below 1, "
    "scratch makes more of them. Under each number its 95 % interval{n}. “≥” and “≤”: scratch was not tried with "
    "labels enough, or few enough, to say more. The protocol says how this is read."
)
METHOD = (
    "What a label is worth is read off scratch's own learning curve: its mean scores (at {budgets} labels per class) "
    "are made to rise with the labels (isotonic regression on their logits) and joined by a smooth line that never "
    "falls (PCHIP in the logarithm of the labels); where it reaches a strategy's mean score lies the number of labels "
    "that the strategy's own are worth. Beyond scratch's fewest and most labels nothing is assumed. The interval goes "
    "from where the low end of the strategy's 95 % interval meets the line through the high ends of scratch's to "
    "where its high end meets the line through scratch's low ends. It allows for both to err at once and so is wide "
    "rather than narrow; how scratch does between the label counts that were tried is not in it."
)


def worth_blocks(facts: Facts) -> list[Block]:
    if not facts.worth:
        return []
    return [Words(_sentences(facts, facts.worth), listed=True), _table(facts, facts.worth)]


def worth_method(facts: Facts) -> list[str]:
    """For the protocol."""
    if not facts.worth:
        return []
    scratch = {row["labels_per_class"] for row in facts.summary if row["baseline"] and row["n"]}
    return [METHOD.format(budgets=listed([f"{one:g}" for one in sorted(scratch)], 6))]


def _sentences(facts: Facts, found: list[Multiple]) -> list[str]:
    """Of one strategy, so that no data set picks its own winner: the highest of the leaderboard that has any."""
    has = {one.row["strategy"] for one in found}
    ranked = [row["strategy"] for row in records(facts.board.rows) if row["strategy"] in has]
    name = ranked[0] if ranked else found[0].row["strategy"]
    fewest: dict[tuple[str, str], Multiple] = {}
    for one in (one for one in found if one.row["strategy"] == name):
        key = one.row["dataset"], one.row["backbone"]
        if key not in fewest or one.row["labels_per_class"] < fewest[key].row["labels_per_class"]:
            fewest[key] = one
    said = [_sentence(facts, one) for one in fewest.values()]
    more = [f"{plural(len(said) - SENTENCES, 'more line')} in the table."] if len(said) > SENTENCES else []
    return [*said[:SENTENCES], *more]


def _sentence(facts: Facts, one: Multiple) -> str:
    row = one.row
    where = facts.where((row["dataset"], row["budget"], row["backbone"]))
    return f"{where}: {shortened(row['strategy'])} {_phrase(one)}"


def _phrase(one: Multiple) -> str:
    n = one.row["labels_per_class"]
    if one.low == NEVER:
        return f"is worth more than {_times(one.most)} times the labels: scratch never got there, not with " \
               f"{n * one.most:,.6g} per class."
    if one.high == AT_ONCE:
        return f"is worth at most {_times(one.least)} times the labels: scratch scores as high with its fewest."
    if _is_known(one.low) and _is_known(one.high):
        return f"is worth {_times(one.low)} to {_times(one.high)} times the labels: scratch would need " \
               f"{_count(n * one.low)} to {_count(n * one.high)} per class to score as high."
    if _is_known(one.low):
        return f"is worth at least {_times(one.low)} times the labels: scratch would need {_count(n * one.low)} per " \
               "class or more to score as high."
    if _is_known(one.high):
        return f"is worth at most {_times(one.high)} times the labels: scratch would need no more than " \
               f"{_count(n * one.high)} per class to score as high."
    if math.isnan(one.low):
        return f"is worth {_text(one)} the labels, with no interval to say how sure that is."
    return "is worth a number of labels that these runs cannot tell: the interval has no end on either side."


def _table(facts: Facts, found: list[Multiple]) -> Table:
    budgets = [name for name in facts.budgets if any(one.row["budget"] == name for one in found)]
    columns = [Column("Strategy", numeric=False), Column("Dataset", numeric=False)]
    columns += [Column("Backbone", numeric=False)] if facts.many_backbones else []
    columns += [Column(labels(name), "times as many", interval=True) for name in budgets]
    rows: dict[tuple[str, str, str], dict[str, Multiple]] = {}
    for one in found:
        key = one.row["dataset"], one.row["backbone"], one.row["strategy"]
        rows.setdefault(key, {})[one.row["budget"]] = one
    lines = [
        [name_cell(strategy, facts.strategies[strategy]), facts.dataset_cell(dataset),
         *([name_cell(backbone)] if facts.many_backbones else []), *(_cell(by_budget.get(name)) for name in budgets)]
        for (dataset, backbone, strategy), by_budget in rows.items()
    ]  # fmt: skip
    caption = CAPTION.format(n=_over(found))
    return Table("worth", columns, lines, caption, title="What a label is worth", folded=len(lines) > ROWS)


def _over(found: list[Multiple]) -> str:
    counts = sorted({one.n for one in found})
    return f", over n = {counts[0]} repeats" if len(counts) == 1 else f", over {counts[0]} to {counts[-1]} repeats"


def _cell(one: Multiple | None) -> TableCell:
    if one is None:
        return TableCell(ABSENT, value="", css="quiet")
    low = one.most if one.low == NEVER else one.low if _is_known(one.low) else math.nan
    high = one.least if one.high == AT_ONCE else one.high if _is_known(one.high) else math.nan
    value = one.times if _is_known(one.times) else None
    return TableCell(_text(one), value=value, sub=_interval(one), bounds=(low, high, one.n))


def _text(one: Multiple) -> str:
    if one.times == NEVER:
        return f"≥ {_times(one.most)}×"
    return f"≤ {_times(one.least)}×" if one.times == AT_ONCE else f"{_times(one.times)}×"


def _interval(one: Multiple) -> str:
    low, high = one.low, one.high
    if math.isnan(low):
        return "one repeat, no interval" if one.n == 1 else "no interval"
    if low == NEVER or high == AT_ONCE:
        return "scratch never gets there" if low == NEVER else "so does scratch with its fewest"
    if _is_known(low):
        return f"{_times(low)} to {_times(high)}" if _is_known(high) else f"at least {_times(low)}"
    return f"at most {_times(high)}" if _is_known(high) else "cannot tell"


def _is_known(times: float) -> bool:
    return AT_ONCE < times < NEVER


def _times(value: float) -> str:
    return f"{value:.2g}" if value < 1 else f"{value:.1f}".removesuffix(".0") if value < 10 else f"{value:,.0f}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")
