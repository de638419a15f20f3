"""Published numbers beside own ones, and what differs in how they were measured."""

from collections.abc import Sequence

from bench.analysis.references import NO_SCORE, OUTSIDE, REPRODUCED, Beside, beside
from bench.analysis.words import labels, listed, plural, plus_minus, shortened
from bench.planning.references import Fact, Published
from bench.report.facts import Facts, name_cell
from bench.report.strip import Scale, strip
from bench.report.view import ABSENT, Block, Column, Section, Table, TableCell, Words, percent, signed

MOST = 60  # rows
HOW = "Others have published scores for settings like these. They stand beside the scores of this page, not in them."
CAPTION = (
    "Each row is a published value beside this page’s score for the same data set, number of labels, network and "
    "strategy; the difference is here minus published. “Reproduced” takes a value inside this page’s 95 % interval and "
    "a protocol that is known to be the same in all points of the next table. A wide interval holds many values."
)
PROTOCOLS = (
    "Each row is a way of measuring. What is not known may differ. A published value stands without an interval, and a "
    "score chosen by test images is too high."
)
MARKS = {REPRODUCED: ("=", "helps"), OUTSIDE: ("≠", "hurts")}
CHECKED = {"source": "read in its repository", "text": "read in the paper", "logs": "computed anew from its logs"}

Key = tuple[str, str, tuple[Fact, ...]]  # source, table, how the value and the cell's own score were measured


def references_section(facts: Facts) -> Section | None:
    published = facts.results.references
    if not published:
        return None
    found = beside(published, facts.summary)
    blocks: list[Block] = []
    if found:
        shown = found[:MOST]
        keys = list(dict.fromkeys(_key(one) for one in shown))
        blocks += [_values(shown, keys, facts), _protocols(shown, keys)]
    told = [*_left_out(found), *(_of_none(one) for one in published if not one.matches)]
    blocks += [Words(told, tone="note", listed=len(told) > 1)] if told else []
    return Section("published", "Published numbers", HOW, blocks)


def _key(one: Beside) -> Key:
    reference = one.match.reference
    return reference.source, reference.table, one.match.facts


def _left_out(found: Sequence[Beside]) -> list[str]:
    more = len(found) - MOST
    return [f"{plural(more, 'more published value')} with a cell here: not shown."] if more > 0 else []


def _of_none(one: Published) -> str:
    return (
        f"{shortened(one.file.source, 100)} ({shortened(one.file.name)}): "
        f"{plural(len(one.file.values), 'published value')}, none of them for a data set, number of labels, network "
        "and strategy that meet in this suite."
    )


def _values(found: Sequence[Beside], keys: list[Key], facts: Facts) -> Table:
    columns = [
        Column("Task", numeric=False), Column("Strategy", numeric=False), Column("Here", "%", interval=True),
        Column("Published", "%"), Column("Difference", "points", interval=True),
        Column("95 % interval", "points; line: published", numeric=False), Column("What it says", numeric=False),
    ]  # fmt: skip
    ends = [end - one.published for one in found for end in (one.low, one.mean, one.high)]
    scale = Scale.over(ends, around=0.0)
    rows = [_row(one, 1 + keys.index(_key(one)), scale, facts) for one in found]
    return Table("published", columns, rows, CAPTION)


def _row(one: Beside, number: int, scale: Scale, facts: Facts) -> list[TableCell]:
    dataset, budget, backbone, strategy = one.match.cell
    task = TableCell(f"{facts.named(dataset)}, {labels(budget)}", sub=shortened(backbone), css="name")
    reference, spread = one.match.reference, plus_minus(one.low, one.mean, one.high)
    published = TableCell(f"{reference.value:.1f}", value=reference.value, sub=shortened(reference.called, 30))
    cells = [task, name_cell(strategy, facts.strategies[strategy])]
    if one.n == 0:
        absent = TableCell(ABSENT, value="", css="quiet")
        return [*cells, absent, published, absent, TableCell("", value=""), TableCell(NO_SCORE)]
    low, high = one.low - one.published, one.high - one.published
    return [
        *cells,
        TableCell(f"{percent(one.mean)}{spread}", value=100 * one.mean, sub=f"n = {one.n}",
                  bounds=(100 * one.low, 100 * one.high, one.n)),
        published,
        TableCell(signed(one.difference), value=100 * one.difference, bounds=(100 * low, 100 * high, one.n)),
        TableCell("", value="", picture=strip(scale, one.difference, (low, high), zero=0.0)),
        _verdict(one, number),
    ]  # fmt: skip


def _verdict(one: Beside, number: int) -> TableCell:
    mark, css = MARKS.get(one.verdict, ("○", "undecided"))
    differs = [fact.name for fact in one.match.facts if fact.same is False]
    unknown = [fact.name for fact in one.match.facts if fact.same is None]
    parts = [f"other {listed(differs)}"] if differs else []
    parts += [f"not known: {listed(unknown)}"] if unknown else []
    sub = f"protocol {number}" + (f": {'; '.join(parts)}" if parts else "")
    return TableCell(f"{mark} {one.verdict}", value=one.verdict, sub=sub, css=f"answer {css}")


def _protocols(found: Sequence[Beside], keys: list[Key]) -> Table:
    columns = [Column(title, numeric=False) for title in ("Protocol", "Differs", "Not known", "Same")]
    firsts = {key: next(one for one in found if _key(one) == key) for key in keys}
    rows = [_protocol(number, firsts[key]) for number, key in enumerate(keys, start=1)]
    return Table("protocols", columns, rows, PROTOCOLS, title="How they were measured")


def _protocol(number: int, one: Beside) -> list[TableCell]:
    reference, told = one.match.reference, one.match.facts
    source = f"{shortened(reference.source, 100)}; {shortened(reference.table, 120)}; {CHECKED[reference.checked]}"
    differs = [f"{fact.name}: here {fact.ours}, published {fact.theirs}" for fact in told if fact.same is False]
    unknown = [_half_known(fact) for fact in told if fact.same is None]
    same = [fact.name for fact in told if fact.same]
    notes = " ".join(reference.protocol.notes)
    return [
        TableCell(f"protocol {number}", value=number, sub=source, css="claim"),
        TableCell("; ".join(differs) or "nothing that is known", sub=notes, css="claim"),
        TableCell("; ".join(unknown) or "nothing", css="claim"),
        TableCell(", ".join(same), css="claim"),
    ]


def _half_known(fact: Fact) -> str:
    sides = [f"here {fact.ours}" if fact.ours else "", f"published {fact.theirs}" if fact.theirs else ""]
    told = ", ".join(side for side in sides if side)
    return f"{fact.name} ({told})" if told else fact.name
