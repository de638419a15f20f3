"""Scores against depth: what freezing costs, what keeping is worth, and how fast each way comes there."""

import math
from collections.abc import Iterable
from dataclasses import replace

from bench.analysis.cells import Row, Task
from bench.analysis.depths import AXES, FROZEN, REFRESHED, Line, Profile, Reading, profiles
from bench.analysis.speed import AT_ONCE, NEVER, Speed, speed, targets
from bench.analysis.statistics import Interval
from bench.analysis.words import in_points, labels, plural, plus_minus, shortened
from bench.report.facts import Facts, name_cell, unique
from bench.report.figures.depths import Depths, depths_panel
from bench.report.palette import SHAPES
from bench.report.sections.gallery import DRAWN, first_of, gallery
from bench.report.sections.learning import point
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
    Words,
    sign_mark,
    signed,
)

DASHES: tuple[tuple[float, ...], ...] = ((), (1, 1.5), (6, 2, 1, 2))  # of the lines of one budget, in suite order
NAMES: dict[Line, str] = {
    FROZEN: "frozen, the rest tuned",
    REFRESHED: "kept, the rest afresh, all tuned",
    ("kept", "frozen"): "kept and frozen, the rest afresh",
    ("kept", "random"): "random and frozen, the rest afresh",
}
DIFFERENCES = "Points above full fine-tuning of the same task, by units frozen or kept; paired by repeat{examples}."
DIFFERENCES_METHOD = (
    "Intervals are those of each reading's own step in Holm's correction over the {num} tested readings of this table "
    "(5 %); they speak {scope} Freezing the first units is the same training as tuning from the next one on, so "
    "`freeze` and `tune_last` share a line. Where nothing stands, the training is full fine-tuning itself, or was not "
    "asked for."
)
STEPS = (
    "Steps until the test score has come {share:.0f} % of the way from chance to where full fine-tuning of the same "
    "repeat ends; the median over repeats. Of a multiple, below 1 is faster."
)
STEPS_METHOD = (
    "The multiples are geometric means over repeats with a plain 95 % interval. "
    "There is none where a repeat was there at its first evaluation or never came there, as one "
    "that diverged. Scores are taken every {every} steps or so and joined by straight lines, so no count is finer than "
    "that. Each strategy trains at the rate that its own search chose for the score after the last step, not for "
    "speed. This is read off test scores along the training: it tells how fast a training is, and no score, choice or "
    "verdict rests on it."
)


def depth_section(facts: Facts) -> Section | None:
    if facts.studies:  # these have a section of their own
        return None
    looks = _looks(facts)
    blocks = _figures(facts, looks)
    if not blocks:
        return None
    how = (
        "From left (everything trains) to right (only the head trains): where a line falls, freezing costs. A unit is "
        "a group of layers that is frozen together."
    )
    is_kept = _has_kept(line for _, line in looks)
    if is_kept:
        how += " Where the rest starts afresh, less of the pretraining is kept the further left one looks."
    found = profiles(facts.scores)
    if found:
        blocks += [Words(told, listed=True)] if (told := _sentences(found, facts)) else []
        blocks.append(_differences(found, facts))
        blocks += [table for table in [_speeds(found, facts)] if table is not None]
    return Section("depth", "Depth" if is_kept else "Frozen depth", how, blocks)


def _figures(facts: Facts, looks: dict[tuple[str, Line], Look]) -> list[Block]:
    what = "frozen or kept" if _has_kept(line for _, line in looks) else "frozen"
    found = {of: lines for of, rows in facts.groups.items()
             if (lines := [line for budget in facts.budgets for line in _depths(looks, budget, rows)])}  # fmt: skip
    if not found:
        return []
    panels, used = [], set()
    for number, ((dataset, backbone), lines) in enumerate(list(found.items())[:DRAWN]):
        used |= {line.series for line in lines}
        num_units = int(facts.groups[dataset, backbone][0]["num_units"])
        picture = depths_panel(lines, num_units, f"depth{number}", what)
        about = facts.about(dataset, backbone=backbone)
        panels.append(Panel(facts.named(dataset), facts.which(backbone), picture, about))
    baseline = any(series.hollow for series in facts.strategies.values())
    caption = (
        f"Test {facts.metric} in percent, mean over the finished repeats (n in the tables above); whiskers are 95 % "
        "intervals. At 0 frozen units stands full fine-tuning."
        + (" Dashed: from scratch at the same budget." if baseline else "")
        + (" Level and dotted: full fine-tuning." if what != "frozen" else "")
    )
    legend = [series for series in looks.values() if series in used]
    figure = Figure([], legend, caption + first_of(len(found), what="panel"))
    return gallery(figure, panels, what="panel")


def _looks(facts: Facts) -> dict[tuple[str, Line], Look]:
    """Of each line: colours tell budgets apart, dashes the lines of one; shapes tell both."""
    lines = list(dict.fromkeys((row["axis"], row["axis_kind"]) for row in facts.summary if row["axis"] in AXES))
    is_kept, found = _has_kept(lines), {}
    for number, line in enumerate(lines):
        for budget, series in facts.budgets.items():
            name = labels(budget) if line == FROZEN and not is_kept else f"{labels(budget)}, {_named(line)}"
            marker = (series.marker + number * len(facts.budgets)) % len(SHAPES)
            found[budget, line] = replace(series, name=name, marker=marker, dashes=DASHES[number % len(DASHES)])
    return found


def _has_kept(lines: Iterable[Line]) -> bool:
    return any(axis == "kept" for axis, _ in lines)


def _named(line: Line) -> str:
    return NAMES.get(line) or shortened(line[1])


def _depths(looks: dict[tuple[str, Line], Look], budget: str, rows: list[Row]) -> list[Depths]:
    """A line for each kind that has two depths at least."""
    mine = [row for row in rows if row["budget"] == budget and row["n"]]
    scratch = next((100 * row["mean"] for row in mine if row["baseline"]), math.nan)
    full = next((100 * row["mean"] for row in mine if _line(row) == FROZEN and row["axis_value"] == 0), math.nan)
    found = []
    for (of, line), series in looks.items():
        points = [point(row, row["axis_value"]) for row in mine if of == budget and _line(row) == line]
        if len({p.x for p in points}) > 1:
            found.append(Depths(series, points, scratch, full if line[0] == "kept" else math.nan))
    return found


def _line(row: Row) -> Line:
    return row["axis"], row["axis_kind"]


def _sentences(found: list[Profile], facts: Facts) -> list[str]:
    margin = facts.results.margin
    points = in_points(100 * margin)
    told = [(one, [*_of_frozen(one, margin, points), *_of_kept(one, margin, points)]) for one in found]
    listed = [(one, [*parts, one.without] if one.without else parts) for one, parts in told if parts]
    return [f"{facts.where(one.task)}: {'; '.join(parts)}." for one, parts in listed]


def _of_frozen(profile: Profile, margin: float, points: str) -> list[str]:
    """How much may be frozen."""
    if FROZEN not in profile.lines:
        return []
    last, most, first = profile.num_units - 1, profile.harmless(FROZEN, margin), profile.costly(FROZEN, margin)
    told = f"freezing up to {most} of {last} units is shown to cost less than {points}" if most is not None \
        else f"freezing is shown to cost less than {points} at no depth"
    return [told + (f", and with {first} frozen it is shown to cost more" if first is not None else "")]


def _of_kept(profile: Profile, margin: float, points: str) -> list[str]:
    """How little may be kept, where everything is tuned."""
    if REFRESHED not in profile.lines:
        return []
    least, first = profile.harmless(REFRESHED, margin), profile.costly(REFRESHED, margin)
    told = f"drawing units afresh is shown to cost less than {points} as long as {least} or more are kept" \
        if least is not None else f"drawing units afresh is shown to cost less than {points} at no depth"
    return [told + (f", and with {first} kept it is shown to cost more" if first is not None else "")]


def _task_cell(facts: Facts, profile: Profile) -> TableCell:
    return replace(name_cell(facts.where(profile.task)), about=facts.about(*profile.task))


def _differences(found: list[Profile], facts: Facts) -> Table:
    depths = sorted({one.keep for profile in found for own in profile.lines.values() for one in own})
    columns = [Column("Task", numeric=False), Column("The first units are", numeric=False)]
    columns += [Column(plural(keep, "unit"), "points", interval=True) for keep in depths]
    rows = []
    for profile in found:
        for line, own in profile.lines.items():
            by_depth = {one.keep: one for one in own}
            task = replace(_task_cell(facts, profile), sub=profile.without)
            rows.append([task, name_cell(_named(line)), *(_cell(by_depth.get(k)) for k in depths)])
    every = [one for profile in found for own in profile.lines.values() for one in own]
    examples = f" and test {facts.example}" if facts.knows_images else ""
    num = sum(not one.reason for one in every)
    method = DIFFERENCES_METHOD.format(num=num, scope=facts.scope)
    return Table("depth-differences", columns, rows, DIFFERENCES.format(examples=examples),
                 title="Against full fine-tuning", method=method)  # fmt: skip


def _cell(reading: Reading | None) -> TableCell:
    if reading is None or reading.found.n == 0:
        return TableCell(ABSENT, value="", css="quiet")
    found, (low, high) = reading.found, reading.ends
    mark, css = sign_mark(found.mean, reading.is_shown)
    text = f"{signed(found.mean)}{plus_minus(low, found.mean, high)}"
    bounds = (100 * low, 100 * high, found.n)
    return TableCell(text, value=100 * found.mean, sub=reading.reason or mark, css=f"verdict {css}", bounds=bounds)


def _speeds(found: list[Profile], facts: Facts) -> Table | None:
    """None where no step can be read: too few evaluations, or none on the way."""
    by_task: dict[Task, dict[str, list[Row]]] = {}
    for cell, own in facts.scores.cells:
        by_task.setdefault((cell[0], cell[1], cell[2]), {})[cell[3]] = own
    columns = [Column("Task", numeric=False), Column("Strategy", numeric=False), Column("Steps")]
    columns += [Column("Of full fine-tuning's", "times", interval=True), Column("Of scratch's", "times", interval=True)]
    rows, every = [], []
    for profile in found:
        speeds = _speeds_of(profile, by_task[profile.task], facts.results.reached)
        every += list(speeds.values())
        baseline = next((name for name in speeds if by_task[profile.task][name][0]["baseline"]), None)
        for name, one in speeds.items():
            rows.append([
                _task_cell(facts, profile), name_cell(name, facts.strategies[name]), _count(one),
                _times(one, speeds.get(profile.reference) if name != profile.reference else None),
                _times(one, speeds[baseline] if baseline is not None and name != baseline else None),
            ])  # fmt: skip
    if not any(AT_ONCE < steps < NEVER for one in every for steps in one.steps.values()):
        return None
    method = STEPS_METHOD.format(every=max(one.first for one in every))
    return Table("depth-steps", columns, rows, STEPS.format(share=100 * facts.results.reached), title="How fast",
                 folded=True, method=method)  # fmt: skip


def _speeds_of(profile: Profile, strategies: dict[str, list[Row]], share: float) -> dict[str, Speed]:
    """Of the strategies that stand on a depth, and of those that start from scratch."""
    wanted = targets(strategies[profile.reference], share)
    named = [profile.reference, *(one.strategy for own in profile.lines.values() for one in own)]
    named += [name for name, rows in strategies.items() if rows[0]["baseline"]]
    return {name: found for name in unique(named) if (found := speed(strategies[name], wanted)) is not None}


def _count(one: Speed) -> TableCell:
    median, num = one.median, len(one.steps)
    early, late = (sum(steps == end for steps in one.steps.values()) for end in (AT_ONCE, NEVER))
    odd = [f"{early} of {num} at the first evaluation" * (early > 0), f"{late} of {num} not at all" * (late > 0)]
    text = f"{median:.0f}"
    if median == AT_ONCE:
        text = f"within the first {one.first}"
    elif median == NEVER:
        text = f"not within {one.last}"
    return TableCell(text, value=median if AT_ONCE < median < NEVER else text, sub=", ".join(filter(None, odd)))


def _times(one: Speed, other: Speed | None) -> TableCell:
    found: Interval | None = one.times(other) if other is not None else None
    if found is None:
        return TableCell(ABSENT, value="", css="quiet")
    text = f"{found.mean:.2f}" + (f" ({found.low:.2f} to {found.high:.2f})" if math.isfinite(found.low) else "")
    return TableCell(text, value=found.mean, bounds=(found.low, found.high, found.n))
