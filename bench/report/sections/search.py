"""How much the search decided: its steps beside the score, what choosing gave away, and what fewer trials would do."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from bench.analysis.cells import Row, Task, records
from bench.analysis.search import (
    SearchStory,
    by_validation,
    curve,
    mean_curve,
    search_summary,
    searches,
    with_all_finals,
)
from bench.analysis.statistics import Interval
from bench.analysis.words import labels, plural, shortened
from bench.report.facts import Facts, name_cell
from bench.report.figures.lines import LinePoint, tell
from bench.report.figures.trials import trials_panel
from bench.report.sections.gallery import first_of, gallery
from bench.report.view import (
    ABSENT,
    Block,
    Column,
    Figure,
    Panel,
    Section,
    Table,
    TableCell,
    Words,
    compact,
    percent,
    signed,
)

SHOWN, DRAWN = 6, 12  # drawings in sight, and at all
ALL = "Regret on test is not known: only with “search: {finals: all}” is every point trained on all labels."
NOT_DRAWN = (
    "What fewer trials would have come to is not drawn where most of one race left early: a smaller one would have "
    "trained some of these to an end that nobody knows."
)
Curve = tuple[SearchStory, list[float]]


def search_section(facts: Facts) -> Section | None:
    how = (
        "A trial is one training of a search, with one learning rate. A line that still rises at its right end would "
        "gain from more of them."
    )
    results = facts.results
    found = searches(results.trials)
    checked = with_all_finals(found, results.finals, results.unchosen)
    rows = records(search_summary(found, checked, results.finals, facts.board.tasks))
    if not rows or all(row["trials"] < 2 for row in rows):
        return None
    blocks: list[Block] = [_table(facts, rows)]
    curves = [(one, curve(one, by_validation)) for one in found]
    drawn = [(one, values) for one, values in curves if _says_enough(one, values)]
    left_out = [NOT_DRAWN] if len(drawn) < len(curves) else []
    blocks += _figures(facts, drawn, "Validation", *_about_validation([one for one, _ in drawn], left_out)) or [
        Words(left_out, tone="note")
    ]
    if checked:
        tests = [(one.search, values) for one in checked
                 if _says_enough(one.search, values := curve(one.search, one.by_test))]  # fmt: skip
        blocks += _figures(facts, tests, "Test", "As above, but the test score of what validation chose.", "")
    return Section("search", "How much the search decided", how, blocks)


def _says_enough(search: SearchStory, values: Sequence[float]) -> bool:
    """A race kept two to its end, so without any one trial it comes to nearly the same: that draws no line."""
    known = sum(map(math.isfinite, values))
    return known > 2 or (known == 2 and not (search.is_halved and search.is_one_cohort))


def _table(facts: Facts, rows: Sequence[Row]) -> Table:
    on_test = any(row["regret"] is not None for row in rows)
    columns = [Column("Backbone", numeric=False)] if facts.many_backbones else []
    columns += [Column("Strategy", numeric=False), Column("Score", "mean, %"), Column("Trials")]
    columns += [Column("Steps", "of a search"), Column("Share", "of full, %"), Column("Rivals", "searches")]
    if on_test:
        columns += [Column("Regret", "test, points", interval=True), Column("Gain", "test, points", interval=True)]
    lines = [_row(facts, row, on_test) for row in rows]
    among = _validated_on(facts, rows)
    caption = (
        f"Over the leaderboard's {plural(len(facts.board.tasks), 'task')}. Rivals: searches in which luck chose "
        f"between two trials, which lay within one of {among} of each other."
    )
    return Table("search", columns, lines, caption, method=_about(rows, on_test))


def _row(facts: Facts, row: Row, on_test: bool) -> list[TableCell]:
    names = [name_cell(row["backbone"])] if facts.many_backbones else []
    share = TableCell(percent(row["share"], 0), value=100 * row["share"] if math.isfinite(row["share"]) else "")
    rivals = TableCell(f"{row['close']} of {row['searches']}", value=row["close"] / row["searches"])
    return [
        *names,
        name_cell(row["strategy"], facts.strategies[row["strategy"]]),
        TableCell(percent(row["score"]), value=100 * row["score"]),
        TableCell(f"{row['trials']:.0f}", value=row["trials"]),
        TableCell(compact(row["steps"]) if row["steps"] >= 10_000 else f"{row['steps']:,.0f}", value=row["steps"]),
        share,
        rivals if row["trials"] > 1 else TableCell(ABSENT, value=""),
        *([_interval(row["regret"]), _interval(row["gain"])] if on_test else []),
    ]


def _interval(found: Interval | None) -> TableCell:
    if found is None:
        return TableCell(ABSENT, value="", css="quiet")
    half = f" ±{100 * found.half:.1f}" if math.isfinite(found.half) else ""
    return TableCell(f"{signed(found.mean)}{half}", value=100 * found.mean,
                bounds=(100 * found.low, 100 * found.high, found.n))  # fmt: skip


def _validated_on(facts: Facts, rows: Sequence[Row]) -> str:
    sizes = sorted({int(row["num_validation"]) for row in rows if math.isfinite(row["num_validation"])})
    among = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}" if sizes else "few"
    return f"the {among} validation {facts.example}s"


def _about(rows: Sequence[Row], on_test: bool) -> str:
    known, total = (sum(row[name] for row in rows) for name in ("known", "searches"))
    about = (
        "Steps are those that all trials of a search took, every fold counted: the median of the searches, and its "
        "share of what as many finals would take; the same number of trials need not be the same work. Rivals: "
        "another trial ran as far as the chosen one and came as close to it. "
    )
    if known == total:
        worst = max(row["on_validation"] for row in rows)
        about += (
            "Every trial ran to its end, so on validation the choice is made among all of them: a regret of "
            f"{percent(worst)} points at most. "
        )
    else:
        few = "" if not known else f"in {total - known} of {total} searches "
        about += (
            f"Regret on validation is not known {few}where trials left early: their scores at the end do not exist, "
            "and nothing bounds them. "
        )
    if not on_test:
        return about + ALL
    return about + (
        "Regret on test: the best test score of all points of a search minus that of the chosen one. It is never "
        "negative, and part of it is the luck of the best of several. Gain: the chosen test score minus the mean of "
        "all points that came to a score, which is what a random one would give. ± is half of the 95 % Student t "
        "interval over repeats."
    )


def _figures(facts: Facts, found: Sequence[Curve], what: str, caption: str, method: str) -> list[Block]:
    tasks: dict[Task, dict[str, list[list[float]]]] = {}
    for search, values in found:
        tasks.setdefault(search.task, {}).setdefault(search.strategy, []).append(values)
    panels = []
    for number, (task, by_strategy) in enumerate(list(tasks.items())[:DRAWN]):
        lines = [
            (series, points)
            for name, series in facts.strategies.items()
            if len(points := _points(name, mean_curve(by_strategy.get(name, [])))) > 1
        ]
        if lines:
            detail = labels(task[1]) + (f" · {shortened(task[2])}" if facts.many_backbones else "")
            picture = trials_panel(lines, f"trials-{what.lower()}{number}", what)
            panels.append(Panel(facts.named(task[0]), detail, picture, facts.about(*task)))
    if not panels:
        return []
    title, caption = f"{what} score against trials", caption + first_of(len(tasks), DRAWN)
    if what == "Test":
        return [Figure(panels, [], caption, title=title, folded=True)]
    return gallery(Figure([], list(facts.strategies.values()), caption, title=title, method=method), panels, SHOWN)


def _points(name: str, values: Sequence[float]) -> list[LinePoint]:
    return [
        LinePoint(float(k), 100 * value, told=tell(name, plural(k, "trial"), f"{percent(value)} %"))
        for k, value in enumerate(values, 1)
        if math.isfinite(value)
    ]


def _about_validation(found: Sequence[SearchStory], left_out: Sequence[str]) -> tuple[str, str]:
    """Caption and method. What a line stands for depends on how its search went about it."""
    kinds: list[tuple[Callable[[SearchStory], bool], str]] = [
        (lambda s: s.is_one_cohort and not s.is_halved,
         "Where no point depends on the result of another: the mean over every random subset of the points that this "
         "search tried, drawn without replacement; a trial that diverged counts as 0."),
        (lambda s: s.is_one_cohort and s.is_halved,
         "Where trials left early: the mean over random subsets of the points that this search tried, the race run "
         "again among them; a trial that left in truth counts as not chosen, and no number is drawn where that leaves "
         "a subset without a choice."),
        (lambda s: not s.is_one_cohort,
         "Where later points depend on earlier results, subsets mean nothing: the best of the first trials, in the "
         "order in which they were asked, after each complete cohort where trials left early."),
    ]  # fmt: skip
    said = [text for applies, text in kinds if any(map(applies, found))]
    repeats = max(Counter((one.task, one.strategy) for one in found).values(), default=1)
    mean = f"mean of {repeats} searches, no interval" if repeats > 1 else "n = 1 search each, so no interval"
    caption = f"Validation score in percent of the trial that so many trials would have chosen ({mean})."
    return caption, " ".join([*said, *left_out, "Each drawing has its own y axis."])
