"""Leaderboard over the tasks that all finished, and the scores of every dataset."""

import math
from collections.abc import Callable
from functools import partial

from bench.analysis.cells import Row, collapse_text, records, task_of
from bench.analysis.leaderboard import barred, leaderboard
from bench.analysis.words import labels, listed, plural, plus_minus, shortened
from bench.modalities import MODALITIES
from bench.report.facts import Facts, name_cell, unique
from bench.report.strip import Scale, strip
from bench.report.view import ABSENT, Block, Column, Section, Table, TableCell, Words, percent, signed

SHIFT = " Shift: the score on a further split, which has the same classes in other circumstances."
SHIFT_METHOD = (
    " Each network is scored on the shifted split once, after its last step, and nothing is chosen on it. Below that "
    "score stands how many points it lies below the test score or above, paired by repeat. The intervals of both are "
    "over repeats, on these very {example}s of the split."
)

# Columns of a summary of cells, as a spreadsheet is to call them.
TEXTS = {
    "dataset": "Dataset", "modality": "Kind of data", "budget": "Labels", "backbone": "Backbone",
    "strategy": "Strategy", "statuses": "Not finished", "lr_edge": "Rate at an end",
}  # fmt: skip
NUMBERS = {
    "labels_per_class": "Labels per class", "n": "Repeats finished", "planned": "Repeats planned", "num_images": "",
    "num_collapsed": "Repeats collapsed", "mean_without": "Mean without these", "mean": "Mean score", "low": "Low end",
    "high": "High end", "lr": "Learning rate", "inflation": "Gain by selection on test", "flops": "FLOPs",
    "trainable_params": "Trainable parameters", "seconds": "Seconds",
}  # fmt: skip
SHIFTED = {
    "shift": "Shift score", "shift_low": "Shift low end", "shift_high": "Shift high end", "drop": "Drop to the shift",
    "drop_low": "Drop low end", "drop_high": "Drop high end",
}  # fmt: skip
EDGES = {"low": "lowest", "high": "highest"}


def leaderboard_section(facts: Facts) -> Section:
    how = "Each strategy’s mean over the tasks (a data set with a label budget) that every ranked strategy finished."
    rows = records(facts.board.rows)
    if not any(row["ranked"] for row in rows):
        return Section(
            "leaderboard",
            "Leaderboard",
            how,
            [Words(["No task was finished by any strategy, so there is no ranking."])],
        )
    blocks: list[Block] = [_table(facts, rows), *([_by_modality(facts)] if facts.is_mixed else [])]
    blocks.append(Words(_remarks(facts, rows), tone="note", listed=True))
    return Section("leaderboard", "Leaderboard", how, blocks)


def _table(facts: Facts, rows: list[Row]) -> Table:
    ranked = [row for row in rows if row["ranked"]]
    ends = [row[end] for row in ranked for end in ("low", "high", "mean")]
    scale = Scale.over(ends)
    columns = [
        Column("Strategy", numeric=False),
        Column("Mean score", "%", interval=True),
        Column("95 % interval", f"{percent(scale.low, 0)} to {percent(scale.high, 0)}", numeric=False),
        Column("Behind the highest", "points", interval=True),
        Column("Mean rank"),
        Column("First in", plural(len(facts.board.tasks), "task")),
        Column("Finished", "tasks"),
    ]
    n = max((int(row["n"]) for row in ranked), default=0)
    caption = (
        f"Mean over {plural(len(facts.board.tasks), 'task')} and n = {n} repeats, with its 95 % interval. ≈ may be the "
        "best: no other strategy is shown to be better."
    )
    method = (
        f"The interval is over repeats{f' and test {facts.example}s' if facts.knows_images else ''}, with the tasks "
        "held fixed, so it says nothing about other data sets. What ≈ marks is tested paired by repeat, one-sided, at "
        "5 % over all rivals and all tasks of this page. Below the distance to the highest mean stands how far a "
        "strategy may lie behind the best of all the others. Strategies that share the first place in a task have "
        "equal parts of it."
    )
    return Table("leaderboard", columns, [_row(facts, row, scale) for row in rows], caption, method=method)


def _by_modality(facts: Facts) -> Table:
    """A strategy that no network of one modality can take has no mean there, and takes no task from the others."""
    columns, means, finals = [Column("Strategy", numeric=False)], {}, facts.results.finals
    for name in facts.modalities:
        mine = [row for row in facts.summary if row["modality"] == name]
        board = leaderboard(finals[finals["modality"] == name], facts.scores, mine)
        title = f"{MODALITIES[name].example}s".capitalize()
        columns.append(Column(title, f"%, {plural(len(board.tasks), 'task')}", interval=True))
        means[name] = {row["strategy"]: row for row in records(board.rows) if row["ranked"]}
    rows = [[name_cell(name, look), *(_mean(found.get(name)) for found in means.values())]
            for name, look in facts.strategies.items()]  # fmt: skip
    caption = (
        "Mean score over the tasks of one kind of data that all strategies ranked there finished. Each kind has "
        "backbones of its own, so compare rows, not columns."
    )
    return Table("modalities", columns, rows, caption, title="By modality")


def _row(facts: Facts, row: Row, scale: Scale) -> list[TableCell]:
    name = name_cell(row["strategy"], facts.strategies[row["strategy"]])
    finished = TableCell(
        f"{row['complete']} of {row['planned']}",
        value=int(row["complete"]),
        sub=row["gap"],
        css="gap" if row["gap"] else "",
    )
    if not row["ranked"]:
        absent = TableCell(ABSENT, value="", css="quiet")
        mean = TableCell(ABSENT, value="", sub="not ranked", css="quiet")
        return [name, mean, absent, absent, absent, absent, finished]
    mean = _mean(row)
    picture = TableCell(
        "",
        value="",
        picture=strip(scale, row["mean"], (row["low"], row["high"]), f"c-{facts.strategies[row['strategy']].color}"),
    )
    rank = TableCell(f"{row['rank']:.1f}", value=row["rank"])
    wins = TableCell(f"{row['wins']:.3g}", value=round(row["wins"], 3))
    return [name, mean, picture, _behind(row), rank, wins, finished]


def _mean(row: Row | None) -> TableCell:
    if row is None:
        return TableCell(ABSENT, value="", css="quiet", bounds=(math.nan, math.nan, 0))
    text = f"{percent(row['mean'])}{plus_minus(row['low'], row['mean'], row['high'])}"
    return TableCell(text, value=100 * row["mean"], bounds=(100 * row["low"], 100 * row["high"], int(row["n"])))


def _behind(row: Row) -> TableCell:
    mark = "≈ " if row["candidate"] and math.isfinite(row["p"]) else ""
    bounds = (100 * row["behind_low"], 100 * row["behind_high"], int(row["n"]))
    text = f"{mark}{signed(row['behind'])}"
    if not math.isfinite(row["behind_low"]):
        return TableCell(text, value=100 * row["behind"], bounds=bounds)
    least, most = (max(0.0 - 100 * row[end], 0.0) for end in ("behind_high", "behind_low"))  # never a negative 0
    sub = f"at most {most:.1f} behind" if row["candidate"] else f"{least:.1f} to {most:.1f} behind"
    return TableCell(text, value=100 * row["behind"], sub=sub, bounds=bounds)


def _remarks(facts: Facts, rows: list[Row]) -> list[str]:
    found = [
        f"{shortened(name)} fits no network of {listed([f'{MODALITIES[one].example}s' for one in lacks])}, so it is "
        "ranked by modality alone."
        for name, lacks in barred(facts.summary).items()
    ]
    if facts.board.left_out:
        named = "; ".join(facts.where(task) for task in facts.board.left_out[:6])
        more = f"; and {len(facts.board.left_out) - 6} more" if len(facts.board.left_out) > 6 else ""
        found.append(f"Left out of the means, as not every ranked strategy finished them: {named}{more}.")
    return found


def datasets_section(facts: Facts) -> Section:
    how = "Bold on a tint: the highest mean of a column. ≈ may be the best too: no other is shown to be better."
    groups = facts.groups
    if not groups:
        return Section("datasets", "Scores by dataset", how, [Words(["No cells are planned."])])
    blocks: list[Block] = [_scores(facts, key, rows) for key, rows in groups.items()]
    planned = max(row["planned"] for row in facts.summary)
    caption = (
        f"Test {facts.metric} in percent, mean over n = {planned} repeats unless it says “of {planned}”, with the 95 % "
        f"interval.{SHIFT if any(map(_has_shift, facts.summary)) else ''}"
    )
    method = (
        f"The interval is {facts.scope} Where a strategy collapsed in some repeats and not in others its mean keeps "
        "them, and has no interval: a mean over trainings that work and trainings that break has no honest one."
        f"{SHIFT_METHOD.format(example=facts.example) if any(map(_has_shift, facts.summary)) else ''}"
    )
    words = Words([caption], tone="caption", method=method)
    return Section("datasets", "Scores by dataset", how, [*blocks, words, _all_cells(facts)])


def _scores(facts: Facts, key: tuple[str, str], rows: list[Row]) -> Table:
    budgets = unique(row["budget"] for row in rows)
    found = {(row["strategy"], row["budget"]): row for row in rows}
    shown: list[tuple[str, Column, Callable[[Row | None], TableCell]]] = []
    for budget in budgets:
        about = facts.about(budget=budget)
        shown.append((budget, Column(labels(budget), "%", interval=True, about=about), partial(_score, facts)))
        if any(_has_shift(row) for row in rows if row["budget"] == budget):
            title = "Shift" if len(budgets) == 1 else f"Shift, {labels(budget)}"
            shown.append((budget, Column(title, "%", interval=True, about=about), _shift))
    columns = [Column("Strategy", numeric=False), *(column for _, column, _ in shown)]
    lines = [
        [name_cell(name, facts.strategies[name]), *(cell(found.get((name, budget))) for budget, _, cell in shown)]
        for name in unique(row["strategy"] for row in rows)
    ]
    number = list(facts.groups).index(key)
    about = facts.about(key[0], backbone=key[1])
    return Table(f"scores-{number}", columns, lines, "", title=facts.heading(*key), about=about)


def _has_shift(row: Row) -> bool:
    return math.isfinite(row["shift"])


def _shift(row: Row | None) -> TableCell:
    if row is None or not _has_shift(row):
        return TableCell(ABSENT, value="", css="quiet")
    low, high = row["shift_low"], row["shift_high"]
    text = f"{percent(row['shift'])}{plus_minus(low, row['shift'], high)}"
    return TableCell(text, value=100 * row["shift"], sub=_drop(row), bounds=(100 * low, 100 * high, int(row["n"])))


def _drop(row: Row) -> str:
    """`27.6 ±1.2 below the test score`"""
    low, mean, high, side = row["drop_low"], row["drop"], row["drop_high"], "below"
    if mean < 0:
        low, mean, high, side = -high, -mean, -low, "above"
    return f"{percent(mean)}{plus_minus(low, mean, high)} {side} the test score"


def _score(facts: Facts, row: Row | None) -> TableCell:
    if row is None:
        return TableCell(ABSENT, value="", css="quiet")
    if row["n"] == 0:
        return TableCell(
            ABSENT, value="", sub=row["statuses"].replace("_", " "), css="gap" if row["applicable"] else "quiet"
        )
    place = facts.standings[task_of(row)].get(row["strategy"])
    text = f"{percent(row['mean'])}{plus_minus(row['low'], row['mean'], row['high'])}"
    same = f"identical over {row['n']} repeats" if row["identical"] else ""
    gap = "" if row["complete"] else f"{row['n']} of {row['planned']}: {row['statuses']}".replace("_", " ")
    sub = "; ".join(part for part in (gap, collapse_text(row), same) if part)
    css = "gap" if place is None else "best" if place.is_highest else "tied" if place.is_candidate else ""
    css += " collapsed" if row["num_collapsed"] else ""
    bounds = (100 * row["low"], 100 * row["high"], int(row["n"]))
    mark = "≈ " if place is not None and place.is_candidate and place.is_tested else ""
    return TableCell(mark + text, value=100 * row["mean"], sub=sub, css=css, bounds=bounds)


def _all_cells(facts: Facts) -> Table:
    """Long form, for a spreadsheet: raw numbers under plain words."""
    shift = SHIFTED if any(map(_has_shift, facts.summary)) else {}
    numbers = NUMBERS | {"num_images": f"Test {facts.example}s"} | shift
    columns = [*(Column(title, numeric=False) for title in TEXTS.values()), *map(Column, numbers.values())]
    rows = [
        [*(_name(name, row[name]) for name in TEXTS), *(_number(row[name]) for name in numbers)]
        for row in facts.summary
    ]  # fmt: skip
    caption = (
        "Each row is a cell: one strategy on one task. Scores are shares between 0 and 1, costs are of one final "
        "training; made for the CSV."
    )
    return Table("cells", columns, rows, caption, title="All cells, long form", folded=True)


def _name(column: str, name: str) -> TableCell:
    said = EDGES.get(name, name) if column == "lr_edge" else name.replace("_", " ") if column == "statuses" else name
    return name_cell(said)


def _number(value: float) -> TableCell:
    return TableCell(f"{value:.6g}", value=float(value)) if math.isfinite(value) else TableCell(ABSENT, value="")
