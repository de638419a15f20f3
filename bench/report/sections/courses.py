"""How trainings went: test scores along the way, where records have them."""

import math

from bench.analysis.cells import Row, Task, task_of
from bench.analysis.courses import Course, mean_course
from bench.analysis.words import labels
from bench.report.facts import Facts
from bench.report.figures.courses import courses_panel
from bench.report.figures.lines import LinePoint
from bench.report.sections.gallery import first_of
from bench.report.sections.learning import point
from bench.report.view import Figure, Look, Panel, Section, Switch

DRAWN = 6  # tasks
HOW = (
    "A line that still rises at its right end would gain from more steps; one that falls has begun to forget or to "
    "overfit."
)
CAPTION = (
    "Test {metric} in percent while the network trains, mean over the finished repeats; the mark at the end is the "
    "score that counts, with its 95 % interval. These scores are looked at, not used: no rate, no step and no strategy "
    "was chosen by them."
)
# What a training spends, and what to know of it.
AXES = {
    "training steps": "",
    "FLOPs": " FLOPs are those of one training, as if nothing were computed once and shared, spread evenly over its "
             "steps.",
    "seconds": " Seconds are those of one training as it ran here, on a machine that may have been busy, without the "
               "search and without features that others share, spread evenly over its steps; trainings that run as one "
               "share its seconds equally.",
}  # fmt: skip
SHORTER = (
    " A training that was planned to end earlier would have let its rate fall earlier, so what a line shows before its "
    "end is not what such a training would score; `training.flops` in the suite compares at equal cost."
)

Drawn = tuple[Look, Row, Course]


def courses_section(facts: Facts) -> Section | None:
    summary = {(*task_of(row), row["strategy"]): row for row in facts.summary}
    found: dict[Task, list[Drawn]] = {}
    for key, rows in facts.scores.cells:
        course = mean_course(rows)
        if course is not None:
            cell = summary[key[0], key[1], key[2], key[3]]
            found.setdefault((key[0], key[1], key[2]), []).append((facts.strategies[key[3]], cell, course))
    if not found:
        return None
    figures = [(axis, _figure(facts, found, axis)) for axis in AXES]
    return Section("courses", "How the trainings went", HOW,
                   [Switch("courses", "Score against", [(axis, figure) for axis, figure in figures if figure.panels])])


def _figure(facts: Facts, found: dict[Task, list[Drawn]], axis: str) -> Figure:
    panels, present = [], set()
    for number, (task, drawn) in enumerate(list(found.items())[:DRAWN]):
        lines = [(look, points) for look, cell, course in drawn if (points := _points(cell, course, axis))]
        if not lines:
            continue
        present |= {look.name for look, _ in lines}
        detail = ", ".join(filter(None, [labels(task[1]), facts.which(task[2])]))
        picture = courses_panel(lines, f"courses{list(AXES).index(axis)}-{number}", axis, axis != "training steps")
        panels.append(Panel(facts.named(task[0]), detail, picture))
    caption = CAPTION.format(metric=facts.metric) + AXES[axis] + (SHORTER if AXES[axis] else "")
    caption += first_of(len(found), DRAWN)
    return Figure(panels, [look for name, look in facts.strategies.items() if name in present], caption)


def _points(cell: Row, course: Course, axis: str) -> list[LinePoint]:
    """The last one is the cell's own score, where all of its repeats were scored along the way."""
    total = {"training steps": float(course.scores[-1][0]), "FLOPs": course.flops, "seconds": course.seconds}[axis]
    if not math.isfinite(total):
        return []
    points = [LinePoint(x, 100 * score) for x, score in course.against(total)]
    return [*points[:-1], point(cell, points[-1].x)] if course.n == cell["n"] else points
