"""A page of its own: two suites, or one in two folders. `analysis/between.py` says what it is made of."""

import math

from bench.analysis.between import HIGHER, IDENTICAL, LOWER, OTHER_TEST, Between, Compared, Name, Setting
from bench.analysis.verdicts import AS_GOOD, UNDECIDED
from bench.analysis.words import in_points, labels, listed, plural, shortened
from bench.report.figures.axis import limits
from bench.report.figures.changes import ChangeBar, changes_panel
from bench.report.fill import fill
from bench.report.filters import Filters
from bench.report.view import (
    ABSENT,
    Block,
    Column,
    Figure,
    Look,
    Panel,
    Section,
    Table,
    TableCell,
    percent,
    signed,
)
from bench.text import printable

DRAWN = 40  # cells; more could not be read
LOOKS = {
    HIGHER: ("▲", Look(HIGHER, "good", 2)),
    LOWER: ("▼", Look(LOWER, "bad", 4)),
    UNDECIDED: ("○", Look(UNDECIDED, "open", 0, hollow=True)),
    AS_GOOD: ("≈", Look(AS_GOOD, "ink", 0)),
    IDENTICAL: ("=", Look(IDENTICAL, "muted", 1)),
    OTHER_TEST: ("≠", Look(OTHER_TEST, "open", 7)),
}
HOW = (
    "Each cell that both have, B less A, over the repeats that both have finished. ▲ and ▼ are shown by a test that is "
    "corrected for all cells; ≈ is surely within the margin; = is equal in every repeat; ○ undecided means that these "
    "repeats cannot tell, which is no proof of equality."
)


def build_compare(found: Between) -> str:
    sections = [Section("cells", "Cells of both", HOW, [*_figure(found), _cells(found)])]
    if found.settings or found.environments:
        blocks: list[Block] = [_settings("settings", found.settings), _settings("environments", found.environments)]
        shown = [one for one in blocks if isinstance(one, Table) and one.rows]
        sections.append(Section("settings", "What differs between them", "Settings of the cells that both have, and "
                                "what their records were made with.", list(shown)))  # fmt: skip
    if found.only_first or found.only_second:
        tables: list[Block] = [_only("only-a", "A", found.only_first), _only("only-b", "B", found.only_second)]
        sections.append(Section("only", "Cells of one alone", "Nothing is compared here.", tables))
    title = f"{printable(found.first)} and {printable(found.second)}"
    return fill(
        "plain.html",
        ["page.css", "filter.css", "print.css", "gate.css"],
        Filters(),
        eyebrow="Two results compared",
        title=title,
        head=f"{title} compared",
        source="the records of both",
        findings=findings(found),
        sections=sections,
    )


def findings(found: Between) -> list[str]:
    """Sentences, for the terminal too."""
    told = [f"A is {shortened(printable(found.first))}, B is {shortened(printable(found.second))}; a difference is B "
            "less A."]  # fmt: skip
    paired = [one for one in found.cells if one.word != OTHER_TEST]
    if not paired:
        told.append("No cell of both could be paired, so nothing is compared.")
    else:
        counts = [f"{len(found.of(word))} {word}" for word in LOOKS if word != OTHER_TEST and found.of(word)]
        told.append(f"Of {plural(len(paired), 'cell')} in both, B is: {', '.join(counts)} (margin "
                    f"{in_points(100 * found.margin)}).")  # fmt: skip
        seen = [one.detectable for one in paired if math.isfinite(one.detectable)]
        if seen:
            middle = sorted(seen)[len(seen) // 2]
            told.append(f"Half of the tests would have shown a true difference of {in_points(round(100 * middle, 1))} "
                        "or more 4 times in 5.")  # fmt: skip
    if others := found.of(OTHER_TEST):
        sets = list(dict.fromkeys(printable(one.cell[0]) for one in others))
        told.append(f"{plural(len(others), 'cell')} on {listed(sets)} stand on other test data and are not paired: "
                    f"{shortened(printable(others[0].reason), 120)}.")  # fmt: skip
    for side, names in (("A", found.only_first), ("B", found.only_second)):
        if names:
            told.append(f"{plural(len(names), 'cell')} only in {side}.")
    if found.settings:
        told.append(f"{plural(len(found.settings), 'setting')} of the cells in both differ.")
    return told


def _figure(found: Between) -> list[Block]:
    drawn = [one for word in LOOKS for one in found.of(word) if math.isfinite(one.difference)][:DRAWN]
    if not drawn:
        return []
    tasks: dict[tuple[str, ...], list[Compared]] = {}
    for one in drawn:
        tasks.setdefault(one.cell[:3], []).append(one)
    margin = 100 * found.margin
    ends = [100 * end for one in drawn for end in (one.low, one.high)]
    span = limits([0, -margin, margin, *(100 * one.difference for one in drawn)], ends, 1.0)
    panels = []
    for (dataset, budget, backbone), rows in tasks.items():
        title = f"{_short(dataset)}, {labels(_short(budget))}"
        bars = [_bar(one) for one in rows]
        panels.append(Panel(title, _short(backbone), changes_panel(bars, margin, span, f"Difference, {title}")))
    legend = [look for word, (_, look) in LOOKS.items() if any(one.word == word for one in drawn)]
    caption = "B less A in points, with its interval; very long intervals are cut at the edge. Dashed: the margin."
    rest = sum(math.isfinite(one.difference) for one in found.cells) - len(drawn)
    return [Figure(panels, legend, caption + (f" {plural(rest, 'more cell')} in the table." if rest else ""))]


def _bar(one: Compared) -> ChangeBar:
    told = f"{' · '.join(one.cell)}: {one.word}, {signed(one.difference)} points"
    middle, low, high = (100 * number for number in (one.difference, one.low, one.high))
    return ChangeBar(printable(one.cell[3]), printable(told), middle, low, high, LOOKS[one.word][1])


def _cells(found: Between) -> Table:
    columns = [
        Column("Cell", numeric=False), Column("B is", numeric=False), Column("A", "%"), Column("B", "%"),
        Column("Difference", "points", interval=True), Column("n"), Column("p", "corrected"),
        Column("Detectable", "points"),
    ]  # fmt: skip
    rows = [_row(one) for word in LOOKS for one in found.of(word)]
    caption = (
        "Mean test scores over the n repeats that both have finished; the difference with its interval at the level "
        "of its own step in Holm's correction over all tested cells; the true difference that would have shown 4 "
        "times in 5."
    )
    return Table("compared", columns, rows, caption)


def _row(one: Compared) -> list[TableCell]:
    sign, look = LOOKS[one.word]
    span = f"{signed(one.low)} to {signed(one.high)}" if math.isfinite(one.low) else ""
    return [
        _cell(one.cell),
        TableCell(f"{sign} {one.word}", value=one.word, sub=shortened(printable(one.reason), 160),
                  css=f"word {look.color}"),
        _number(percent(one.first), 100 * one.first),
        _number(percent(one.second), 100 * one.second),
        TableCell(signed(one.difference), value=_value(100 * one.difference), sub=span, css="change",
                  bounds=(100 * one.low, 100 * one.high, one.n)),
        _number(str(one.n), float(one.n) if one.n else math.nan),
        _number(f"{one.p:.2g}", one.p),
        _number(f"{100 * one.detectable:.1f}", 100 * one.detectable),
    ]  # fmt: skip


def _cell(name: Name) -> TableCell:
    dataset, budget, backbone, strategy = name
    full = printable(f"{dataset} @ {budget} · {backbone} · {strategy}")
    where = f"{_short(dataset)}, {labels(_short(budget))} · {_short(backbone)}"
    return TableCell(_short(strategy), value=full, sub=where, css="name", title=full)


def _number(text: str, value: float) -> TableCell:
    return TableCell(text if math.isfinite(value) else ABSENT, value=_value(value))


def _value(value: float) -> float | str:
    return value if math.isfinite(value) else ""


def _settings(name: str, settings: tuple[Setting, ...]) -> Table:
    columns = [Column("What", numeric=False), Column("A", numeric=False), Column("B", numeric=False)]
    columns += [Column("Cells")] if name == "settings" else []
    rows = [
        [
            TableCell(_short(one.name), css="head"),
            *(TableCell(shortened(printable(text), 300), value=printable(text), css="error")
              for text in (one.first, one.second)),
            *([TableCell(str(one.cells), value=one.cells)] if name == "settings" else []),
        ]
        for one in settings
    ]  # fmt: skip
    return Table(name, columns, rows, "")


def _only(name: str, side: str, cells: tuple[Name, ...]) -> Table:
    return Table(name, [Column("Cell", numeric=False)], [[_cell(one)] for one in cells], "",
                 title=f"{plural(len(cells), 'cell')} only in {side}", folded=True)  # fmt: skip


def _short(text: str) -> str:
    return shortened(printable(text))
