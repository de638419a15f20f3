"""Nights: a file for each, of the same form as a baseline. Twenty of them say how much a cell's mean moves from night
to night, and tonight is held against that. `steps.py` looks for what no single night shows.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.analysis.statistics import Spread
from bench.analysis.words import plural
from bench.gate import notes
from bench.gate.accept import snapshot
from bench.gate.baseline import NO_SEAL, BadBaseline, Baseline, Row, read, write
from bench.gate.environment import Environment
from bench.gate.judge import Change, Judged, judge, smallest_drop
from bench.gate.pairs import NOT_PLANNED, Pairs, Rule, gaps, image, incomparable, mean, sort_out
from bench.gate.spread import TINY
from bench.gate.tonight import Tonight, TonightCell
from bench.gate.verdict import CellName, GateResult, Verdict
from bench.store.atomic import explain

ENOUGH = 20  # nights: the standard error of their sd is 16 %


@dataclass(frozen=True)
class Nights:
    files: tuple[Path, ...]  # in order
    nights: tuple[Baseline, ...]  # one for each file
    damaged: tuple[str, ...]  # what was skipped, each with the reason

    @property
    def notes(self) -> tuple[str, ...]:
        """For whoever relies on them."""
        old = sum(not night.is_sealed for night in self.nights)
        return (*self.damaged, *([f"{old} of {plural(len(self.nights), 'night')} are {NO_SEAL}"] if old else []))


def keep(folder: Path, tonight: Tonight, when: str) -> Path:
    """Write down tonight, whatever has finished. `when`: the time, UTC, such that later sorts behind; it begins the
    file's name."""
    night = snapshot(tonight, when)
    source = night.code if night.dirty or night.commit is None else night.commit[:12]
    stamp = re.sub(r"[^0-9A-Za-z]+", "", when)
    path = folder / tonight.suite / f"{stamp}-{source or 'unknown'}.json"
    write(path, night)
    return path


def nights(folder: Path, suite: str) -> Nights:
    """All that were kept, the oldest first. Damaged files are named and left out."""
    place = folder / suite
    try:
        paths = sorted(path for path in place.iterdir() if path.suffix == ".json" and not path.name.startswith("."))
    except FileNotFoundError:
        paths = []
    except OSError as error:
        raise BadBaseline(f"{place}: cannot be read: {explain(error)}") from None
    found: list[tuple[Path, Baseline]] = []
    damaged: list[str] = []
    for path in paths:
        try:
            night = read(path)
        except BadBaseline as error:
            damaged.append(str(error))
            continue
        if night.suite == suite:
            found.append((path, night))
        else:
            damaged.append(f"{path}: of the suite {night.suite!r}")
    return Nights(tuple(path for path, _ in found), tuple(night for _, night in found), tuple(damaged))


@dataclass(frozen=True)
class Series:
    """What earlier nights say of a cell that tonight has a score of."""

    cell: TonightCell
    means: tuple[float, ...]  # of comparable nights that differ, over tonight's repeats; shares
    tonight: float
    floor: float  # points
    is_identical: bool  # to the last comparable night
    is_whole: bool  # no comparable night has a repeat that tonight lacks

    @property
    def change(self) -> float:
        return 100 * (self.tonight - mean(self.means))

    @property
    def spread(self) -> Spread:
        """Of the difference between one night and the mean of the others, points."""
        nights = len(self.means)
        sd = max(100 * float(np.std(self.means, ddof=1)), self.floor)
        return Spread(sd * math.sqrt(1 + 1 / nights), nights - 1)


def compare_with_history(before: Sequence[Baseline], tonight: Tonight, rule: Rule, folder: str = "") -> GateResult:
    """`before`: earlier nights in order, without tonight."""
    known = [Night(night.environment, night.cells()) for night in before]
    series = {cell.name: series_of(known, cell, rule) for cell in tonight.cells if cell.rows}
    most = max((len(one.means) for one in series.values()), default=0)
    enough = [one for one in series.values() if len(one.means) >= ENOUGH or one.is_identical]
    judged = _judged(enough, rule.margin)
    verdicts = [judged.get(cell.name) or _without(cell, known, series, rule) for cell in tonight.cells]
    planned = {cell.name for cell in tonight.cells}
    latest = known[-1].cells if known else {}
    gone = [Verdict(name, "missing", NOT_PLANNED) for name in latest if name not in planned]
    result = GateResult(
        suite=tonight.suite,
        method="history",
        margin=rule.margin,
        must_see=rule.must_see,
        baseline=folder,
        verdicts=(*(one for one in verdicts if one is not None), *gone),
        fail_on=rule.fail_on,
        facts={"nights": f"{len(before)} kept, up to {most} comparable and different", **notes.facts_of(tonight)},
    )
    more = notes.across([night.environment for night in before], tonight, rule)
    return notes.with_notes(result, [*notes.on_tonight(tonight), *more])


@dataclass(frozen=True)
class Night:
    environment: Environment
    cells: dict[CellName, list[Row]]


def series_of(before: Sequence[Night], cell: TonightCell, rule: Rule) -> Series:
    """Of nights that have all of tonight's repeats. The floor: a night in which every repeat moves by one image, this
    way or that, moves the mean by so much."""
    scores = cell.scores
    rows, means = [*cell.rows], []
    seen: set[tuple[float, ...]] = set()
    last: tuple[float, ...] = ()
    is_whole = True
    for night in before:
        found = {row.repeat: row for row in night.cells.get(cell.name, [])}
        if not set(scores) <= set(found) or incomparable(cell, found[min(found)], night.environment, rule):
            continue
        is_whole = is_whole and len(found) == len(scores)
        last = drawn = tuple(found[repeat].score for repeat in scores)
        if drawn in seen:  # code that has not changed repeats itself to the bit, which says nothing of the noise
            continue
        seen.add(drawn)
        rows += found.values()
        means.append(mean(drawn))
    is_identical = last == tuple(scores.values())
    floor = image(rows) / math.sqrt(len(scores))
    return Series(cell, tuple(means), mean(scores.values()), floor, is_identical, is_whole)


def _judged(series: Sequence[Series], margin: float) -> dict[CellName, Verdict]:
    tested = [one for one in series if not one.is_identical]
    found = judge([Change(one.change, max(one.spread.sd, TINY), one.spread.df) for one in tested], margin)
    verdicts = {one.cell.name: _verdict(one, judged) for one, judged in zip(tested, found, strict=True)}
    still = [one for one in series if one.is_identical]
    return verdicts | {one.cell.name: _identical(one, margin, len(tested) + 1) for one in still}


def _verdict(one: Series, judged: Judged) -> Verdict:
    return Verdict(
        one.cell.name, judged.word, gaps(one.cell), len(one.cell.rows), mean(one.means), one.tonight, one.change,
        low=judged.low, high=judged.high, p=judged.p, smallest=judged.smallest, went_wrong=one.cell.went_wrong,
        is_whole=one.is_whole,
    )  # fmt: skip


def _identical(one: Series, margin: float, tests: int) -> Verdict:
    least = smallest_drop(one.spread, 1, margin, tests) if len(one.means) >= ENOUGH else math.nan
    return Verdict(
        one.cell.name, "identical", gaps(one.cell), len(one.cell.rows), one.tonight, one.tonight, 0.0,
        smallest=least, went_wrong=one.cell.went_wrong, is_whole=one.is_whole,
    )  # fmt: skip


def _without(
    cell: TonightCell, before: Sequence[Night], series: Mapping[CellName, Series], rule: Rule
) -> Verdict | None:
    """A cell that has too few nights behind it, by the last one that has it."""
    last = next((night for night in reversed(before) if cell.name in night.cells), None)
    found = sort_out(cell, last.cells[cell.name] if last else [], last.environment if last else None, rule)
    if not isinstance(found, Pairs):
        return found
    reason = f"{len(series[cell.name].means)} comparable nights that differ, of the {ENOUGH} needed"
    return Verdict(
        cell.name, "incomparable", "; ".join(filter(None, [reason, gaps(cell)])), found.n,
        mean(found.before.values()), mean(found.after.values()), went_wrong=cell.went_wrong,
    )  # fmt: skip
