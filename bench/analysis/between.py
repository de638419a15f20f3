"""Two suites' results, or one suite's in two folders, held against each other: cells of the same name, repeat by
repeat, by the rules of `verdicts.py`. The first takes the place of the baseline there."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from bench.analysis.cells import Row, cells, mean_of, records
from bench.analysis.frame import SuiteResults
from bench.analysis.verdicts import AS_GOOD, HELPS, HURTS, UNDECIDED, verdicts
from bench.planning.plan import Cell, Plan
from bench.spec.job import FitSpec
from bench.spec.refs import DataRef

HIGHER, LOWER, IDENTICAL = "higher", "lower", "identical"
OTHER_TEST = "other test data"
WORDS = (HIGHER, LOWER, UNDECIDED, AS_GOOD, IDENTICAL, OTHER_TEST)
FIRST, SECOND = "A", "B"
_SAID = {HELPS: HIGHER, HURTS: LOWER}
Name = tuple[str, ...]  # dataset, budget, backbone, strategy


@dataclass(frozen=True)
class Side:
    label: str
    plan: Plan
    results: SuiteResults


@dataclass(frozen=True)
class Compared:
    """One cell that both have. Scores are shares; the difference is B less A."""

    cell: Name
    word: str
    reason: str = ""
    n: int = 0  # pairs of repeats
    num_images: int = 0  # 0: nothing is said of other test examples
    first: float = math.nan  # means over the pairs
    second: float = math.nan
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan  # corrected for all cells
    detectable: float = math.nan  # true difference that would have shown 4 times in 5


@dataclass(frozen=True)
class Setting:
    """What the two planned differently."""

    name: str  # "training.steps"
    first: str
    second: str
    cells: int


@dataclass(frozen=True)
class Between:
    first: str
    second: str
    margin: float  # a share
    cells: tuple[Compared, ...]
    only_first: tuple[Name, ...]
    only_second: tuple[Name, ...]
    settings: tuple[Setting, ...]
    environments: tuple[Setting, ...]

    def of(self, word: str) -> list[Compared]:
        return [one for one in self.cells if one.word == word]


def between(first: Side, second: Side, margin: float | None = None) -> Between:
    """`margin`: a share; None: the first's."""
    margin = first.results.margin if margin is None else margin
    old, new = (dict(cells(side.results.finals)) for side in (first, second))
    planned = [{_name(cell): cell for cell in side.plan.cells if not cell.pitfall} for side in (first, second)]
    both = [name for name in old if name in new]
    found: dict[Name, Compared] = {}
    tested: dict[Name, list[Row]] = {}
    for name in both:
        others = _others(first, second, planned[0][name], planned[1][name])
        pairs = _pairs(old[name], new[name])
        if others:
            found[name] = Compared(name, OTHER_TEST, others)
        elif pairs and all(a["score"] == b["score"] for a, b in pairs):
            found[name] = _identical(name, pairs)
        else:
            tested[name] = _rows(name, old[name], new[name])
    found |= _tested(tested, margin)
    return Between(
        first.label, second.label, margin, tuple(found[name] for name in both),
        tuple(name for name in old if name not in new), tuple(name for name in new if name not in old),
        _settings((first, second), [(planned[0][name], planned[1][name]) for name in both]),
        _environments(first.results, second.results),
    )  # fmt: skip


def _name(cell: Cell) -> Name:
    return cell.dataset, cell.budget.text, cell.backbone, cell.strategy


def _pairs(old: list[Row], new: list[Row]) -> list[tuple[Row, Row]]:
    """Repeats that both have finished."""
    later = {row["repeat"]: row for row in new if row["status"] == "ok"}
    return [(row, later[row["repeat"]]) for row in old if row["status"] == "ok" and row["repeat"] in later]


def _others(first: Side, second: Side, old: Cell, new: Cell) -> str:
    """Why their test examples are not the same; else ""."""
    told = []
    for mine, theirs in zip(_data(first, old), _data(second, new), strict=False):
        if mine.revision != theirs.revision:
            told.append(f"its content is {mine.revision[:16]} in {FIRST} and {theirs.revision[:16]} in {SECOND}")
        elif (mine.split is None) != (theirs.split is None):
            told.append("one divides the data anew in every repeat, the other does not")
        elif mine.split != theirs.split:
            told.append("their repeats divide the data by other seeds")
        elif mine.classes != theirs.classes:
            told.append("they take other classes of it")
        elif mine.metric != theirs.metric:
            told.append(f"{FIRST} is scored by {mine.metric}, {SECOND} by {theirs.metric}")
    return told[0] if told else ""


def _data(side: Side, cell: Cell) -> list[DataRef]:
    return [_spec(side, key).data for key in cell.finals]


def _spec(side: Side, key: str) -> FitSpec:
    spec = side.plan.jobs[key].spec
    assert isinstance(spec, FitSpec)
    return spec


def _identical(name: Name, pairs: list[tuple[Row, Row]]) -> Compared:
    mean = mean_of([row for row, _ in pairs], "score")
    same = all(a["key"] == b["key"] for a, b in pairs)
    return Compared(name, IDENTICAL, "the same settings" if same else "", len(pairs), 0, mean, mean, 0.0)


def _rows(name: Name, old: list[Row], new: list[Row]) -> list[Row]:
    """The cell as a task of its own, on which A is the baseline of B: so nothing is judged by a second rule."""
    place = {"backbone": "\n".join(name[2:])}
    return [
        *({**row, **place, "strategy": FIRST, "baseline": True} for row in old),
        *({**row, **place, "strategy": SECOND, "baseline": False} for row in new),
    ]


def _tested(tested: Mapping[Name, list[Row]], margin: float) -> dict[Name, Compared]:
    if not tested:
        return {}
    finals = pd.DataFrame([row for rows in tested.values() for row in rows])
    judged = {
        (row["dataset"], row["budget"], *row["backbone"].split("\n")): row for row in records(verdicts(finals, margin))
    }
    return {name: _compared(name, rows, judged.get(name)) for name, rows in tested.items()}


def _compared(name: Name, rows: list[Row], judged: Row | None) -> Compared:
    if judged is None:
        return Compared(name, UNDECIDED, "it cannot be done here")
    sides = [[row for row in rows if row["strategy"] == side] for side in (FIRST, SECOND)]
    pairs = _pairs(*sides)
    before, after = (mean_of([pair[side] for pair in pairs], "score") for side in (0, 1))
    word = str(judged["verdict"])
    return Compared(
        name, _SAID.get(word, word), judged["reason"], int(judged["n"]), int(judged["num_images"]), before, after,
        judged["difference"], judged["low"], judged["high"], judged["p_holm"], judged["detectable"],
    )  # fmt: skip


def _settings(sides: tuple[Side, Side], both: list[tuple[Cell, Cell]]) -> tuple[Setting, ...]:
    """Of the finals of cells that both have, by their jobs, with the number of cells that each holds of."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for pair in both:
        old, new = (_flat(asdict(_spec(side, cell.finals[0]))) for side, cell in zip(sides, pair, strict=True))
        for name in dict.fromkeys([*old, *new]):
            if old.get(name) != new.get(name):
                counts[name, str(old.get(name, "—")), str(new.get(name, "—"))] += 1
    repeats = [max((len(cell.finals) for cell in side.plan.cells), default=0) for side in sides]
    if repeats[0] != repeats[1]:
        counts["repeats", str(repeats[0]), str(repeats[1])] = len(both)
    return tuple(Setting(*words, cells) for words, cells in counts.items())


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Each leaf by its path."""
    parts: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        parts = [(f"{name}.{key}" if name else str(key), one) for key, one in value.items()]
    elif isinstance(value, list | tuple) and any(isinstance(one, dict | list | tuple) for one in value):
        parts = [(f"{name}[{number}]", one) for number, one in enumerate(value)]
    if not parts:
        return {name: value}
    return {key: leaf for path, one in parts for key, leaf in _flat(one, path).items()}


def _environments(first: SuiteResults, second: SuiteResults) -> tuple[Setting, ...]:
    """What the records of each were made with, where that differs."""
    told = []
    seen = [[_flat(one) for one in side.provenance] for side in (first, second)]
    for name in dict.fromkeys(key for side in seen for one in side for key in one if key != "records"):
        old, new = (", ".join(dict.fromkeys(str(one.get(name, "—")) for one in side)) for side in seen)
        if old != new:
            told.append(Setting(name, old, new, 0))
    return tuple(told)
