"""Do the claims of a suite hold on its own cells? Each is a sum of cell means, and its interval is held against what
the claim says. `plan/claims.py` finds the cells; `README.md` has how often the answers are right.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analysis.cells import OUT_OF_SCOPE, Row, finite_rows, has_collapsed, records, status_text
from bench.analysis.claim_words import compared, region_text
from bench.analysis.columns import column_of, of_halves
from bench.analysis.comparison import blend, estimates
from bench.analysis.frame import CELL, SuiteResults
from bench.analysis.statistics import LEVEL, holm_steps
from bench.analysis.variance import Column, Estimate, Sample
from bench.analysis.verdicts import FEWEST_IMAGES, UNDECIDED
from bench.analysis.words import plural
from bench.plan.claims import Place, Side, sides_of
from bench.suite.claims_schema import ClaimSpec

HOLDS, FAILS = "holds here", "does not hold here"
STUDY = "study"  # the pool of images that halves and groups of one set share

Cells = Mapping[tuple[str, ...], list[Row]]  # by the columns of CELL: the finals of its repeats
NOTHING = Estimate(math.nan, 0)


@dataclass(frozen=True)
class Judged:
    """A claim and what became of it. Numbers are shares."""

    claim: ClaimSpec
    compared: str  # which cells, in words
    says: str  # what the claim says of the number, in words
    found: Estimate
    verdict: str
    reason: str
    ends: tuple[float, float]  # of the interval at the level of its own step in the correction; of a cost, its range
    p: float = math.nan  # after Holm's correction over the claims of the suite

    @property
    def is_cost(self) -> bool:
        return self.claim.value.startswith("compute")


@dataclass(frozen=True)
class _Asked:
    """A claim with what its cells come to."""

    claim: ClaimSpec
    sides: list[Side]
    sample: Sample | None
    untestable: str = ""
    collapsed: frozenset[int] = frozenset()  # weights of sides that have lost repeats in which they collapsed


def judged_claims(results: SuiteResults) -> list[Judged]:
    """In the suite's order. Claims about chance are corrected together; a cost has none."""
    cells: dict[tuple[str, ...], list[Row]] = {}
    for row in records(results.every_final):
        cells.setdefault(tuple(row[name] for name in CELL), []).append(row)
    applicable = {key: rows for key, rows in cells.items() if any(row["status"] != OUT_OF_SCOPE for row in rows)}
    places = [rows[0] for rows in applicable.values()]
    asked = [_asked(claim, places, applicable) for claim in results.claims]
    found = _found(asked)
    pairs = list(zip(asked, found, strict=True))
    steps = holm_steps(math.nan if one.untestable else _p(estimate, one.claim.region) for one, estimate in pairs)
    return [
        _cost(one, applicable, results) if one.claim.value.startswith("compute")
        else _judged(one, estimate, (step.p, step.level))
        for (one, estimate), step in zip(pairs, steps, strict=True)
    ]  # fmt: skip


def _asked(claim: ClaimSpec, places: Sequence[Place], cells: Cells) -> _Asked:
    sides = sides_of(claim, places)
    if any(not side.places for side in sides):
        return _Asked(claim, sides, None, "no cell of one side applies")
    if claim.value.startswith("compute"):
        return _Asked(claim, sides, None, "no chance")
    terms, collapsed, unfinished = [], set(), []
    for side in sides:
        for place in side.places:
            rows = cells[_key(place)]
            column, has_lost = _column(claim, rows)
            if not column.scores:
                unfinished.append(f"{place['strategy']} on {place['dataset']}: {_nothing(claim, rows)}")
            if has_lost:
                collapsed.add(side.weight)
            pool = STUDY if place["treatment"] else place["dataset"]
            terms.append((side.weight / len(side.places), pool, column))
    if unfinished:
        more = f"; and {len(unfinished) - 1} more" if len(unfinished) > 1 else ""
        return _Asked(claim, sides, None, f"{unfinished[0]}{more}")
    sample = blend(terms).alone()
    return _Asked(claim, sides, sample, _untestable(sample), frozenset(collapsed))


def _key(place: Place) -> tuple[str, ...]:
    return tuple(place[name] for name in CELL)


def _nothing(claim: ClaimSpec, rows: list[Row]) -> str:
    if claim.value == "source" and any(row["status"] == "ok" for row in rows):
        return "nothing is known of the source's images"
    return status_text(rows)


def _column(claim: ClaimSpec, rows: list[Row]) -> tuple[Column, bool]:
    """Of one cell; and whether repeats in which it collapsed were left out. If all of them did, that is its score."""
    if claim.value == "source":
        told = finite_rows(rows, "source_after")
        return Column({int(row["repeat"]): row["source_after"] for row in told}, {}), False
    done = [row for row in rows if row["status"] == "ok"]
    sound = [row for row in done if not has_collapsed(row)]
    used = sound or done
    column = column_of(used)
    return of_halves(column, used) if rows[0]["treatment"] else column, 0 < len(sound) < len(done)


def _untestable(sample: Sample) -> str:
    if sample.n < 2:
        return "no repeat that all of its cells finished" if sample.n == 0 else "one repeat: nothing to judge chance by"
    if 0 < sample.num_images < FEWEST_IMAGES:
        return f"{plural(sample.num_images, 'test image')}: a verdict takes {FEWEST_IMAGES} at least"
    return ""


def _found(asked: list[_Asked]) -> list[Estimate]:
    """Contrasts of one kind of value say of each other how far repeats scatter."""
    found = {number: NOTHING for number in range(len(asked))}
    for value in {one.claim.value for one in asked}:
        found |= estimates({
            number: one.sample for number, one in enumerate(asked)
            if one.claim.value == value and one.sample is not None and one.sample.n
        })  # fmt: skip
    return list(found.values())


def _outside(found: Estimate, region: tuple[float, float]) -> tuple[float, float]:
    """p-values, one-sided: of "the truth lies outside the region", and of "it lies inside"."""
    low, high = region
    above = found.p_below(high) if math.isfinite(high) else 0.0
    beyond = found.p_above(high) if math.isfinite(high) else 1.0
    return max(found.p_above(low), above), min(found.p_below(low), beyond)


def _p(found: Estimate, region: tuple[float, float]) -> float:
    """Of a verdict, two-sided, so that a 95 % interval says the same."""
    return min(1.0, 2 * min(_outside(found, region)))


def _judged(one: _Asked, found: Estimate, step: tuple[float, float]) -> Judged:
    p, level = step
    region = one.claim.region
    ends = found.ends(level if math.isfinite(level) else 1 - LEVEL)
    verdict, reason = UNDECIDED, one.untestable
    if not reason and p < 1 - LEVEL:
        outside, inside = _outside(found, region)
        verdict = HOLDS if outside < inside else FAILS
        if leans := _leans_on_collapse(one, verdict):
            verdict, reason = UNDECIDED, leans
    elif not reason:
        reason = _what_would_decide(found, region, level)
    if one.collapsed and verdict != UNDECIDED:
        reason = "without the repeats in which a cell collapsed"
    return Judged(
        one.claim, compared(one.sides), region_text(one.claim), found, verdict, reason, ends, p
    )  # fmt: skip


def _leans_on_collapse(one: _Asked, verdict: str) -> str:
    """Leaving out repeats in which a cell collapsed flatters it: no verdict may be in its favour."""
    if not one.collapsed:
        return ""
    has_ends = math.isfinite(one.claim.region[1])
    favoured = 1 if verdict == HOLDS else -1
    if has_ends or favoured in one.collapsed:
        return "some of its cells collapsed in some repeats, and a verdict would rest on leaving these out"
    return ""


def _what_would_decide(found: Estimate, region: tuple[float, float], level: float) -> str:
    distance = min(abs(found.mean - end) for end in region if math.isfinite(end))
    repeats = found.repeats_needed(distance, level)
    if math.isfinite(repeats):
        return f"about {repeats:.0f} repeats would decide, if the number stays"
    if found.shared > 0 and distance > 0:
        return "more repeats alone would not decide: it takes more test images too"
    return "so close to what the claim says that no number of repeats would soon decide"


def _cost(one: _Asked, cells: Cells, results: SuiteResults) -> Judged:
    """A number without chance: of every cell, the arithmetic of a training as a share of its pretraining's."""
    taught: dict[str, list[float]] = {}
    for row in finite_rows(records(results.pretrainings), "flops"):
        if not row["dataset"].startswith("then "):
            taught.setdefault(row["backbone"], []).append(row["flops"])
    searched = _searched_steps(results) if one.claim.value == "compute_with_search" else {}
    shares = [
        share
        for side in one.sides
        for place in side.places
        for share in _shares(cells[_key(place)], taught.get(place["backbone"], []), searched)
    ]
    low, high = one.claim.region
    inside = sum(low < share < high for share in shares)
    if not shares:
        verdict, reason = UNDECIDED, "no pretraining of this suite counted its arithmetic"
    elif inside in (0, len(shares)):
        verdict, reason = HOLDS if inside else FAILS, ""
    else:
        verdict, reason = UNDECIDED, f"it holds for {inside} of {plural(len(shares), 'training')}"
    mean = sum(shares) / len(shares) if shares else math.nan
    ends = (min(shares, default=math.nan), max(shares, default=math.nan))
    return Judged(
        one.claim, compared(one.sides), region_text(one.claim), Estimate(mean, len(shares)), verdict, reason, ends
    )  # fmt: skip


def _searched_steps(results: SuiteResults) -> dict[tuple[tuple[str, ...], int], float]:
    """Steps of all trials, by cell and the repeat whose labels were searched on."""
    found: dict[tuple[tuple[str, ...], int], float] = {}
    for row in records(results.every_trial):
        if math.isfinite(row["spent_steps"]):
            search = (_key(row), int(row["repeat"]))
            found[search] = found.get(search, 0.0) + row["spent_steps"]
    return found


def _shares(
    rows: list[Row], pretrainings: list[float], searched: Mapping[tuple[tuple[str, ...], int], float]
) -> list[float]:
    """Of one cell's finals. One search on the first repeat's labels may serve all."""
    if not pretrainings:
        return []
    whole = sum(pretrainings) / len(pretrainings)
    found = []
    for row in finite_rows(rows, "flops"):
        own = searched.get((_key(row), int(row["repeat"])), searched.get((_key(row), 0), 0.0))
        found.append(row["flops"] * (1 + (own / row["steps"] if own else 0.0)) / whole)
    return found
