"""What a mistake costs: each cell that makes one against the right cell, paired by repeat and test example.

The spread between repeats is pooled over the strategies that make the same mistake on one task, and no further: a
network that reads blue for red scatters as little as the right one, a rate that is too high by tens of points.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace

from bench.analysis.cells import Row, Task, cells, has_collapsed, status_text
from bench.analysis.columns import column_of
from bench.analysis.comparison import estimates
from bench.analysis.frame import SuiteResults
from bench.analysis.statistics import LEVEL, finite, holm_steps, resolution
from bench.analysis.variance import Column, Estimate, Sample
from bench.analysis.verdicts import FEWEST_IMAGES
from bench.analysis.words import plural
from bench.modalities import example_of

COSTS, GAINS, NOT_SHOWN, UNDECIDED, BREAKS = "costs", "gains here", "does not show here", "undecided", "diverges"

Name = tuple[Task, str, str]  # task, right strategy, pitfall


@dataclass(frozen=True)
class Cost:
    """Of one mistake in one cell."""

    task: Task
    strategy: str  # the right one
    pitfall: str
    found: Estimate  # right minus wrong
    right: float  # mean scores
    wrong: float
    verdict: str = ""
    reason: str = ""
    barred: frozenset[str] = frozenset()  # verdicts in favour of a way whose repeats are left out because they broke
    p: float = math.nan  # after Holm's correction over all that could be tested
    level: float = 1 - LEVEL

    @property
    def ends(self) -> tuple[float, float]:
        """At the level of its own step in the correction. No difference of two shares is larger than 1."""
        low, high = self.found.ends(self.level)
        return max(low, -1.0), min(high, 1.0)


def pitfall_costs(results: SuiteResults) -> list[Cost]:
    """In the order of the suite."""
    if results.pitfalls.empty:
        return []
    steps = {dataset: resolution(finite(rows["score"])) for dataset, rows in results.every_final.groupby("dataset")}
    right = {cell: rows for cell, rows in cells(results.finals)}
    pairs: dict[Name, tuple[list[Row], list[Row]]] = {}
    for _, rows in cells(results.pitfalls):
        first = rows[0]
        task: Task = (first["dataset"], first["budget"], first["backbone"])
        pairs[task, first["right"], first["pitfall"]] = (right[*task, first["right"]], rows)
    columns = {name: tuple(column_of(_sound(rows), steps[name[0][0]]) for rows in both) for name, both in pairs.items()}
    groups: dict[tuple[str, ...], dict[Name, Sample]] = {}
    for name, (ours, theirs) in columns.items():
        groups.setdefault((*name[0][:2], name[2]), {})[name] = ours.minus(theirs)
    found = {name: one for group in groups.values() for name, one in estimates(group).items()}
    return _judged([_cost(name, found[name], pairs[name], columns[name]) for name in pairs], results.margin)


def _cost(
    name: Name, found: Estimate, rows: tuple[list[Row], list[Row]], columns: tuple[Column, ...]
) -> Cost:
    right, wrong = (column.alone().mean for column in columns)
    verdict, reason = _untested(found, *rows)
    lost = [*_lost(rows[0], "of the right way"), *_lost(rows[1], "with the mistake")] if verdict != BREAKS else []
    return Cost(*name, found, right, wrong, verdict, "; ".join(filter(None, [reason, *lost])), _barred(*rows))


def _sound(rows: list[Row]) -> list[Row]:
    """Finished repeats without those that collapsed, unless all of them did: as `Scores.judged` has it."""
    done = [row for row in rows if row["status"] == "ok"]
    return [row for row in done if not has_collapsed(row)] or done


def _num_broken(rows: list[Row]) -> tuple[int, int]:
    """Repeats that are left out because they diverged, and because they collapsed."""
    status = Counter(row["status"] for row in rows)
    return status["diverged"], status["ok"] - len(_sound(rows))


def _lost(rows: list[Row], whose: str) -> list[str]:
    diverged, collapsed = _num_broken(rows)
    none = sum(row["status"] not in ("ok", "diverged") for row in rows)
    said = ((diverged, "diverged"), (collapsed, "collapsed"), (none, "have no score"))
    return [f"{num} of {len(rows)} repeats {whose} {what}" for num, what in said if num]


def _barred(right: list[Row], wrong: list[Row]) -> frozenset[str]:
    """Without its broken repeats a way looks better than it is. Absence speaks for both."""
    barred: frozenset[str] = frozenset()
    if any(_num_broken(right)):
        barred |= {COSTS, NOT_SHOWN}
    if any(_num_broken(wrong)):
        barred |= {GAINS, NOT_SHOWN}
    return barred


def _untested(found: Estimate, right: list[Row], wrong: list[Row]) -> tuple[str, str]:
    """Verdict and reason where there is no test, else nothing."""
    if found.n == 0:
        if all(row["status"] == "diverged" for row in wrong) and any(row["status"] == "ok" for row in right):
            return BREAKS, f"the loss is not finite in any of {plural(len(wrong), 'repeat')}"
        return UNDECIDED, f"no pair of finished repeats ({status_text(right)}; with the mistake {status_text(wrong)})"
    if found.n == 1:
        return UNDECIDED, "one pair of repeats: nothing to judge chance by"
    if 0 < found.num_images < FEWEST_IMAGES:
        tested = plural(found.num_images, f"test {example_of([right[0]['modality']])}")
        return UNDECIDED, f"{tested}: a verdict takes {FEWEST_IMAGES} at least"
    return "", ""


def _judged(costs: list[Cost], margin: float) -> list[Cost]:
    """Holm's correction over all that could be tested, for differences and for their absence alike."""
    tested = [math.nan if one.verdict else one.found.p for one in costs]
    absent = [
        math.nan if one.verdict else max(one.found.p_above(-margin), one.found.p_below(margin)) for one in costs
    ]
    found = []
    for one, step, within in zip(costs, holm_steps(tested), holm_steps(absent), strict=True):
        verdict, reason, level = one.verdict, one.reason, step.level
        if not verdict and step.p < 1 - LEVEL:
            verdict = COSTS if one.found.mean > 0 else GAINS
        elif not verdict and within.p < 1 - LEVEL:
            verdict, level = NOT_SHOWN, 2 * within.level
        if verdict in one.barred:
            verdict, reason, level = UNDECIDED, f"{reason}; a verdict would rest on leaving these out", step.level
        level = level if math.isfinite(level) else 1 - LEVEL
        found.append(replace(one, verdict=verdict or UNDECIDED, reason=reason, p=step.p, level=level))
    return found


def in_a_sentence(costs: list[Cost]) -> str:
    count = Counter(one.verdict for one in costs)
    gains = f", gain points in {count[GAINS]}" if count[GAINS] else ""
    kinds = len({one.pitfall for one in costs})
    return (
        f"{plural(kinds, 'kind')} of mistake, made on purpose in {len(costs)} comparisons "
        f"with the right way: they cost points or diverge in {count[COSTS] + count[BREAKS]}{gains}, do not show in "
        f"{count[NOT_SHOWN]} and stay undecided in {count[UNDECIDED]}."
    )
