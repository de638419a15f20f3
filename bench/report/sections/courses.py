"""How trainings went: test scores along the way, where records have them."""

from bench.analysis.cells import Row, Task, cells, task_of
from bench.analysis.courses import mean_course
from bench.analysis.words import labels, plural
from bench.report.facts import Facts, unique
from bench.report.figures.courses import courses_panel
from bench.report.figures.lines import LinePoint
from bench.report.sections.learning import point
from bench.report.view import Figure, Look, Panel, Section

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

Line = tuple[Look, list[LinePoint]]


def courses_section(facts: Facts) -> Section | None:
    summary = {(*task_of(row), row["strategy"]): row for row in facts.summary}
    lines: dict[Task, list[Line]] = {}
    for key, rows in cells(facts.results.finals):
        points = _points(rows, summary[key[0], key[1], key[2], key[3]])
        if points:
            lines.setdefault((key[0], key[1], key[2]), []).append((facts.strategies[key[3]], points))
    if not lines:
        return None
    panels = []
    for number, (task, drawn) in enumerate(list(lines.items())[:DRAWN]):
        detail = ", ".join(filter(None, [labels(task[1]), facts.which(task[2])]))
        panels.append(Panel(facts.named(task[0]), detail, courses_panel(drawn, f"courses{number}")))
    caption = CAPTION.format(metric=facts.metric)
    if len(lines) > DRAWN:
        caption += f" The first {DRAWN} of {plural(len(lines), 'task')} are drawn."
    present = unique(look.name for drawn in list(lines.values())[:DRAWN] for look, _ in drawn)
    legend = [look for name, look in facts.strategies.items() if name in present]
    return Section("courses", "How the trainings went", HOW, [Figure(panels, legend, caption)])


def _points(rows: list[Row], cell: Row) -> list[LinePoint]:
    """The last one is the cell's own score, where all of its repeats were scored along the way."""
    course, n = mean_course(rows)
    points = [LinePoint(step, 100 * score) for step, score in course]
    return [*points[:-1], point(cell, points[-1].x)] if points and n == cell["n"] else points
