"""Over all tasks, repeat by repeat: how often, how typical, which rank, and what choosing by validation would get."""

import math

import numpy as np

from bench.analysis.across import FEWEST_PAIRS, FEWEST_TASKS, Share, improvement, middle_half, profile
from bench.analysis.cells import Task, lowest_score, records
from bench.analysis.comparison import Scores
from bench.analysis.leaderboard import fewest_tasks
from bench.analysis.picks import Picks, picks, validated
from bench.analysis.ranks import dataset_means, ranking
from bench.analysis.variance import Column as Scored
from bench.analysis.variance import Estimate
from bench.analysis.words import listed, plural, plus_minus, shortened
from bench.report.facts import Facts, name_cell, unique
from bench.report.figures.profiles import Profile, profiles_panel
from bench.report.figures.ranks import ranks_panel
from bench.report.strip import Scale, strip
from bench.report.view import ABSENT, Block, Column, Figure, Panel, Section, Table, TableCell, Words, percent, signed

HEIGHTS = 101  # of a profile
FEWEST_REPEATS = 3  # for a band: of 2 it holds at some heights in 84 % of suites only, of 3 in 94 % at all of them

Columns = dict[Task, dict[str, Scored]]


HOW = "The leaderboard’s tasks, repeat by repeat: how often a strategy wins, and what it typically scores."
PAIRS = (
    "Its interval (Wilson’s, from the effective number of draws) is over new draws of labels, starts and orders, on "
    "these tasks and these very test {example}s."
)
FEW_PAIRS = f"With fewer than {FEWEST_PAIRS} pairs an interval would hold too seldom, so there is none."
ONE_TASK = "All ranked strategies finished one task alone, so there is little to tell over tasks."
ONE_REPEAT = (
    "One repeat allows no interval, so this section does not say how often a strategy beats the baseline, nor what it "
    "typically scores."
)


def tasks_section(facts: Facts) -> Section | None:
    names = [row["strategy"] for row in records(facts.board.rows) if row["ranked"]]
    if len(names) < 2:
        return None
    scores = facts.scores
    columns = {task: {name: scores.columns[task][name] for name in names} for task in facts.board.tasks}
    is_one_task, is_one_repeat = len(columns) < 2, _num_repeats(columns) < 2
    blocks: list[Block] = []
    if not is_one_task and not is_one_repeat:
        blocks += [_table(facts, scores, columns, names), _profiles(facts, columns, names)]
    if not is_one_task:
        blocks += _ranks(facts, columns, names)
    if not is_one_repeat:
        blocks += _choice(facts, scores, columns, names)
    how = ONE_TASK if is_one_task else ONE_REPEAT if is_one_repeat else HOW
    return Section("tasks", "Over all tasks", how, blocks) if blocks else None


def _num_repeats(columns: Columns) -> int:
    return min(len(one.scores) for found in columns.values() for one in found.values())


def _table(facts: Facts, scores: Scores, columns: Columns, names: list[str]) -> Table:
    baseline = _baseline(facts, names)
    better = {
        name: improvement([found[name] for found in columns.values()], [found[baseline] for found in columns.values()])
        for name in names if baseline and name != baseline
    }  # fmt: skip
    halves = {name: _half(scores, columns, name) for name in names}
    shown = [Column("Strategy", numeric=False)]
    if baseline:
        shown += [Column(f"Above {shortened(baseline, 20)}", "% of pairs", interval=True),
                  Column("95 % interval", "0 to 100 %", numeric=False)]  # fmt: skip
    shown.append(Column("Middle half", "mean score, %", interval=True))
    lowest = min(lowest_score(row["metric"]) for row in facts.summary)
    rows = [
        [name_cell(name, facts.strategies[name]), *(_better(facts, better.get(name), name) if baseline else []),
         _score(halves[name], lowest)]
        for name in names
    ]  # fmt: skip
    above = f" Above {shortened(baseline)}: in how many pairs it scores higher." if baseline else ""
    caption = (
        f"{plural(len(columns), 'task')}, n = {_num_repeats(columns)} repeats of each.{above} Middle half: the mean "
        "without the lowest and the highest quarter."
    )
    return Table("over-tasks", shown, rows, caption, method=_method(facts, columns, baseline))


def _method(facts: Facts, columns: Columns, baseline: str) -> str:
    repeats, tasks = _num_repeats(columns), len(columns)
    pairs = (
        f"Above {shortened(baseline)}: the chance to score higher than it on one of these tasks and repeats drawn at "
        f"random, from {tasks * repeats} pairs with the same labels, a tie as one half. It says how often, not by how "
        f"much. {PAIRS.format(example=facts.example) if tasks * repeats >= FEWEST_PAIRS else FEW_PAIRS} "
        if baseline
        else ""
    )
    examples = f" and test {facts.example}s" if facts.knows_images else ""
    ends = (
        f"its 95 % interval is over repeats{examples}. A strategy that collapsed in some repeats and not in others has "
        "none."
        if tasks >= FEWEST_TASKS
        else f"it has no interval, as over fewer than {FEWEST_TASKS} tasks one would hold too seldom."
    )
    return (
        f"The tasks are held fixed. {pairs}Middle half: the interquartile mean over all task-repeats; {ends}"
    )


def _baseline(facts: Facts, names: list[str]) -> str:
    """The first of the suite; empty where none is ranked."""
    baselines = unique(row["strategy"] for row in facts.summary if row["baseline"])
    return next((name for name in baselines if name in names), "")


def _half(scores: Scores, columns: Columns, name: str) -> Estimate:
    found = Estimate.of(middle_half([(task[0], one[name]) for task, one in columns.items()]).alone())
    is_judged = len(columns) >= FEWEST_TASKS and not any(scores.breaks(task, name) for task in columns)
    return found if is_judged else _without_ends(found)


def _without_ends(found: Estimate) -> Estimate:
    return Estimate(found.mean, found.n, found.num_images)


def _better(facts: Facts, found: Share | None, name: str) -> list[TableCell]:
    if found is None:
        return [TableCell(ABSENT, value="", css="quiet"), TableCell("", value="")]
    span = f" ({percent(found.low, 0)} to {percent(found.high, 0)})" if math.isfinite(found.low) else ""
    text = f"{percent(found.mean, 0)}{span}"
    bounds = (100 * found.low, 100 * found.high, found.n)
    css = f"c-{facts.strategies[name].color}"
    picture = strip(Scale(0.0, 1.0), found.mean, (found.low, found.high), css, zero=0.5)
    return [TableCell(text, value=100 * found.mean, bounds=bounds), TableCell("", value="", picture=picture)]


def _score(found: Estimate, lowest: float) -> TableCell:
    low, high = found.share_ends(lowest) if math.isfinite(found.error) else (math.nan, math.nan)
    text = f"{percent(found.mean)}{plus_minus(low, found.mean, high)}"
    return TableCell(text, value=100 * found.mean, bounds=(100 * low, 100 * high, found.n))


def _profiles(facts: Facts, columns: Columns, names: list[str]) -> Figure:
    """Bands for two alone: those of all would hide each other."""
    scores = [score for found in columns.values() for one in found.values() for score in one.scores.values()]
    heights = np.linspace(min(scores) - 1e-9, max(scores), HEIGHTS)
    baseline = _baseline(facts, names)
    repeats = _num_repeats(columns)
    count = len(columns) * repeats
    banded = unique(name for name in (names[0], baseline) if name) if repeats >= FEWEST_REPEATS else []
    lines = []
    for name in names:
        shares = profile([found[name] for found in columns.values()], heights)
        low, high = ([100 * one.low for one in shares], [100 * one.high for one in shares])
        lines.append(Profile(
            facts.strategies[name], [100 * float(x) for x in heights], [100 * one.mean for one in shares],
            *((low, high) if name in banded else ([], [])),
        ))  # fmt: skip
    caption = (
        f"On what share of the {count} task-repeats a strategy scores above the height below; the higher line is the "
        "better strategy."
    )
    method = (
        f"Bands of {listed(banded)}: 95 % at each height by itself, over new draws of labels, starts and orders, "
        f"on these tasks and test {facts.example}s; they are wide rather than narrow."
        if banded else ""
    )  # fmt: skip
    panel = Panel("Performance profile", "", profiles_panel(lines, "profiles"))
    return Figure([panel], [facts.strategies[name] for name in names], caption, wide=True, method=method)


def _ranks(facts: Facts, columns: Columns, names: list[str]) -> list[Block]:
    means = dataset_means(columns, names)
    needed = fewest_tasks(len(names))
    if len(means) < needed:
        what = plural(len(means), "data set")
        words = (
            f"Mean ranks describe, no more: over {what} no test (Wilcoxon, corrected for all pairs) can show that any "
            f"of {len(names)} strategies differ. It takes {needed}."
        )
        return [Words([words], tone="note")]
    found = ranking(means, names)
    order = list(found.ranks)
    rows = [(facts.strategies[name], rank) for name, rank in found.ranks.items()]
    cliques = [(order.index(one[0]), order.index(one[-1])) for one in found.cliques]
    differ = sum(found.differs(pair) for pair in found.pairs)
    picture = ranks_panel(rows, cliques, f"Mean ranks of {len(names)} strategies over {len(means)} data sets")
    unjoined = "; ".join(f"{shortened(one)} and {shortened(other)}" for one, other in found.unjoined[:6])
    more = f"; and {len(found.unjoined) - 6} more pairs" if len(found.unjoined) > 6 else ""
    chance = f"p = {found.p:.2g}" if found.p >= 0.001 else "p < 0.001"
    caption = (
        f"Mean rank over {len(means)} data sets, 1 for the highest score. A bar on the right joins strategies of which "
        "no two are shown to differ."
        + (f" Not shown to differ although no bar joins them: {unjoined}{more}." if unjoined else "")
    )
    method = (
        "A data set counts once, with its mean over budgets and backbones, as tasks of one data set are not "
        f"independent. Friedman’s test that all are alike: {chance}. Of {len(found.pairs)} pairs {differ} differ "
        "(Wilcoxon’s signed ranks, exact, Holm at 5 %)."
    )
    return [Figure([Panel("Mean rank", "1 is best", picture)], [], caption, method=method)]


def _choice(facts: Facts, scores: Scores, columns: Columns, names: list[str]) -> list[Block]:
    seen = validated(facts.results.trials)
    found = picks(columns, names, seen)
    if found is None:
        return []
    is_broken = any(scores.breaks(task, name) for task in columns for name in found.offered)
    repeats = _num_repeats(columns)
    pairs = len(columns) * repeats
    taken = listed([f"{shortened(name)} {_count(count)}" for name, count in found.counts.items()], 5)
    is_one_search = all(key[2] is None for key in seen)
    words = (
        f"Choosing the strategy, too, by validation, anew for each task{'' if is_one_search else ' and repeat'}, gives "
        f"{percent(found.chosen.mean)}\u00a0% on test: {_distance(found.behind.mean)} {shortened(found.leader)}, the "
        f"highest on test, which nobody knows beforehand, and {_distance(found.gain.mean)} a strategy drawn at random. "
        f"Of {pairs} task-repeats it took {taken}."
    )
    return [Words([words]), _choice_table(facts, found, names, is_broken, is_one_search)]


def _distance(difference: float) -> str:
    if abs(difference) < 0.0005:
        return "level with"
    side = "above" if difference > 0 else "behind"
    return f"{abs(100 * difference):.1f} points {side}"


def _count(count: float) -> str:
    return f"{count:.3g}×"


def _choice_table(facts: Facts, found: Picks, names: list[str], is_broken: bool, is_one_search: bool) -> Table:
    columns = [Column("Taken", numeric=False), Column("Test score", "%", interval=True),
               Column("The choice minus it", "points", interval=True)]  # fmt: skip
    lowest = min(lowest_score(row["metric"]) for row in facts.summary)
    none = (math.nan, math.nan)
    absent = TableCell(ABSENT, value="", css="quiet", bounds=(*none, 0))
    scores = [_without_ends(one) if is_broken else one for one in (found.chosen, found.best, found.mean)]
    rows = [
        [TableCell("Highest on validation", css="head"), _score(scores[0], lowest), absent],
        [name_cell(found.leader, facts.strategies[found.leader]), _score(scores[1], lowest),
         _minus(found.behind, none if is_broken else found.behind_ends)],
        [TableCell("One at random"), _score(scores[2], lowest),
         _minus(found.gain, none if is_broken else found.gain.ends())],
    ]  # fmt: skip
    absentees = [name for name in names if name not in found.offered]
    caption = (
        f"Mean over {plural(len(facts.board.tasks), 'task')} and n = {found.chosen.n} repeats, with 95 % intervals."
    )
    method = (
        f"All strategies are validated on the same {facts.example}s of a task and repeat; where several share the "
        "highest validation score, the mean of theirs counts. The intervals are paired by repeat; what they cover "
        "stands in the protocol. The "
        f"distance to the highest on test is corrected for having picked it from {len(found.offered)} afterwards."
        + (" One search served all repeats, so each task has one choice: the intervals hold for these."
           if is_one_search else "")
        + (f" Not to be chosen, and in none of these rows, as they have no validation score everywhere: "
           f"{listed(absentees)}." if absentees else "")
        + (" No intervals, as a strategy collapsed in some repeats and not in others." if is_broken else "")
    )  # fmt: skip
    return Table("choice", columns, rows, caption, method=method)


def _minus(found: Estimate, ends: tuple[float, float]) -> TableCell:
    text = f"{signed(found.mean)}{plus_minus(ends[0], found.mean, ends[1])}"
    return TableCell(text, value=100 * found.mean, bounds=(100 * ends[0], 100 * ends[1], found.n))
