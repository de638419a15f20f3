"""After how many steps has a training come a share of the way from chance to where full fine-tuning ends?

The measure of Raghu et al. 2019 ("Transfusion"): what transfer saves where it gains nothing in the end. It is read off
test scores along the training, so it tells of speed and is no score.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.cells import Row, has_collapsed
from bench.analysis.statistics import Interval, mean_interval

NEVER = math.inf
AT_ONCE = 0.0  # reached when it was scored for the first time: somewhere before
Curve = Sequence[tuple[int, float]]  # step and score


def steps_to(curve: Curve, target: float) -> float:
    """The first step at which the score reaches the target, by a straight line between two evaluations."""
    before, below = curve[0]
    if below >= target:
        return AT_ONCE
    for step, score in curve[1:]:
        if score >= target:
            return before + (step - before) * (target - below) / (score - below)
        before, below = step, score
    return NEVER


def chance(row: Row) -> float:
    """The score of a guess. Of macro-F1 it depends on which class is guessed; this is the best it comes to where all
    classes are guessed alike."""
    return 0.0 if row["metric"] == "mcc" else 1 / int(row["num_classes"])


@dataclass(frozen=True)
class Speed:
    """Of one strategy, over the repeats that have a target: `AT_ONCE` and `NEVER` stand for what the evaluations do not
    tell."""

    steps: dict[int, float]  # by repeat
    first: int  # the first evaluation
    last: int

    @property
    def median(self) -> float:
        """Between two middle ones of which one is not read, the later."""
        ordered = sorted(self.steps.values())
        low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
        return (low + high) / 2 if _is_read(low) and _is_read(high) else high

    def times(self, other: "Speed") -> Interval | None:
        """Steps as a multiple of the other's: a geometric mean over repeats, with its 95 % interval. None unless every
        repeat of both was read: the others are no random choice."""
        repeats = [repeat for repeat in self.steps if repeat in other.steps]
        pairs = [(self.steps[repeat], other.steps[repeat]) for repeat in repeats]
        if not pairs or not all(_is_read(one) for pair in pairs for one in pair):
            return None
        found = mean_interval(math.log(own / others) for own, others in pairs)
        return Interval(math.exp(found.mean), math.exp(found.low), math.exp(found.high), found.n, found.sd)


def targets(reference: list[Row], share: float) -> dict[int, float]:
    """By repeat, from full fine-tuning's final scores; none where that is no better than chance."""
    return {
        int(row["repeat"]): chance(row) + share * (row["score"] - chance(row))
        for row in reference
        if row["status"] == "ok" and not has_collapsed(row) and row["score"] > chance(row)
    }


def speed(rows: list[Row], wanted: dict[int, float]) -> Speed | None:
    """`wanted`: the target of each repeat, which a training that diverged never reaches. None where nothing was scored
    along the way."""
    curves = {
        int(row["repeat"]): row["curve"]
        for row in rows
        if row["status"] == "ok" and int(row["repeat"]) in wanted and len(row["curve"]) > 1
    }
    if not curves:
        return None
    steps = {repeat: steps_to(curve, wanted[repeat]) for repeat, curve in curves.items()}
    diverged = (int(row["repeat"]) for row in rows if row["status"] == "diverged")
    steps |= {repeat: NEVER for repeat in diverged if repeat in wanted}
    return Speed(steps, max(curve[0][0] for curve in curves.values()), max(c[-1][0] for c in curves.values()))


def _is_read(steps: float) -> bool:
    return AT_ONCE < steps < NEVER
