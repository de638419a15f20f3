"""How a training went: its test scores along the way, as a mean over repeats. They chose nothing and are no result."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.cells import Row

FEWEST = 3  # scores along a training: two make no course


@dataclass(frozen=True)
class Course:
    """Of one cell, at the steps at which every finished repeat was scored."""

    scores: list[tuple[int, float]]  # steps and means
    n: int  # repeats
    flops: float  # of one training, up to the last of these steps; NaN where records do not tell
    seconds: float  # the same, as it ran here

    def against(self, total: float) -> list[tuple[float, float]]:
        """Scores against what was spent, as if each step cost the same."""
        last = self.scores[-1][0]
        return [(total * step / last, score) for step, score in self.scores]


def mean_course(rows: Sequence[Row]) -> Course | None:
    """None where there are fewer than three steps at which all were scored."""
    finished = [row for row in rows if row["status"] == "ok" and row["curve"]]
    courses = [dict(row["curve"]) for row in finished]
    shared = set(courses[0]).intersection(*courses[1:]) if courses else set()
    if len(shared) < FEWEST:
        return None
    scores = [(step, sum(one[step] for one in courses) / len(courses)) for step in sorted(shared)]
    return Course(scores, len(courses), *(_spent(finished, column, scores[-1][0]) for column in ("flops", "seconds")))


def _spent(rows: Sequence[Row], column: str, last: int) -> float:
    """Up to that step, a mean; some may have gone on. NaN unless all have a number above 0."""
    values = [row[column] * last / row["curve"][-1][0] for row in rows]
    return sum(values) / len(values) if all(value > 0 for value in values) else math.nan
