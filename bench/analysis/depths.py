"""How deep may one freeze, and how much must one keep? Strategies that stand on a depth, against full fine-tuning of
the same task, paired by repeat and test image. `speed.py` counts their steps.
"""

import math
from dataclasses import dataclass, field, replace

from bench.analysis.cells import Row, Task
from bench.analysis.comparison import Scores, estimates
from bench.analysis.statistics import LEVEL, holm_steps
from bench.analysis.variance import Estimate
from bench.analysis.verdicts import FEWEST_IMAGES
from bench.analysis.words import plural
from bench.modalities import example_of

FROZEN = ("depth", "")  # the first k units frozen, all others tuned from their pretrained weights
REFRESHED = ("kept", "tuned")  # the first k units kept, all others drawn afresh, and everything tuned
AXES = ("depth", "kept")
Line = tuple[str, str]  # axis and kind


@dataclass(frozen=True)
class Reading:
    """One depth of one line."""

    strategy: str
    keep: int  # units that are frozen or kept, counted from the input
    found: Estimate  # less full fine-tuning
    reason: str = ""  # why it is not tested
    p: float = math.nan  # after Holm's correction over all readings of the page
    level: float = 1 - LEVEL

    @property
    def ends(self) -> tuple[float, float]:
        """At the level of its own step in the correction."""
        return self.found.ends(self.level)

    @property
    def is_shown(self) -> bool:
        return self.p < 1 - LEVEL

    def is_within(self, margin: float) -> bool:
        """Shown to cost less than the margin."""
        return not self.reason and self.ends[0] > -margin

    def is_beyond(self, margin: float) -> bool:
        """Shown to cost more than it."""
        return not self.reason and self.ends[1] < -margin


@dataclass(frozen=True)
class Profile:
    """The depths of one task, by line."""

    task: Task
    reference: str  # the strategy that tunes everything
    num_units: int
    lines: dict[Line, list[Reading]] = field(default_factory=dict)  # each from the input on
    without: str = ""  # of the repeats in which the reference collapsed

    def harmless(self, line: Line, margin: float) -> int | None:
        """Of frozen units the largest number, of kept ones the smallest, such that this and every milder depth that was
        tried is shown to cost less than the margin. None: not even the mildest."""
        found = None
        for one in self._mildest_first(line):
            if not one.is_within(margin):
                break
            found = one.keep
        return found

    def costly(self, line: Line, margin: float) -> int | None:
        """The mildest depth that is shown to cost more than the margin."""
        return next((one.keep for one in self._mildest_first(line) if one.is_beyond(margin)), None)

    def _mildest_first(self, line: Line) -> list[Reading]:
        return self.lines[line] if line == FROZEN else self.lines[line][::-1]


def profiles(scores: Scores) -> list[Profile]:
    """Of the tasks in which full fine-tuning and a depth to compare with it have finished, in suite order."""
    tasks: dict[Task, dict[str, list[Row]]] = {}
    for cell, rows in scores.cells:
        tasks.setdefault((cell[0], cell[1], cell[2]), {})[cell[3]] = rows
    found = {task: _places(strategies) for task, strategies in tasks.items()}
    places = {task: of_task for task, of_task in found.items() if of_task is not None and of_task.readings}
    compared = _compared(places, scores, example_of({rows[0]["modality"] for _, rows in scores.cells}))
    steps = holm_steps(one.found.p if not one.reason else math.nan for one in compared.values())
    corrected = {
        name: replace(one, p=step.p, level=step.level if math.isfinite(step.level) else 1 - LEVEL)
        for (name, one), step in zip(compared.items(), steps, strict=True)
    }
    made = [_profile(task, of_task, corrected, scores) for task, of_task in places.items()]
    return [one for one in made if any(reading.found.n for own in one.lines.values() for reading in own)]


@dataclass(frozen=True)
class _Places:
    """Which strategies of a task are compared with which."""

    reference: str
    num_units: int
    readings: dict[str, tuple[Line, int]]  # by strategy


def _places(strategies: dict[str, list[Row]]) -> _Places | None:
    """Two names for the same trainings are one depth, and depths that are full fine-tuning are none. A line has one
    strategy at each depth, the first of the suite; others differ in more than the depth and stand by themselves."""
    references = [name for name, rows in strategies.items() if _line(rows) == FROZEN and rows[0]["axis_value"] == 0]
    if not references:
        return None
    reference = strategies[references[0]]
    seen = {_keys(reference)}
    readings: dict[str, tuple[Line, int]] = {}
    for name, rows in strategies.items():
        if rows[0]["axis"] in AXES and rows[0]["axis_value"] > 0 and _keys(rows) not in seen:
            seen.add(_keys(rows))
            line, keep = _line(rows), int(rows[0]["axis_value"])
            readings[name] = ((line[0], name) if (line, keep) in readings.values() else line, keep)
    return _Places(references[0], int(reference[0]["num_units"]), readings)


def _line(rows: list[Row]) -> Line:
    return rows[0]["axis"], rows[0]["axis_kind"]


def _keys(rows: list[Row]) -> tuple[str, ...]:
    return tuple(row["key"] for row in rows)


def _compared(places: dict[Task, _Places], scores: Scores, example: str) -> dict[tuple[Task, str], Reading]:
    """The spread is pooled within (dataset, budget), as verdicts do it."""
    groups: dict[tuple[str, str], list[tuple[Task, str]]] = {}
    for task, of_task in places.items():
        groups.setdefault((task[0], task[1]), []).extend((task, name) for name in of_task.readings)
    found = {}
    for names in groups.values():
        samples = {
            (task, name): scores.judged(task, name).minus(scores.judged(task, places[task].reference))
            for task, name in names
        }
        for (task, name), one in estimates(samples).items():
            keep = places[task].readings[name][1]
            found[task, name] = Reading(name, keep, one, _untestable(one, scores.breaks(task, name), example))
    return found


def _untestable(found: Estimate, broken: int, example: str) -> str:
    if broken:
        return f"collapsed in {plural(broken, 'repeat')}"
    if found.n < 2:
        return "fewer than two pairs of repeats"
    if 0 < found.num_images < FEWEST_IMAGES:
        return f"fewer than {FEWEST_IMAGES} test {example}s"
    return ""


def _profile(task: Task, places: _Places, corrected: dict[tuple[Task, str], Reading], scores: Scores) -> Profile:
    lines: dict[Line, list[Reading]] = {}
    for name, (line, _) in places.readings.items():
        lines.setdefault(line, []).append(corrected[task, name])
    ordered = {line: sorted(own, key=lambda one: one.keep) for line, own in lines.items()}
    broken = scores.breaks(task, places.reference)
    without = f"without the {plural(broken, 'repeat')} in which {places.reference} collapsed" if broken else ""
    return Profile(task, places.reference, places.num_units, ordered, without)
