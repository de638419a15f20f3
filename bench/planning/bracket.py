"""Where a bracket's next rates lie: a rule of rates and scores alone, so that it can be tried out without any training.

The first points lie a step apart around a centre. The next ones extend a step past an end while the best lies there,
then halve the steps around the best. `engine/search/bracket_sampler.py` brings the rule to Optuna.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.planning.ranking import ranking

STEP = 10.0  # ratio of neighbouring rates among the first points
FINEST = math.log(10) / 8  # nearer neighbours than an eighth of a decade differ by luck alone
COHORT = 3  # trials that are asked together
SAME = 1e-9  # logarithms nearer than this are one


@dataclass(frozen=True)
class TriedRate:
    """One trial of a search, as far as the next points may know it."""

    lr: float
    score: float | None  # None: it diverged, collapsed or failed
    loss: float | None = None


def cohort_sizes(trials: int) -> list[int]:
    """How many trials are asked together, one cohort after the other: few, to learn often; several, to train side by
    side."""
    full, rest = divmod(trials, COHORT)
    return [COHORT] * full + [rest] * (rest > 0)


def next_points(centre: float, history: Sequence[TriedRate], num: int, step: float = STEP) -> list[float]:
    """The rates of the next `num` trials, given those of all earlier cohorts."""
    if not history:
        return [centre * step ** (number - (num - 1) / 2) for number in range(num)]
    ranked = [math.log(one.lr) for one in _ranked(history)]
    broken = {math.log(one.lr) for one in history if one.score is None}
    taken = sorted({math.log(one.lr) for one in history})
    points: list[float] = []
    for _ in range(num):
        point = _next(ranked, broken, taken, math.log(step))
        points.append(math.exp(point))
        taken = sorted([*taken, point])
    return points


def _ranked(history: Sequence[TriedRate]) -> list[TriedRate]:
    scored = [one for one in history if one.score is not None]
    return sorted(scored, key=lambda one: ranking(one.score, one.loss, one.lr))


def _next(ranked: list[float], broken: set[float], taken: list[float], step: float) -> float:
    """Logarithms of rates. `taken`: of all trials, those included whose scores are not known yet."""
    if not ranked:
        return taken[0] - step  # nobody got through, so the rates are too high
    if ranked[0] == taken[-1]:
        return ranked[0] + step
    if ranked[0] == taken[0]:
        return ranked[0] - step
    for around in ranked:
        middle = _halved(around, ranked, broken, taken)
        if middle is not None:
            return middle
    widest = max(range(1, len(taken)), key=lambda i: taken[i] - taken[i - 1])
    return (taken[widest] + taken[widest - 1]) / 2


def _halved(around: float, ranked: list[float], broken: set[float], taken: list[float]) -> float | None:
    """The middle of the wider of the two steps beside a rate; of two equal ones, of that to the better neighbour. None
    where both are small already."""

    def standing(neighbour: float) -> float:
        if neighbour in ranked:
            return ranked.index(neighbour)
        return math.inf if neighbour in broken else len(ranked)  # not known yet is better than broken

    place = taken.index(around)
    beside = [taken[i] for i in (place - 1, place + 1) if 0 <= i < len(taken)]
    widest = max(abs(one - around) for one in beside)
    if widest < FINEST + SAME:
        return None
    wide = [one for one in beside if widest - abs(one - around) < SAME]
    return (around + min(wide, key=standing)) / 2
