"""The layer-transfer study: what its treatments come to at each depth, paired by target, repeat and test image.

Yosinski et al. 2014 compare network with network. The quantities here are differences of two treatments on the same
target half: a loss by co-adaptation shows on the target's own network, one by specificity only on the other half's, and
a gain by tuning counts against the control that was tuned as long.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.analysis.comparison import blend, estimates
from bench.analysis.frame import SuiteResults
from bench.analysis.statistics import LEVEL, holm_steps
from bench.analysis.treatments import (
    BASE,
    POOL,
    SIMILAR,
    Curve,
    LeftOut,
    Places,
    curves_of,
    left_out,
    mean_base,
    places_of,
    rows_by_kind,
)
from bench.analysis.variance import Column, Estimate, Sample
from bench.analysis.words import in_points, plural

LOSS = "loss by freezing"
UPPER = 5 / 7  # of the deepest cut: the paper's other mean is over n = 5, 6 and 7

Form = Literal[
    "depth",  # at one depth
    "change",  # at the deepest cut less at the first
    "mean",  # over all depths
    "upper",  # over the upper ones
    "gap",  # at the deepest cut: between groups less between random halves
]


@dataclass(frozen=True)
class Quantity:
    name: str
    minuend: str  # treatments
    subtrahend: str
    means: str  # what a value below or above 0 says
    is_tested: bool = True
    forms: tuple[Form, ...] = ()  # what is read of it beside its value at each depth


QUANTITIES = (
    Quantity(LOSS, "AnB", BASE, "below 0: frozen units of the other half cost points", forms=("gap",)),
    Quantity("co-adaptation", "BnB", BASE, "below 0: units lose by being parted from those above them"),
    Quantity("specificity", "AnB", "BnB", "below 0: units are specific to what they learned", forms=("change", "gap")),
    Quantity("boost", "AnB+", "BnB+", "above 0: having learned the other half helps, beyond longer training",
             forms=("mean", "upper")),
    Quantity("boost, unpaired", "AnB+", BASE, "as the paper has it: longer training counts as a gain", False,
             forms=("mean", "upper")),
    Quantity("random units", "random", BASE, "below 0: frozen units that never learned cost points",
             forms=("change",)),
)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """One quantity over the targets of one kind of pair, at one depth or over several."""

    kind: str  # SIMILAR, or the groups: `shapes and textures`
    quantity: Quantity
    form: Form
    depths: tuple[int, ...]  # units kept
    found: Estimate
    num_targets: int
    p: float = math.nan  # after Holm's correction, over all kinds of pair
    level: float = 1 - LEVEL

    @property
    def keep(self) -> int:
        return self.depths[-1]

    @property
    def ends(self) -> tuple[float, float]:
        """At the level of its own step in the correction, and no further than a difference of shares can be."""
        low, high = self.found.ends(self.level)
        most = 2.0 if self.form in ("change", "gap") else 1.0  # these are differences of differences
        return max(low, -most), min(high, most)

    @property
    def is_shown(self) -> bool:
        return self.p < 1 - LEVEL


@dataclass(frozen=True)
class Study:
    """Of one kind of pair."""

    kind: str
    num_pairs: int
    num_units: int
    base: float
    curves: list[Curve]
    readings: list[Reading]
    left_out: list[LeftOut]

    def of(self, name: str, form: Form = "depth") -> list[Reading]:
        return [one for one in self.readings if one.quantity.name == name and one.form == form]


Kinds = dict[str, Places]  # by kind of pair
Name = tuple[str, Form, tuple[int, ...]]  # of a reading of one quantity: kind, form and depths
Terms = dict[tuple[str, int], float]  # weights, by kind and depth: a reading is the weighted sum of its quantity there


def studies(results: SuiteResults) -> list[Study]:
    """One for the random halves, one for the groups; none where the suite has no study."""
    kinds = rows_by_kind(results)
    places = {kind: places_of(own) for kind, own in kinds.items()}
    read = _corrected(_readings(places))
    return [
        Study(
            kind,
            num_pairs=len({row["pair"] for row in own}),
            num_units=max(int(row["num_units"]) for row in own),
            base=mean_base(places[kind]),
            curves=curves_of(places[kind]),
            readings=[one for one in read if one.kind == kind],
            left_out=left_out(own),
        )
        for kind, own in kinds.items()
    ]


def _depths(places: Places, quantity: Quantity) -> list[int]:
    found = sorted(keep for treatment, keep in places if treatment == quantity.minuend)
    return [keep for keep in found if _targets(places, quantity, [keep])]


def _sides(places: Places, quantity: Quantity, keep: int) -> tuple[dict[str, Column], dict[str, Column]]:
    below = (quantity.subtrahend, 0 if quantity.subtrahend == BASE else keep)
    return places.get((quantity.minuend, keep), {}), places.get(below, {})


def _targets(places: Places, quantity: Quantity, depths: Iterable[int]) -> list[str]:
    """Those that have both treatments at all of these depths."""
    sides = [side for keep in depths for side in _sides(places, quantity, keep)]
    return [target for target in sides[0] if all(target in side for side in sides)]


def _readings(kinds: Kinds) -> list[Reading]:
    """Samples that scatter alike lend each other what they say of the spread: single depths of one kind of pair, and
    what is read over several depths, of all kinds."""
    found = []
    for quantity in QUANTITIES:
        families: dict[str, dict[Name, Terms]] = {}
        for kind in kinds:
            for name, terms in _named(kinds, kind, quantity).items():
                form = name[1]
                family = kind if form == "depth" else "mean" if form == "upper" else form
                families.setdefault(family, {})[name] = terms
        for alike in families.values():
            samples = {name: _sample(kinds, quantity, terms) for name, terms in alike.items()}
            for name, one in estimates({name: sample for name, (sample, _) in samples.items()}).items():
                found.append(Reading(name[0], quantity, name[1], name[2], one, samples[name][1]))
    return found


def _named(kinds: Kinds, kind: str, quantity: Quantity) -> dict[Name, Terms]:
    depths = _depths(kinds[kind], quantity)
    found: dict[Name, Terms] = {(kind, "depth", (keep,)): {(kind, keep): 1.0} for keep in depths}
    last = depths[-1] if depths else 0
    if "change" in quantity.forms and len(depths) > 1:
        found[kind, "change", (depths[0], last)] = {(kind, last): 1.0, (kind, depths[0]): -1.0}
    upper = [keep for keep in depths if keep >= UPPER * last]
    for form, over in (("mean", depths), ("upper", upper)):
        if form in quantity.forms and len(depths) > 1:
            found[kind, form, tuple(over)] = {(kind, keep): 1 / len(over) for keep in over}
    similar = _depths(kinds.get(SIMILAR, {}), quantity)
    if "gap" in quantity.forms and kind != SIMILAR and last in similar:
        found[kind, "gap", (last,)] = {(kind, last): 1.0, (SIMILAR, last): -1.0}
    return {name: terms for name, terms in found.items() if _targets(kinds[kind], quantity, name[2])}


def _sample(kinds: Kinds, quantity: Quantity, terms: Terms) -> tuple[Sample, int]:
    """And over how many targets."""
    above: list[tuple[float, str, Column]] = []
    below: list[tuple[float, str, Column]] = []
    num = 0
    for kind in dict.fromkeys(kind for kind, _ in terms):
        own = {keep: weight for (name, keep), weight in terms.items() if name == kind}
        targets = _targets(kinds[kind], quantity, own)
        num += len(targets)
        for keep, weight in own.items():
            minuends, subtrahends = _sides(kinds[kind], quantity, keep)
            plus, minus = (above, below) if weight > 0 else (below, above)
            plus += [(abs(weight) / len(targets), POOL, minuends[target]) for target in targets]
            minus += [(abs(weight) / len(targets), POOL, subtrahends[target]) for target in targets]
    # Each target stands on both sides, so that these have the same images.
    return blend(above).minus(blend(below)), num


def _corrected(readings: list[Reading]) -> list[Reading]:
    """Readings at one depth and readings over several answer different questions: each has a correction of its own."""
    found = []
    for family in ([one for one in readings if (one.form == "depth") is single] for single in (True, False)):
        steps = holm_steps(one.found.p if one.quantity.is_tested else math.nan for one in family)
        found += [replace(one, p=step.p, level=step.level if math.isfinite(step.level) else 1 - LEVEL)
                  for one, step in zip(family, steps, strict=True)]  # fmt: skip
    return found


def harmless(study: Study, margin: float) -> int:
    """How many units, and any fewer, can be kept frozen from the other half with a loss that is shown to stay within
    the margin. Each interval holds by itself."""
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
    """In a few sentences. `margin`: a share."""
    told = [_freezing(study, margin)] if study.of(LOSS) else []
    for name, of in (("co-adaptation", "a loss by co-adaptation"), ("specificity", "a loss by specificity")):
        if readings := study.of(name):
            lost = [one.keep for one in readings if _is_loss(one)]
            grows = any(map(_is_loss, study.of(name, "change")))
            more = ", and it is shown to grow with depth" if grows else ""
            for one in filter(_is_loss, study.of(name, "gap")):
                more += f"; with {units(one.depths)} it is shown to be larger than between random halves"
            told.append(f"{of} is shown with {units(lost)} kept{more}" if lost else f"no{of[1:]} is shown")
    if readings := study.of("boost"):
        won = [one.keep for one in readings if one.is_shown and one.found.mean > 0]
        over = any(one.is_shown and one.found.mean > 0 for one in study.of("boost", "mean"))
        where = f"with {units(won)} kept" if won else "over all depths together" if over else ""
        told.append(f"a boost beyond longer training is shown {where}" if where
                    else "no boost beyond longer training is shown")  # fmt: skip
    return f"{study.kind.capitalize()}: {'. '.join([*told[:1], *map(_upper, told[1:])])}."


def _is_loss(reading: Reading) -> bool:
    return reading.is_shown and reading.found.mean < 0


def _freezing(study: Study, margin: float) -> str:
    most, safe, first = study.num_units - 1, harmless(study, margin), costly(study, margin)
    points = in_points(100 * margin)
    if safe:
        told = [f"keeping up to {safe} of {most} units frozen is shown to cost less than {points}"]
        told += [f"from {first} on it is shown to cost more"] if first else []
    elif first:
        told = [f"keeping {first} of {most} units frozen is shown to cost more than {points}"]
    else:
        told = [f"at no depth is it decided whether freezing costs more or less than {points}"]
    told += [f"with {units(one.depths)} it is shown to cost more than between random halves"
             for one in filter(_is_loss, study.of(LOSS, "gap"))]  # fmt: skip
    return "; ".join(told)


def _upper(sentence: str) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}"


def units(depths: Sequence[int]) -> str:
    """`4 and 5 units`"""
    if len(depths) == 1:
        return plural(depths[0], "unit")
    return f"{', '.join(map(str, depths[:-1]))} and {depths[-1]} units"
