"""Published values beside the scores of the cells that they speak of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.cells import Row
from bench.analysis.frame import CELL
from bench.planning.references import Match, Published

REPRODUCED = "reproduced"
OUTSIDE = "not reproduced"
BESIDE = "beside, not comparable"
NO_SCORE = "no score here"


@dataclass(frozen=True)
class Beside:
    """A published value, and the cell's own score with its interval; shares."""

    match: Match
    published: float
    mean: float
    low: float
    high: float
    n: int

    @property
    def difference(self) -> float:
        return self.mean - self.published

    @property
    def verdict(self) -> str:
        """Nothing is said of values that were measured in other ways, or in ways that nobody knows."""
        if self.n == 0:
            return NO_SCORE
        is_told = all(fact.same for fact in self.match.facts) and math.isfinite(self.low + self.high)
        if not is_told:
            return BESIDE
        return REPRODUCED if self.low <= self.published <= self.high else OUTSIDE


def beside(published: Sequence[Published], summary: Sequence[Row]) -> list[Beside]:
    """In the order of the cells, then of the values."""
    places = {tuple(row[name] for name in CELL): (number, row) for number, row in enumerate(summary)}
    found = [(places[match.cell], match) for one in published for match in one.matches if match.cell in places]
    found.sort(key=lambda pair: pair[0][0])
    return [Beside(match, match.reference.value / 100, row["mean"], row["low"], row["high"], int(row["n"]))
            for (_, row), match in found]  # fmt: skip
