"""Where it errs: scores of many kinds from what the finals said of each test example, and the best one's confusions."""

import math

import numpy as np

from bench.analysis.cells import Task
from bench.analysis.mistakes import BINS, Found, Mistakes, highest, mistakes
from bench.analysis.statistics import Interval
from bench.analysis.words import plural, shortened
from bench.report.facts import Facts, name_cell
from bench.report.view import ABSENT, Block, Column, Section, Table, TableCell, Words, percent

LISTED = 20  # files that could not be read
OPEN = 4  # tables of so many tasks are open; of more, all are folded
NO_CLASS = "none of these"
CAPTION = (
    "Mean over n = {repeats} repeats unless a cell says “of {repeats}”, ± half of the 95 % Student t interval over "
    "repeats alone, on these very test {example}s. Balanced accuracy is the mean recall of the classes, F1 the mean of "
    f"theirs, MCC Matthews’ correlation. ECE, the expected calibration error, has {BINS} equally wide bins of the "
    "predicted class’s probability. AUROC is the rank statistic of two classes; of more, the mean of each class "
    "against the others, where the suite keeps all "
    "probabilities. The lowest recall is over the {example}s of all repeats together. Classes go by their numbers, "
    "from 0. Strategies whose classifiers give no probabilities have no log-loss, ECE and AUROC; a column that would "
    "be empty is left out."
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
        blocks += [*_tables(facts, found), Words([caption], tone="caption")]
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


def _tables(facts: Facts, found: Found) -> list[Table]:
    """Of each task the strategies' scores, and the confusions of the one with the highest mean."""
    by_task: dict[Task, list[Mistakes]] = {}
    for one in found.cells:
        by_task.setdefault(one.task, []).append(one)
    best = {one.task: one for one in highest(found.cells)}
    tables = []
    for number, (task, rows) in enumerate(by_task.items()):
        tables.append(_scores(facts, rows, number, folded=len(by_task) > OPEN))
        if task in best:
            tables.append(_confusion(facts, best[task], number))
    return tables


def _scores(facts: Facts, found: list[Mistakes], number: int, folded: bool) -> Table:
    columns = [
        Column("Strategy", numeric=False), Column("Accuracy", "%", interval=True),
        Column("Balanced", "accuracy, %", interval=True), Column("F1", "macro, %", interval=True),
        Column("MCC", "−1 to 1", interval=True), Column("Log-loss", "nats", interval=True),
        Column("ECE", "%", interval=True), Column("AUROC", "0 to 1", interval=True), Column("Lowest", "recall, %"),
        Column("of class", numeric=False),
    ]  # fmt: skip
    rows = [_row(facts, one) for one in found]
    filled = [place for place in range(len(columns)) if any(row[place].text != ABSENT for row in rows)]
    columns, rows = [columns[place] for place in filled], [[row[place] for place in filled] for row in rows]
    return Table(f"mistakes-{number}", columns, rows, "", title=facts.where(found[0].task), folded=folded)


def _row(facts: Facts, one: Mistakes) -> list[TableCell]:
    worst, recall = _lowest(one)
    hundred = [one.scores["accuracy"], one.scores["mean_per_class"], one.scores["macro_f1"]]
    return [
        name_cell(one.strategy, facts.strategies[one.strategy]),
        *(_mean(interval, one, 100, 1) for interval in hundred),
        _mean(one.scores["mcc"], one, 1, 2),
        _mean(one.log_loss, one, 1, 2),
        _mean(one.calibration, one, 100, 1),
        _mean(one.auroc, one, 1, 3),
        TableCell(percent(recall), value=100 * recall),
        TableCell(worst),
    ]


def _lowest(one: Mistakes) -> tuple[str, float]:
    recalls = one.recalls
    if not np.isfinite(recalls).any():
        return ABSENT, math.nan
    place = int(np.nanargmin(recalls))
    return str(place), float(recalls[place])


def _mean(interval: Interval, one: Mistakes, times: float, digits: int) -> TableCell:
    if not math.isfinite(interval.mean):
        return TableCell(ABSENT, value="", bounds=(math.nan, math.nan, 0), css="quiet")
    half = f" ±{times * interval.half:.{digits}f}" if math.isfinite(interval.half) else ""
    text = f"{times * interval.mean:.{digits}f}".replace("-", "−")
    gap = f"{interval.n} of {one.planned}" if interval.n < one.planned else ""
    bounds = (times * interval.low, times * interval.high, interval.n)
    return TableCell(f"{text}{half}", value=times * interval.mean, sub=gap, bounds=bounds)


def _confusion(facts: Facts, one: Mistakes, number: int) -> Table:
    assert one.table is not None
    names = [str(k) for k in range(one.num_classes)]
    given = [*names, *([NO_CLASS] if one.table.shape[1] > one.num_classes else [])]
    columns = [Column("True class", numeric=False), Column(f"{facts.example.capitalize()}s")]
    columns += [Column(name, "%") for name in given]
    rows = []
    for name, counts in zip(names, one.table, strict=True):
        shares = counts / max(int(counts.sum()), 1)
        best = {column: "best" for column, other in enumerate(given) if other == name}
        cells = [
            TableCell(percent(share, 0), value=100 * float(share), css=best.get(column, "" if share else "quiet"))
            for column, share in enumerate(shares)
        ]
        rows.append([TableCell(name), TableCell(f"{counts.sum()}", value=int(counts.sum())), *cells])
    repeats = one.scores["accuracy"].n
    caption = (
        f"Each row is a true class, each column what was answered, in percent of the row, over "
        f"{plural(repeats, 'repeat')} together. Right answers are on a tint."
    )
    title = f"Confusions of the highest mean: {facts.where(one.task)}, {shortened(one.strategy)}"
    return Table(f"confusion-{number}", columns, rows, caption, title=title, folded=True)
