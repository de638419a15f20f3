"""The layer-transfer study: what its treatments come to at each depth, paired by target, repeat and test image.

Yosinski et al. 2014 compare network with network. The quantities here are differences of two treatments on the same
target half: a loss by co-adaptation shows on the target's own network, one by specificity only on the other half's, and
a gain by tuning counts against the control that was tuned as long.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.analysis.cells import Row, records
from bench.analysis.columns import column_of, of_halves
from bench.analysis.comparison import average, estimates
from bench.analysis.frame import SuiteResults
from bench.analysis.statistics import LEVEL, Floats, holm_steps
from bench.analysis.variance import Column, Estimate
from bench.analysis.words import plural

BASE = "base"
SIMILAR = "random halves"
LOSS = "loss by freezing"


@dataclass(frozen=True)
class Quantity:
    name: str
    minuend: str  # treatments
    subtrahend: str
    means: str  # what a value below or above 0 says
    is_tested: bool = True


QUANTITIES = (
    Quantity(LOSS, "AnB", BASE, "below 0: frozen units of the other half cost points"),
    Quantity("co-adaptation", "BnB", BASE, "below 0: units lose by being parted from those above them"),
    Quantity("specificity", "AnB", "BnB", "below 0: units are specific to what they learned"),
    Quantity("boost", "AnB+", "BnB+", "above 0: having learned the other half helps, beyond longer training"),
    Quantity("boost, unpaired", "AnB+", BASE, "as the paper has it: longer training counts as a gain", False),
    Quantity("random units", "random", BASE, "below 0: frozen units that never learned cost points"),
)


@dataclass(frozen=True)
class Reading:
    """One quantity at one depth, over the targets of one kind of pair."""

    kind: str  # SIMILAR, or the groups: `shapes and textures`
    quantity: Quantity
    keep: int  # units
    found: Estimate
    num_targets: int
    p: float = math.nan  # after Holm's correction over all readings of the study
    level: float = 1 - LEVEL

    @property
    def ends(self) -> tuple[float, float]:
        """At the level of its own step in the correction. No difference of two shares is larger than 1."""
        low, high = self.found.ends(self.level)
        return max(low, -1.0), min(high, 1.0)

    @property
    def is_shown(self) -> bool:
        return self.p < 1 - LEVEL


@dataclass(frozen=True)
class Curve:
    """Mean score of a treatment at each depth, and the score of each target, a mean over its repeats."""

    treatment: str
    means: dict[int, float]
    targets: dict[int, list[float]]


@dataclass(frozen=True)
class Study:
    """Of one kind of pair."""

    kind: str
    num_pairs: int
    num_units: int
    base: float
    curves: list[Curve]
    readings: list[Reading]

    def of(self, name: str) -> list[Reading]:
        return [one for one in self.readings if one.quantity.name == name]


Places = dict[tuple[str, int], dict[str, Column]]  # by treatment and depth, then target: a column of its repeats


def studies(results: SuiteResults) -> list[Study]:
    """One for the random halves, one for the groups; none where the suite has no study."""
    rows = [row for row in records(results.finals) if row["treatment"]]
    kinds: dict[str, list[Row]] = {}
    for row in rows:
        kinds.setdefault(SIMILAR if row["pair"].startswith("split ") else row["pair"], []).append(row)
    places = {kind: _places(own) for kind, own in kinds.items()}
    read = _corrected([one for kind, own in places.items() for one in _readings(kind, own)])
    return [
        Study(
            kind,
            num_pairs=len({row["pair"] for row in own}),
            num_units=max(int(row["num_units"]) for row in own),
            base=_mean(places[kind].get((BASE, 0), {})),
            curves=_curves(places[kind]),
            readings=[one for one in read if one.kind == kind],
        )
        for kind, own in kinds.items()
    ]


def _places(rows: list[Row]) -> Places:
    cells: dict[tuple[str, int], dict[str, list[Row]]] = {}
    for row in rows:
        target = f"{row['pair']} {row['target']}"
        cells.setdefault((row["treatment"], int(row["keep"])), {}).setdefault(target, []).append(row)
    return {
        place: {target: of_halves(column_of(own), own) for target, own in targets.items()}
        for place, targets in cells.items()
    }


def _readings(kind: str, places: Places) -> list[Reading]:
    found = []
    for quantity in QUANTITIES:
        samples, counts = {}, {}
        for (treatment, keep), minuends in places.items():
            subtrahends = places.get((quantity.subtrahend, 0 if quantity.subtrahend == BASE else keep), {})
            targets = [target for target in minuends if target in subtrahends]
            if treatment != quantity.minuend or not targets:
                continue
            pair = [average([(kind, one[target]) for target in targets]) for one in (minuends, subtrahends)]
            samples[keep], counts[keep] = pair[0].minus(pair[1]), len(targets)
        found += [Reading(kind, quantity, keep, one, counts[keep]) for keep, one in estimates(samples).items()]
    return found


def _corrected(readings: list[Reading]) -> list[Reading]:
    steps = holm_steps(one.found.p if one.quantity.is_tested else math.nan for one in readings)
    return [
        Reading(one.kind, one.quantity, one.keep, one.found, one.num_targets, step.p,
                step.level if math.isfinite(step.level) else 1 - LEVEL)
        for one, step in zip(readings, steps, strict=True)
    ]  # fmt: skip


def _curves(places: Places) -> list[Curve]:
    treatments = dict.fromkeys(treatment for treatment, _ in places if treatment != BASE)
    made = []
    for treatment in treatments:
        targets = {keep: _targets(own) for (name, keep), own in sorted(places.items()) if name == treatment}
        means = {keep: float(np.mean(scores)) for keep, scores in targets.items() if scores}
        made.append(Curve(treatment, means, targets))
    return made


def _targets(columns: Mapping[str, Column]) -> list[float]:
    return [float(np.mean(list(column.scores.values()))) for column in columns.values() if column.scores]


def _mean(columns: Mapping[str, Column]) -> float:
    scores: list[float] | Floats = _targets(columns)
    return float(np.mean(scores)) if len(scores) else math.nan


def harmless(study: Study, margin: float) -> int:
    """How many units, and any fewer, can be kept frozen from the other half with a loss that is shown to stay within
    the margin. The readings' levels hold for all of them together."""
    deepest = 0
    for one in sorted(study.of(LOSS), key=lambda one: one.keep):
        if not one.ends[0] > -margin:
            break
        deepest = one.keep
    return deepest


def costly(study: Study, margin: float) -> int | None:
    """The smallest number of frozen units that is shown to cost more than the margin."""
    return min((one.keep for one in study.of(LOSS) if one.ends[1] < -margin), default=None)


def verdict(study: Study, margin: float) -> str:
    """In one sentence. `margin`: a share."""
    most, safe, first = study.num_units - 1, harmless(study, margin), costly(study, margin)
    points = f"{100 * margin:g} point{'' if round(100 * margin, 6) == 1 else 's'}"
    told = []
    if study.of(LOSS):
        told.append(f"keeping up to {safe} of {most} units frozen is shown to cost less than {points}" if safe
                    else f"no number of frozen units is shown to cost less than {points}")  # fmt: skip
        told.append(f"from {first} on it is shown to cost more" if first else "none is shown to cost more")
    for name in ("co-adaptation", "specificity"):
        if readings := study.of(name):
            lost = [one.keep for one in readings if one.is_shown and one.found.mean < 0]
            told.append(f"a loss by {name} is shown with {_units(lost)} kept" if lost
                        else f"no loss by {name} is shown")  # fmt: skip
    if readings := study.of("boost"):
        won = [one.keep for one in readings if one.is_shown and one.found.mean > 0]
        told.append(f"a boost beyond longer training is shown with {_units(won)} kept" if won
                    else "no boost beyond longer training is shown")  # fmt: skip
    return f"{study.kind.capitalize()}: {'; '.join(told)}."


def _units(depths: list[int]) -> str:
    """`4 and 5 units`"""
    if len(depths) == 1:
        return plural(depths[0], "unit")
    return f"{', '.join(map(str, depths[:-1]))} and {depths[-1]} units"
