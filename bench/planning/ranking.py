"""Which of two trials is the better one: a rule that searches, races, brackets and pages share."""

import math


def ranking(
    score: float | None, loss: float | None, last: float, collapsed: bool = False
) -> tuple[bool, float, float, float]:
    """Sorts the best first: who did not collapse, then the higher validation score, then the lower loss, then the
    smaller `last`, a rate. A training that is no better than a guess on its own images may look well on few others."""
    return (collapsed, _or_last(score, -1), _or_last(loss, 1), last)


def _or_last(value: float | None, sign: int) -> float:
    return math.inf if value is None or math.isnan(value) else sign * value
