"""Do the claims of a suite hold on its own cells? Each is a sum of cell means, and its interval is held against what
the claim says. `planning/claims.py` finds the cells; `README.md` has how often the answers are right.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.analysis.cells import OUT_OF_SCOPE, Row, finite_rows, has_collapsed, records, status_text
from bench.analysis.claim_words import compared, region_text
from bench.analysis.columns import column_of, of_halves
from bench.analysis.comparison import blend, estimates
from bench.analysis.frame import CELL, SuiteResults
from bench.analysis.statistics import LEVEL, finite, holm_steps, resolution
from bench.analysis.treatments import POOL
from bench.analysis.variance import Column, Estimate, Sample
from bench.analysis.verdicts import FEWEST_IMAGES, UNDECIDED
from bench.analysis.words import plural
from bench.modalities import example_of
from bench.planning.claims import Place, Side, sides_of
from bench.suite.claims_schema import ClaimSpec

HOLDS, FAILS = "holds here", "does not hold here"

Cells = Mapping[tuple[str, ...], list[Row]]  # by the columns of CELL: the finals of its repeats
NOTHING = Estimate(math.nan, 0)
NO_COLUMN = Column({}, {})


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
    lost: dict[int, list[str]] = field(default_factory=dict)  # by a side's weight: repeats that were left out
    planned: int = 0  # repeats
    example: str = "example"  # what people call one of its cells' data


@dataclass(frozen=True)
class _Cell:
    column: Column
    lost: str = ""  # repeats that are left out because the training broke: without them the cell looks better
    nothing: str = ""  # why there is no number


def judged_claims(results: SuiteResults) -> list[Judged]:
    """In the suite's order. Claims about chance are corrected together; a cost has none."""
    cells: dict[tuple[str, ...], list[Row]] = {}
    for row in records(results.every_final) if results.claims else ():
        cells.setdefault(tuple(row[name] for name in CELL), []).append(row)
    applicable = {key: rows for key, rows in cells.items() if any(row["status"] != OUT_OF_SCOPE for row in rows)}
    places = [rows[0] for rows in applicable.values()]
    known: dict[tuple[tuple[str, ...], str], _Cell] = {}
    asked = [_asked(claim, places, applicable, known) for claim in results.claims]
    found = _found(asked)
    pairs = list(zip(asked, found, strict=True))
    steps = holm_steps(math.nan if one.untestable else _p(estimate, one.claim.region) for one, estimate in pairs)
    return [
        _cost(one, applicable, results) if one.claim.value.startswith("compute")
        else _judged(one, estimate, (step.p, step.level))
        for (one, estimate), step in zip(pairs, steps, strict=True)
    ]  # fmt: skip


def _asked(
    claim: ClaimSpec, places: Sequence[Place], cells: Cells, known: dict[tuple[tuple[str, ...], str], _Cell]
) -> _Asked:
    """`known`: cells that were read for other claims."""
    sides = sides_of(claim, places)
    if any(not side.terms for side in sides):
        return _Asked(claim, sides, None, "no cell of one side applies")
    if claim.value.startswith("compute"):
        return _Asked(claim, sides, None, "no chance")
    terms, nothing, planned = [], [], 0
    lost: dict[int, list[str]] = {}
    for side in sides:
        for share, place in side.terms:
            name = (_key(place), claim.value)
            if name not in known:
                known[name] = _cell(claim.value, cells[_key(place)], cells)
            cell = known[name]
            planned = max(planned, len(cells[_key(place)]))
            if cell.nothing:
                nothing.append(f"{place['strategy']} on {place['dataset']}: {cell.nothing}")
            if cell.lost:
                lost.setdefault(side.weight, []).append(f"{cell.lost} of {place['strategy']} on {place['dataset']}")
            terms.append((side.weight * share, POOL if place["treatment"] else place["dataset"], cell.column))
    if nothing:
        return _Asked(claim, sides, None, _first(nothing))
    column = blend(terms)
    sample = replace(column.alone(), step=column.step)
    example = example_of({place["modality"] for side in sides for _, place in side.terms})
    return _Asked(claim, sides, sample, _untestable(sample, example), lost, planned, example)


def _first(texts: list[str]) -> str:
    return f"{texts[0]}; and {len(texts) - 1} more" if len(texts) > 1 else texts[0]


def _key(place: Place) -> tuple[str, ...]:
    return tuple(place[name] for name in CELL)


def _cell(value: str, rows: list[Row], cells: Cells) -> _Cell:
    """Repeats in which it collapsed or diverged are left out. If it collapsed in all, that is its score; but of a
    network that learned nothing it says little what it has kept."""
    done = [row for row in rows if row["status"] == "ok"]
    sound = [row for row in done if not has_collapsed(row)]
    diverged = sum(row["status"] == "diverged" for row in rows)
    broken = diverged + len(done) - len(sound)
    lost = f"{plural(broken, 'repeat')} that collapsed or diverged" if broken and sound else ""
    if not done:
        return _Cell(NO_COLUMN, nothing=status_text(rows))
    if diverged and not sound:
        return _Cell(NO_COLUMN, nothing="collapsed or diverged in every repeat")
    mine = [row for own in cells.values() for row in own if row["dataset"] == rows[0]["dataset"]]
    if value == "source":
        told = finite_rows(sound, "source_after")
        if not told:
            example = example_of([rows[0]["modality"]])
            why = f"nothing is known of the source's {example}s" if sound else "collapsed in every repeat"
            return _Cell(NO_COLUMN, nothing=why)
        step = resolution(finite(row["source_after"] for row in mine))
        return _Cell(Column({int(row["repeat"]): row["source_after"] for row in told}, {}, None, step), lost)
    used = sound or done
    column = column_of(used, resolution(finite(row["score"] for row in mine)))
    return _Cell(of_halves(column, used) if rows[0]["treatment"] else column, lost)


def _untestable(sample: Sample, example: str) -> str:
    if sample.n < 2:
        return "no repeat that all of its cells finished" if sample.n == 0 else "one repeat: nothing to judge chance by"
    if 0 < sample.num_images < FEWEST_IMAGES:
        return f"{plural(sample.num_images, f'test {example}')}: a verdict takes {FEWEST_IMAGES} at least"
    return ""


def _found(asked: list[_Asked]) -> list[Estimate]:
    """Contrasts of the same strategies and one kind of value say of each other how far repeats scatter; a contrast with
    a strategy that breaks now and then says nothing of one without it."""
    groups: dict[tuple[str, frozenset[str]], dict[int, Sample]] = {}
    for number, one in enumerate(asked):
        if one.sample is not None and one.sample.n:
            strategies = frozenset(place["strategy"] for side in one.sides for _, place in side.terms)
            groups.setdefault((one.claim.value, strategies), {})[number] = one.sample
    found = {number: one for group in groups.values() for number, one in estimates(group).items()}
    return [found.get(number, NOTHING) for number in range(len(asked))]


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
        if leans := _leans_on_what_was_lost(one, verdict):
            verdict, reason = UNDECIDED, leans
    elif not reason:
        reason = _what_would_decide(found, region, level, one.example)
    broken = [text for texts in one.lost.values() for text in texts]
    left_out = f"without {_first(broken)}" if broken else ""
    if not left_out and found.n and found.n < one.planned:
        left_out = f"{found.n} of {one.planned} repeats are there"
    reason = "; ".join(part for part in (reason, left_out) if part)
    return Judged(one.claim, compared(one.sides), region_text(one.claim), found, verdict, reason, ends, p)


def _leans_on_what_was_lost(one: _Asked, verdict: str) -> str:
    """Leaving out repeats in which a cell broke flatters it: no verdict may be in its favour."""
    has_ends = math.isfinite(one.claim.region[1])
    favoured = 1 if verdict == HOLDS else -1
    if one.lost and (has_ends or favoured in one.lost):
        return "a verdict would rest on what was left out"
    return ""


def _what_would_decide(found: Estimate, region: tuple[float, float], level: float, example: str) -> str:
    distance = min(abs(found.mean - end) for end in region if math.isfinite(end))
    repeats = found.repeats_needed(distance, level)
    if math.isfinite(repeats):
        return f"about {repeats:.0f} repeats would decide, if the number stays"
    if found.shared > 0 and distance > 0:
        return f"more repeats alone would not decide: it takes more test {example}s too"
    return "so close to what the claim says that no number of repeats would soon decide"


def _cost(one: _Asked, cells: Cells, results: SuiteResults) -> Judged:
    """A number without chance: of every cell, the arithmetic of a training as a share of its pretraining's."""
    taught = {row["key"]: row["flops"] for row in finite_rows(records(results.pretrainings), "flops")}
    searched = _searched_steps(results) if one.claim.value == "compute_with_search" else None
    places = [place for side in one.sides for place in side.places]
    told = {_key(place): _shares(cells[_key(place)], taught, searched) for place in places}
    shares = [share for found in told.values() for share in found]
    low, high = one.claim.region
    inside = sum(low < share < high for share in shares)
    if not shares:
        verdict, reason = UNDECIDED, "no pretraining of this suite counted its arithmetic"
    elif unknown := sum(not found for found in told.values()):
        verdict, reason = UNDECIDED, f"nothing is known of {unknown} of {plural(len(told), 'cell')}"
    elif inside in (0, len(shares)):
        verdict, reason = HOLDS if inside else FAILS, ""
    else:
        verdict, reason = UNDECIDED, f"it holds for {inside} of {plural(len(shares), 'training')}"
    mean = sum(shares) / len(shares) if shares else math.nan
    ends = (min(shares, default=math.nan), max(shares, default=math.nan))
    return Judged(
        one.claim, compared(one.sides), region_text(one.claim), Estimate(mean, len(shares)), verdict, reason, ends
    )  # fmt: skip


Searched = Mapping[tuple[tuple[str, ...], int], float]


def _searched_steps(results: SuiteResults) -> Searched:
    """Steps of all trials, by cell and the repeat whose labels were searched on."""
    found: dict[tuple[tuple[str, ...], int], float] = {}
    for row in records(results.every_trial):
        if math.isfinite(row["spent_steps"]):
            search = (_key(row), int(row["repeat"]))
            found[search] = found.get(search, 0.0) + row["spent_steps"]
    return found


def _shares(rows: list[Row], taught: Mapping[str, float], searched: Searched | None) -> list[float]:
    """Of one cell's finals, whose pretrainings have the size of the first one's. One search may serve all repeats."""
    whole = taught.get(rows[0]["weights"])
    if whole is None:
        return []
    found = []
    for row in finite_rows(rows, "flops"):
        more = 0.0
        if searched is not None:
            own = searched.get((_key(row), int(row["repeat"])), searched.get((_key(row), 0)))
            if own is None or not row["steps"] > 0:
                return []
            more = own / row["steps"]
        found.append(row["flops"] * (1 + more) / whole)
    return found
