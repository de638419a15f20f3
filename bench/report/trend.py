"""A page of its own: every cell over many nights. `gate/series.py` says what it is made of."""

from collections.abc import Sequence
from dataclasses import replace

from bench.analysis.words import labels, plural, shortened
from bench.gate.outputs.sentences import share, signed
from bench.gate.series import Jump, NightPoint, NightSeries
from bench.gate.verdict import CellName
from bench.report.figures.nights import Calendar, nights_panel
from bench.report.fill import fill
from bench.report.filters import Filters
from bench.report.view import ABSENT, Block, Column, Figure, Panel, Section, Table, TableCell, Words
from bench.text import printable

__all__ = ["NightPoint", "NightSeries", "build_trend"]

NIGHTS = 180  # the latest, so that a page of many cells stays small
STEPPED, QUIET = 24, 12  # drawings that are not folded
CAPTION = (
    "Test score in percent, mean over the n repeats of each night with its interval; very long intervals are cut at "
    "the edge. Thick lines are the levels between steps: ▼ begins a lower one, ▲ a higher one. Long dashes: the "
    "accepted baseline. A dotted upright line: the environment changed, see the table of environments. Nights are "
    "evenly spaced; each drawing has its own y axis, which need not start at 0."
)


def build_trend(suite: str, series: Sequence[NightSeries]) -> str:
    """The same series give the same bytes."""
    cells = [_printable(one) for one in series]
    calendar = _calendar(cells)
    stepped = sorted((one for one in cells if one.steps), key=lambda one: -one.largest)
    quiet = sorted((one for one in cells if not one.steps), key=lambda one: -one.movement)
    sections = [_steps(stepped, calendar), _quiet(quiet, calendar, len(stepped)), _nights(cells, calendar)]
    return fill(
        "plain.html",
        ["page.css", "filter.css", "print.css", "gate.css"],
        Filters(),
        eyebrow="Scores over many nights",
        title=printable(suite),
        head=f"{printable(suite)}: scores over many nights",
        source=f"the records of suite \u2068{printable(suite)}\u2069 alone",
        findings=_findings(cells, stepped, calendar),
        sections=[section for section in sections if section is not None],
    )


def _printable(series: NightSeries) -> NightSeries:
    """Names as one line, so that nothing behind this needs to care."""
    cell = series.cell
    names = CellName(*(printable(text) for text in (cell.dataset, cell.budget, cell.backbone, cell.strategy)))
    nights = tuple(
        replace(n, when=printable(n.when), commit=printable(n.commit), environment=printable(n.environment))
        for n in series.nights
    )
    return replace(series, cell=names, nights=nights)


def _calendar(cells: Sequence[NightSeries]) -> Calendar:
    nights = sorted({(night.when, night.environment) for one in cells for night in one.nights})
    whens = list(dict.fromkeys(when for when, _ in nights))[-NIGHTS:]
    environments = list(dict.fromkeys(environment for _, environment in nights))
    return Calendar(
        {when: i for i, when in enumerate(whens)},
        {environment: f"E{i + 1}" for i, environment in enumerate(environments)},
    )


def _findings(cells: list[NightSeries], stepped: list[NightSeries], calendar: Calendar) -> list[str]:
    whens = list(calendar.places)
    if not whens:
        return ["No night has been measured yet."]
    span = f"{shortened(whens[0])} to {shortened(whens[-1])}" if len(whens) > 1 else shortened(whens[0])
    moved = f"{plural(len(stepped), 'cell')} of {len(cells):,} changed level"
    found = [f"{moved} within {plural(len(whens), 'night')} ({span})."]
    if stepped:
        step = max((step for one in stepped for step in one.steps), key=lambda step: abs(step.points))
        verb = "fell" if step.points < 0 else "rose"
        found.append(
            f"The largest step: {_title(step.series)} on {_where(step.series)} {verb} by {abs(step.points):.2f} points "
            f"between commit {shortened(step.last.commit, 40)} and {shortened(step.first.commit, 40)} "
            f"({shortened(step.first.when, 40)})."
        )
    if len(calendar.environments) > 1:
        found.append(
            f"The nights ran in {len(calendar.environments)} environments: a step where one changed may come from it."
        )
    if len({night.when for one in cells for night in one.nights}) > len(whens):
        found.append(f"Only the latest {NIGHTS} nights are drawn and listed.")
    return found


def _steps(stepped: list[NightSeries], calendar: Calendar) -> Section | None:
    if not stepped:
        return None
    how = (
        "Cells whose level changed, the largest step first. A step is placed within a few nights of its cause, so look "
        "at the commits around the two of a row as well."
    )
    columns = [
        Column("Cell", numeric=False),
        Column("Step", numeric=False),
        Column("From", "%"),
        Column("To", "%"),
        Column("Change", "points"),
        Column("Last night before", numeric=False),
        Column("First night after", numeric=False),
        Column("Environment", numeric=False),
    ]
    steps = sorted((step for one in stepped for step in one.steps), key=lambda step: -abs(step.points))
    caption = f"{plural(len(steps), 'step')}; levels are means of all nights between two steps."
    table = Table("steps", columns, [_step(step, calendar) for step in steps], caption)
    return Section("steps", "Steps", how, [table, *_figures(stepped, calendar, STEPPED, CAPTION)])


def _step(step: Jump, calendar: Calendar) -> list[TableCell]:
    fell, rose = TableCell("▼ fell", value="fell", css="word bad"), TableCell("▲ rose", value="rose", css="word good")
    old, new = (calendar.environments[night.environment] for night in (step.last, step.first))
    return [
        _name(step.series),
        fell if step.points < 0 else rose,
        TableCell(share(step.before.mean), value=100 * step.before.mean),
        TableCell(share(step.after.mean), value=100 * step.after.mean),
        TableCell(signed(step.points), value=step.points),
        _night(step.last),
        _night(step.first),
        TableCell("the same", css="quiet") if old == new else TableCell(f"{old} → {new}", css="head"),
    ]


def _night(night: NightPoint) -> TableCell:
    label = f"{night.when}, commit {night.commit}"
    return TableCell(shortened(night.when, 40), value=label, sub=f"commit {shortened(night.commit, 40)}", title=label)


def _quiet(quiet: list[NightSeries], calendar: Calendar, stepped: int) -> Section | None:
    if not quiet or not calendar.places:
        return None
    how = "Cells without a step, those that moved most first."
    title = "Other cells" if stepped else "Cells"
    return Section("cells", title, how, _figures(quiet, calendar, QUIET, "As above." if stepped else CAPTION))


def _figures(cells: list[NightSeries], calendar: Calendar, num_open: int, caption: str) -> list[Block]:
    panels = [Panel(_title(one), _where(one), nights_panel(one, calendar, _title(one))) for one in cells]
    found: list[Block] = [Figure(panels[:num_open], [], caption)]
    if rest := panels[num_open:]:
        found.append(Figure(rest, [], "As above.", title=f"{plural(len(rest), 'more cell')}", folded=True))
    return found


def _nights(cells: list[NightSeries], calendar: Calendar) -> Section | None:
    if not calendar.places:
        return None
    how = "What each night was measured with; the latest first."
    found: dict[tuple[str, str, str], int] = {}
    for night in (night for one in cells for night in one.nights if night.when in calendar.places):
        key = (night.when, night.commit, calendar.environments[night.environment])
        found[key] = found.get(key, 0) + 1
    rows = [
        [
            TableCell(shortened(when), value=when, css="head"),
            TableCell(shortened(commit, 40), value=commit, css="mono", title=commit),
            TableCell(name),
            TableCell(f"{count}", value=count),
        ]
        for (when, commit, name), count in sorted(found.items(), key=lambda item: item[0], reverse=True)
    ]
    columns = [Column(text, numeric=False) for text in ("Night", "Commit", "Environment")] + [Column("Cells")]
    nights = Table("nights", columns, rows, "", title=plural(len(rows), "night"), folded=True)
    return Section("nights", "Nights and environments", how, [_environments(cells, calendar), nights])


def _environments(cells: list[NightSeries], calendar: Calendar) -> Block:
    if not calendar.environments:
        return Words([])
    columns = [Column(text, numeric=False) for text in ("Environment", "Versions", "First night", "Last night")]
    rows = []
    for text, name in calendar.environments.items():
        whens = sorted({n.when for one in cells for n in one.nights if n.environment == text})
        ends = [TableCell(shortened(when, 40), value=when, css="line") for when in (whens[0], whens[-1])]
        environment = TableCell(shortened(text, 300) or ABSENT, value=text, css="error")
        rows.append([TableCell(name, css="head"), environment, *ends])
    return Table("environments", columns, rows, "")


def _title(series: NightSeries) -> str:
    return shortened(series.cell.strategy)


def _where(series: NightSeries) -> str:
    cell = series.cell
    return f"{shortened(cell.dataset)}, {labels(shortened(cell.budget))} · {shortened(cell.backbone)}"


def _name(series: NightSeries) -> TableCell:
    return TableCell(_title(series), value=str(series.cell), sub=_where(series), css="name", title=str(series.cell))
