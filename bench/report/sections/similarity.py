"""Which units a training changed and which it left as they were; and which a classifier of all units weighs most."""

import math
from collections.abc import Callable

from markupsafe import Markup

from bench.analysis.cells import records
from bench.analysis.projections import Moved, moved
from bench.analysis.similarity import OfUnits, num_silent, of_units
from bench.analysis.words import labels, plural
from bench.report.facts import Facts, unique
from bench.report.figures.features import features_panel
from bench.report.figures.lines import LinePoint, tell
from bench.report.figures.similarity import mix_panel, similarity_panel
from bench.report.palette import SHAPES
from bench.report.view import Block, Figure, Look, Panel, Section, Words

CAPTION = (
    "How alike each unit's outputs are before training and after it (CKA). 1: the same but for a rotation, a shift and "
    "a scale; near 0: nothing in common. Means over the repeats, whiskers are 95 % intervals."
)
METHOD = (
    "Linear CKA (Kornblith et al. 2019) with the unbiased estimate of HSIC, between what each unit puts out for the "
    "same test {example}s before training and after it, the network in evaluation; at most 1,000 {example}s, no "
    "labels. A unit's maps and tokens are averaged over places first, so that what only moves within one {example} is "
    "not seen. Intervals are Student's t over the repeats. Unit 0 is the stem; the head is left out."
)
MIX = (
    "The share of each unit in the sum that the classifier reads; the shares of a network add up to 1. Means over the "
    "repeats, whiskers are 95 % intervals."
)
MIX_METHOD = (
    "Each unit's outputs are brought to one size first. Intervals are Student's t over the repeats. Unit 0 is the "
    "stem. What reaches the head stands for the last unit, and a unit that puts out the same for every {example} has "
    "no share."
)
FEATURES = (
    "Each mark is one of {num} test {example}s, in the colour and the shape of its true class. It stands where the "
    "network puts it just before its classifier (outputs of the last unit, averaged over places), seen along the two "
    "directions in which these {example}s vary most (principal components). Each picture has directions and a scale of "
    "its own: compare which classes lie apart, not where they lie. First repeat only{classes}."
)
PICTURED = 2  # tasks whose examples are drawn
MOST = 9  # tasks whose units are drawn
Drawn = Callable[[list[tuple[Look, list[LinePoint]]], int, str], Markup]


def similarity_section(facts: Facts) -> Section | None:
    found = of_units(facts.results.finals, "similarity")
    if not found:
        return None
    how = (
        "A unit at 1 was left as it was; the lower, the more its outputs were made anew. A frozen unit stands at 1, "
        "and one that starts afresh is compared with its random start."
    )
    panels = _panels(facts, found, similarity_panel, "similarity")
    legend = [facts.strategies[name] for name in unique(one.strategy for one in found)]
    method = METHOD.format(example=facts.example) + _silent(facts)
    figure = Figure(panels, legend, CAPTION + _left_out(found), wide=True, method=method)
    return Section("similarity", "What training changed", how, [figure, *_features(facts)])


def mix_section(facts: Facts) -> Section | None:
    found = of_units(facts.results.finals, "mix")
    if not found:
        return None
    legend = [facts.strategies[name] for name in unique(one.strategy for one in found)]
    names = ", ".join(look.name for look in legend)
    how = f"{names}: the classifier reads all units at once, and learns how much each of them counts."
    method = MIX_METHOD.format(example=facts.example)
    figure = Figure(_panels(facts, found, mix_panel, "mix"), legend, MIX + _left_out(found), wide=True, method=method)
    return Section("mix", "Which units count", how, [figure])


def _panels(facts: Facts, found: list[OfUnits], draw: Drawn, name: str) -> list[Panel]:
    """One for each task."""
    panels = []
    for number, task in enumerate(list(dict.fromkeys(one.task for one in found))[:MOST]):
        mine = [one for one in found if one.task == task]
        lines = [(facts.strategies[one.strategy], _points(one)) for one in mine]
        picture = draw(lines, max(len(one.units) for one in mine), f"{name}{number}")
        detail = ", ".join(filter(None, [labels(task[1]), facts.which(task[2])]))
        panels.append(Panel(facts.named(task[0]), detail, picture, facts.about(*task)))
    return panels


def _points(one: OfUnits) -> list[LinePoint]:
    """Whiskers end at 1: no truth lies above."""
    return [
        LinePoint(unit, found.mean, found.low, min(found.high, 1.0) if math.isfinite(found.high) else math.nan,
                  tell(one.strategy, f"unit {unit}", f"{found.mean:.2f}", n=found.n))
        for unit, found in enumerate(one.units)
        if found.n
    ]  # fmt: skip


def _left_out(found: list[OfUnits]) -> str:
    num = len({one.task for one in found}) - MOST
    return f" Left out to keep the page small: {plural(num, 'more task')}." if num > 0 else ""


def _features(facts: Facts) -> list[Block]:
    """Of the first tasks: a picture each would be a page of its own where there are many."""
    found = moved(facts.results.finals)
    blocks: list[Block] = [_before_and_after(facts, one, number) for number, one in enumerate(found[:PICTURED])]
    if len(found) > PICTURED:
        left_out = plural(len(found) - PICTURED, "more task")
        blocks.append(Words([f"Left out to keep the page small: such pictures of {left_out}."]))
    return blocks


def _before_and_after(facts: Facts, one: Moved, number: int) -> Figure:
    names = facts.results.classes_of(one.task[0])
    known = dict(enumerate(names))
    looks = {label: Look(known.get(label, f"class {label}"), f"s{label}", label % len(SHAPES))
             for label in sorted(set(one.labels.tolist()))}  # fmt: skip
    times = {"before training": one.before, f"after {one.strategy}": one.after}
    panels = [
        Panel(time, "", features_panel(plane, one.labels, looks, f"plane{number}-{place}"))
        for place, (time, plane) in enumerate(times.items())
    ]
    classes = f", and {len(looks)} of {len(names)} classes" if len(looks) < len(names) else ""
    caption = FEATURES.format(num=len(one.labels), example=facts.example, classes=classes)
    title = f"Features before and after: {facts.where(one.task)}"
    return Figure(panels, list(looks.values()), caption, title=title, wide=True)


def _silent(facts: Facts) -> str:
    silent = num_silent(records(facts.results.finals, ["status", "solved", "similarity"]))
    return f" Left out, because their records say nothing of it: {plural(silent, 'final')}." if silent else ""
