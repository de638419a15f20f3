"""How a training went: its test scores along the way, as a mean over repeats. They chose nothing and are no result."""

from collections.abc import Sequence

from bench.analysis.cells import Row

FEWEST = 3  # scores along a training: two make no course


def mean_course(rows: Sequence[Row]) -> tuple[list[tuple[int, float]], int]:
    """Steps and mean scores of one cell, at the steps at which every finished repeat was scored, and how many repeats
    those are; nothing where there are fewer than three such steps."""
    courses = [dict(row["curve"]) for row in rows if row["status"] == "ok" and row["curve"]]
    shared = set(courses[0]).intersection(*courses[1:]) if courses else set()
    if len(shared) < FEWEST:
        return [], 0
    return [(step, sum(one[step] for one in courses) / len(courses)) for step in sorted(shared)], len(courses)
