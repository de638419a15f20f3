"""Where it errs: scores of many kinds from what the finals said of each test example; class by class; confusions of
every strategy, as far as there is room; and the examples that most finals tell wrong."""

import itertools
import math

import numpy as np

from bench.analysis.cells import Task
from bench.analysis.hardest import Hard, hardest
from bench.analysis.mistakes import BINS, MOST_CLASSES, Found, Mistakes, highest, mistakes
from bench.analysis.statistics import Interval
from bench.analysis.words import plural, shortened
from bench.modalities import MODALITIES
from bench.report.facts import Facts, name_cell, unique
from bench.report.glimpse import glimpse
from bench.report.view import ABSENT, Block, Column, Figure, Group, Panel, Section, Table, TableCell, Words, percent
from bench.store.samples import Samples

LISTED = 20  # files that could not be read
OPEN = 4  # tables of so many tasks are open; of more, all are folded
NO_CLASS = "none of these"
ROOM = 2000  # shares in tables by class, the best strategies' confusions apart: some 90 kB of the page
FEW_CLASSES = 8  # shown of a task that has too many for a table
HEADED = 14  # characters of a class over a column
SETS = 6  # data sets whose hardest examples are shown
CAPTION = (
    "Mean over n = {repeats} repeats unless a cell says “of {repeats}”, ± half of the 95 % Student t interval over "
    "repeats alone, on these very test {example}s. Balanced accuracy is the mean recall of the classes, F1 the mean of "
    f"theirs, MCC Matthews’ correlation. ECE, the expected calibration error, has {BINS} equally wide bins of the "
    "predicted class’s probability. AUROC is the rank statistic of two classes; of more, the mean of each class "
    "against the others, where the suite keeps all "
    "probabilities. The lowest recall is over the {example}s of all repeats together. Classes whose names are not "
    "known go by their numbers, from 0. Strategies whose classifiers give no probabilities have no log-loss, ECE and "
    "AUROC; a column that would be empty is left out."
)


def mistakes_section(facts: Facts) -> Section | None:
    how = (
        f"How each strategy errs on the test {facts.example}s of each task, and which class it knows least. A balanced "
        "accuracy below the plain one says that rare classes are told worse than common ones."
    )
    if not (facts.results.finals["status"] == "ok").any():
        return None
    found = mistakes(facts.results.finals)
    blocks: list[Block] = []
    if found.cells:
        repeats = max(one.planned for one in found.cells)
        caption = CAPTION.format(repeats=repeats, example=facts.example)
        blocks += [*_tables(facts, found), Words([caption], tone="caption"), *_hardest(facts)]
    else:
        blocks.append(Words([_why_nothing(facts)]))
    if found.problems:
        more = [f"and {len(found.problems) - LISTED} more"] if len(found.problems) > LISTED else []
        blocks.append(Words(["Predictions that could not be read, counted as absent (the scores stand):"]))
        blocks.append(Words([*found.problems[:LISTED], *more], listed=True, tone="code"))
    return Section("mistakes", "Where it errs", how, blocks)


def _why_nothing(facts: Facts) -> str:
    if facts.results.suite.get("records", {}).get("predictions") == "none":
        return "Nothing can be said of single classes: the suite keeps no predictions (records: {predictions: none})."
    return "Nothing can be said of single classes: no predictions lie beside these records."


def _tables(facts: Facts, found: Found) -> list[Block]:
    """Of each task the strategies' scores, how each of them knows each class, and their confusions: of the one with the
    highest mean whatever the room."""
    by_task: dict[Task, list[Mistakes]] = {}
    for one in found.cells:
        by_task.setdefault(one.task, []).append(one)
    best = {one.task: one for one in highest(found.cells)}
    tables: list[Block] = []
    room, left_out = ROOM, 0
    for number, (task, rows) in enumerate(by_task.items()):
        tables.append(_scores(facts, rows, number, folded=len(by_task) > OPEN))
        if task in best:
            title = f"Confusions of the highest mean: {facts.where(task)}, {shortened(best[task].strategy)}"
            tables.append(_confusion(facts, best[task], f"{number}", title))
        more = [_recalls(facts, rows, number)] if any(np.isfinite(one.recalls).any() for one in rows) else []
        more += [
            _confusion(facts, one, f"{number}-{place}", f"Confusions of {shortened(one.strategy)}: {facts.where(task)}")
            for place, one in enumerate(rows) if one.table is not None and one is not best.get(task)
        ]  # fmt: skip
        fitting = _fitting(more, room)
        room -= sum(map(_size, fitting))
        left_out += len(more) - len(fitting)
        if fitting:
            tables.append(Group(f"Class by class, every strategy: {facts.where(task)}", fitting))
    if left_out:
        what = plural(left_out, "table")
        tables.append(Words([f"Left out to keep the page small: {what} of classes and confusions."]))
    return tables


def _fitting(tables: list[Table], room: int) -> list[Table]:
    """The first ones."""
    sizes = itertools.accumulate(map(_size, tables))
    return [table for table, size in zip(tables, sizes, strict=True) if size <= room]


def _size(table: Table) -> int:
    return len(table.rows) * len(table.columns)


def _recalls(facts: Facts, found: list[Mistakes], number: int) -> Table:
    """Of many classes those that are told worst."""
    recalls = np.stack([one.recalls for one in found])
    places = list(range(found[0].num_classes))
    where, names = facts.where(found[0].task), _names(facts, found[0])
    title = f"Share told right of each class: {where}"
    if len(places) > MOST_CLASSES:
        known = [place for place in places if np.isfinite(recalls[:, place]).any()]
        places = sorted(known, key=lambda place: float(np.nanmean(recalls[:, place])))[:FEW_CLASSES]
        title = f"The {len(places)} classes of {len(names)} that are told worst: {where}"
    columns = [Column("Strategy", numeric=False), *(Column(_head(names[place])) for place in places)]
    rows = [
        [name_cell(one.strategy, facts.strategies[one.strategy]),
         *(TableCell(percent(recall, 0)) for recall in one.recalls[places])]
        for one in found
    ]  # fmt: skip
    caption = (
        f"Each column is a class: of its test {facts.example}s, the percentage that is told right (recall), over the "
        "repeats together."
    )
    return Table(f"recalls-{number}", columns, rows, caption, title=title, dense=True)


def _names(facts: Facts, one: Mistakes) -> list[str]:
    names = facts.results.classes_of(one.task[0])
    return list(names) if len(names) == one.num_classes else [str(k) for k in range(one.num_classes)]


def _head(name: str) -> str:
    return name if len(name) <= HEADED else f"{name[: HEADED - 1]}…"


def _scores(facts: Facts, found: list[Mistakes], number: int, folded: bool) -> Table:
    columns = [
        Column("Strategy", numeric=False), Column("Accuracy", "%", interval=True),
        Column("Balanced", "accuracy, %", interval=True), Column("F1", "macro, %", interval=True),
        Column("MCC", "−1 to 1", interval=True), Column("Log-loss", "nats", interval=True),
        Column("ECE", "%", interval=True), Column("AUROC", "0 to 1", interval=True),
        Column("Lowest", "recall, %, of class"),
    ]  # fmt: skip
    rows = [_row(facts, one) for one in found]
    filled = [place for place in range(len(columns)) if any(row[place].text != ABSENT for row in rows)]
    columns, rows = [columns[place] for place in filled], [[row[place] for place in filled] for row in rows]
    return Table(f"mistakes-{number}", columns, rows, "", title=facts.where(found[0].task), folded=folded)


def _row(facts: Facts, one: Mistakes) -> list[TableCell]:
    worst, recall = _lowest(facts, one)
    hundred = [one.scores["accuracy"], one.scores["mean_per_class"], one.scores["macro_f1"]]
    return [
        name_cell(one.strategy, facts.strategies[one.strategy]),
        *(_mean(interval, one, 100, 1) for interval in hundred),
        _mean(one.scores["mcc"], one, 1, 2),
        _mean(one.log_loss, one, 1, 2),
        _mean(one.calibration, one, 100, 1),
        _mean(one.auroc, one, 1, 3),
        TableCell(percent(recall), value=100 * recall, sub=worst),
    ]


def _lowest(facts: Facts, one: Mistakes) -> tuple[str, float]:
    recalls = one.recalls
    if not np.isfinite(recalls).any():
        return "", math.nan
    place = int(np.nanargmin(recalls))
    return shortened(_names(facts, one)[place]), float(recalls[place])


def _mean(interval: Interval, one: Mistakes, times: float, digits: int) -> TableCell:
    if not math.isfinite(interval.mean):
        return TableCell(ABSENT, value="", bounds=(math.nan, math.nan, 0), css="quiet")
    half = f" ±{times * interval.half:.{digits}f}" if math.isfinite(interval.half) else ""
    text = f"{times * interval.mean:.{digits}f}".replace("-", "−")
    gap = f"{interval.n} of {one.planned}" if interval.n < one.planned else ""
    bounds = (times * interval.low, times * interval.high, interval.n)
    return TableCell(f"{text}{half}", value=times * interval.mean, sub=gap, bounds=bounds)


def _confusion(facts: Facts, one: Mistakes, number: str, title: str) -> Table:
    assert one.table is not None
    names = _names(facts, one)
    given = [*names, *([NO_CLASS] if one.table.shape[1] > one.num_classes else [])]
    columns = [Column("True class", numeric=False), Column(f"{facts.example.capitalize()}s")]
    columns += [Column(_head(name)) for name in given]
    rows = []
    for place, (name, counts) in enumerate(zip(names, one.table, strict=True)):
        shares = counts / max(int(counts.sum()), 1)
        cells = [
            TableCell(percent(share, 0), css="best" if column == place else "" if share else "quiet")
            for column, share in enumerate(shares)
        ]
        rows.append([TableCell(shortened(name)), TableCell(f"{counts.sum()}", value=int(counts.sum())), *cells])
    repeats = one.scores["accuracy"].n
    caption = (
        f"Each row is a true class, each column what was answered, in percent of the row, over "
        f"{plural(repeats, 'repeat')} together. Right answers are on a tint."
    )
    return Table(f"confusion-{number}", columns, rows, caption, title=title, folded=True, dense=True)


def _hardest(facts: Facts) -> list[Block]:
    """Of each data set of which examples were kept."""
    kept = {name: one.found for name in unique(facts.results.finals["dataset"])
            if (one := facts.results.samples.get(name)) is not None}  # fmt: skip
    figures: list[Block] = []
    for name, samples in kept.items():
        if samples is not None and len(figures) < SETS and (figure := _hardest_of(facts, name, samples)) is not None:
            figures.append(figure)
    return figures


def _hardest_of(facts: Facts, name: str, samples: Samples) -> Figure | None:
    finals = facts.results.finals[facts.results.finals["dataset"] == name]
    found = hardest(finals, samples)
    if not found.examples:
        return None
    example = MODALITIES[str(finals["modality"].iloc[0])].example
    names = [one.name for one in samples.classes]
    panels = [_card(one, names, samples, example) for one in found.examples]
    caption = (
        f"Each {example} is one of {len(samples.tested):,} that were drawn at random from the {samples.num_tested:,} "
        f"test {example}s to be shown here; these are told wrong by the largest share of the {found.finals} trainings "
        "of this data set, all strategies and repeats counted alike. Over it stands its true class."
    )
    return Figure(panels, [], caption, title=f"The hardest {example}s: {facts.named(name)}", cards=True)


def _card(one: Hard, names: list[str], samples: Samples, example: str) -> Panel:
    answer = shortened(names[one.answer]) if one.answer < len(names) else NO_CLASS
    detail = f"wrong in {one.wrong} of {one.asked}, most often as {answer} ({one.times})"
    said = f"{example} of class {names[one.label]}"
    return Panel(shortened(names[one.label]), detail, glimpse(samples.tested[one.number].example, said))
