"""Which units a training changed, and which it left as they were."""

import math

from bench.analysis.cells import records
from bench.analysis.similarity import Changed, changed, num_silent
from bench.analysis.words import labels, plural
from bench.report.facts import Facts, unique
from bench.report.figures.lines import LinePoint
from bench.report.figures.similarity import similarity_panel
from bench.report.view import Figure, Panel, Section

CAPTION = (
    "Linear CKA (Kornblith et al. 2019) with the unbiased estimate of HSIC, between what each unit puts out for the "
    "same test {example}s before training and after it, the network in evaluation; at most 1,000 {example}s, no "
    "labels. A unit's maps and tokens are averaged over places first, so that what only moves within one {example} is "
    "not seen. 1: the same but for a rotation, a shift and a scale. Near 0: nothing in common. Means over the repeats; "
    "whiskers are 95 % Student t intervals over these. Unit 0 is the stem; the head is left out."
)


def similarity_section(facts: Facts) -> Section | None:
    found = changed(facts.results.finals)
    if not found:
        return None
    how = (
        "A unit at 1 was left as it was; the lower, the more its outputs were made anew. A frozen unit stands at 1, "
        "and one that starts afresh is compared with its random start."
    )
    panels = []
    for number, task in enumerate(dict.fromkeys(one.task for one in found)):
        mine = [one for one in found if one.task == task]
        lines = [(facts.strategies[one.strategy], _points(one)) for one in mine]
        picture = similarity_panel(lines, max(len(one.units) for one in mine), f"similarity{number}")
        detail = ", ".join(filter(None, [labels(task[1]), facts.which(task[2])]))
        panels.append(Panel(facts.named(task[0]), detail, picture))
    legend = [facts.strategies[name] for name in unique(one.strategy for one in found)]
    figure = Figure(panels, legend, CAPTION.format(example=facts.example) + _silent(facts), wide=True)
    return Section("similarity", "What training changed", how, [figure])


def _points(one: Changed) -> list[LinePoint]:
    """Whiskers end at 1: no truth lies above."""
    return [
        LinePoint(unit, found.mean, found.low, min(found.high, 1.0) if math.isfinite(found.high) else math.nan)
        for unit, found in enumerate(one.units)
        if found.n
    ]


def _silent(facts: Facts) -> str:
    silent = num_silent(records(facts.results.finals))
    return f" Left out, because their records say nothing of it: {plural(silent, 'final')}." if silent else ""
