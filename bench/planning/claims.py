"""Which cells a claim speaks of. `suite/claims_schema.py` says how they are named; `analysis/claims.py` decides."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Any

from bench.errors import SuiteError
from bench.planning.plan import Cell, Role
from bench.suite.claims_schema import CellsSpec, ClaimSpec
from bench.suite.load import LoadedSuite

Place = Mapping[str, Any]  # of a cell, as columns of the finals name it
NAMED = ("dataset", "backbone", "strategy", "pair", "treatment", "pitfall")  # columns that patterns are held against
MATCHED = ("dataset", "backbone", "budget", "strategy")  # what sides may have in common, what matters most first
SAME_LABELS = 0.01  # relative: a set whose classes differ in size has a mean that is no whole number


@dataclass(frozen=True)
class Side:
    """The mean of some cells, which counts with a weight: 1 or -1."""

    name: str  # as the suite writes it: `more`, `less`, `beyond.more`
    weight: int
    terms: list[tuple[float, Place]]  # shares of the mean, which add up to 1

    @property
    def places(self) -> list[Place]:
        return [place for _, place in self.terms]


def place_of(cell: Cell) -> Place:
    return {
        "dataset": cell.dataset,
        "budget": cell.budget.text,
        "labels_per_class": cell.num_labels / cell.num_classes,
        "backbone": cell.backbone,
        "control": cell.declared.weights.origin == "random",
        "strategy": cell.strategy,
        "right": cell.right,
        "pitfall": cell.pitfall,
        **asdict(cell.role or Role("", "", "", 0)),
    }


def sides_of(claim: ClaimSpec, places: Sequence[Place]) -> list[Side]:
    """`places`: of all cells of the suite. Sides without any where they name none, or the same ones."""
    asked = [("more", 1, claim.more), ("less", -1, claim.less)]
    if claim.beyond is not None:
        asked += [("beyond.more", -1, claim.beyond.more), ("beyond.less", 1, claim.beyond.less)]
    named = [(name, weight, cells) for name, weight, cells in asked if cells is not None]
    found = [side(cells, claim.where, places) for _, _, cells in named]
    groups: list[Groups] = _matched(found) if all(found) else [{(): one} if one else {} for one in found]
    return [
        Side(name, weight, [(1 / (len(own) * len(group)), place) for group in own.values() for place in group])
        for (name, weight, _), own in zip(named, groups, strict=True)
    ]


def side(cells: CellsSpec, where: CellsSpec, places: Sequence[Place]) -> list[Place]:
    """Controls with random weights are no transfer, and mistakes are made on purpose: these count where somebody names
    them."""
    found = picked(cells, picked(where, places))
    names_backbones = bool(cells.backbone or where.backbone)
    return [one for one in found
            if bool(one["pitfall"]) == bool(cells.pitfall) and (names_backbones or not one["control"])]  # fmt: skip


Groups = dict[tuple[str, ...], list[Place]]


def _matched(sides: list[list[Place]]) -> list[Groups]:
    """Places of each side by what all sides have in common, as finely as they have anything in common; what only some
    of them have is left out. A mean over other data sets or networks would be no comparison."""
    for size in range(len(MATCHED), -1, -1):
        for columns in combinations(MATCHED, size):
            keyed = [_grouped(places, columns) for places in sides]
            shared = [key for key in keyed[0] if all(key in groups for groups in keyed)]
            if shared:
                told = [key for key in shared if not _is_same([groups[key] for groups in keyed])]
                return [{key: groups[key] for key in told} for groups in keyed]
    raise AssertionError("without a column all places have the same key")


def _grouped(places: list[Place], columns: tuple[str, ...]) -> Groups:
    groups: Groups = {}
    for one in places:
        named = {**one, "strategy": _strategy(one)}
        groups.setdefault(tuple(named[name] for name in columns), []).append(one)
    return groups


def _is_same(sides: list[list[Place]]) -> bool:
    """Whether the difference is one of cells with themselves, which is 0 whatever they score."""
    half = len(sides) // 2
    return half > 0 and sides[:half] == sides[half:]


def _strategy(place: Place) -> str:
    """Without the mistake that it makes."""
    return str(place["right"] or place["strategy"])


def picked(cells: CellsSpec, places: Sequence[Place]) -> list[Place]:
    named = [{**one, "strategy": _strategy(one)} for one in places]
    found = [one for one, own in zip(places, named, strict=True)
             if all(_is_named(getattr(cells, name), own[name]) for name in NAMED)]  # fmt: skip
    if cells.labels is not None:
        extremes = _extremes(places)
        found = [one for one in found if _has_labels(cells, one, extremes[one["dataset"]])]
    if cells.keep:
        kept = sorted({one["keep"] for one in places if one["treatment"] not in ("", "base")})
        wanted = {number for depth in cells.keep for number in _numbers(depth, kept)}
        found = [one for one in found if one["treatment"] != "base" and one["keep"] in wanted]
    return found


def _is_named(patterns: tuple[str, ...], name: str) -> bool:
    """Brackets stand in labels, so that they are no pattern."""
    return not patterns or any(fnmatchcase(name, one.replace("[", "[[]")) for one in patterns)


def _extremes(places: Iterable[Place]) -> dict[str, tuple[float, float]]:
    """Fewest and most labels per class of each data set."""
    found: dict[str, tuple[float, float]] = {}
    for one in places:
        low, high = found.get(one["dataset"], (math.inf, 0.0))
        found[one["dataset"]] = min(low, one["labels_per_class"]), max(high, one["labels_per_class"])
    return found


def _has_labels(cells: CellsSpec, place: Place, extremes: tuple[float, float]) -> bool:
    if cells.labels == "full":
        return bool(place["budget"] == "full")
    assert cells.labels is not None, "asked where it is given"
    if cells.labels == "most" and extremes[0] == extremes[1]:
        return False  # one budget is not many labels
    named = {"fewest": extremes[0], "most": extremes[1]}
    wanted = named[cells.labels] if isinstance(cells.labels, str) else cells.labels
    return math.isclose(place["labels_per_class"], wanted * cells.times, rel_tol=SAME_LABELS)


def _numbers(depth: str | int, kept: list[int]) -> list[int]:
    if isinstance(depth, int):
        return [depth]
    return {"first": [1], "deepest": kept[-1:], "middle": [one for one in kept[:-1] if one > 1]}[depth]


def check_claims(loaded: LoadedSuite, cells: Sequence[Cell]) -> None:
    """Raises SuiteError for every claim that speaks of cells which the suite does not have, or of none but the same."""
    places = [place_of(cell) for cell in cells]
    problems = [line for number in range(len(loaded.suite.claims)) for line in _wrong(loaded, number, places)]
    if problems:
        raise SuiteError(problems)


def _wrong(loaded: LoadedSuite, number: int, places: Sequence[Place]) -> list[str]:
    claim = loaded.suite.claims[number]
    sides = sides_of(claim, places)
    empty = [(one.name, _cells(claim, one.name)) for one in sides if not one.terms]
    absent = [(name, cells) for name, cells in empty if not side(cells, claim.where, places)]
    if empty and not absent:
        name = f"{claim.name}: " if claim.name else ""
        return [loaded.problem(("claims", number), f"{name}its sides are the same cells, so that nothing is compared")]
    at = ("claims", number)
    return [loaded.problem((*at, *name.split(".")), _absent(claim, cells, places)) for name, cells in absent]


def _cells(claim: ClaimSpec, name: str) -> CellsSpec:
    found = getattr(claim.beyond if name.startswith("beyond") else claim, name.rpartition(".")[2])
    assert isinstance(found, CellsSpec), "a side has cells"
    return found


def _absent(claim: ClaimSpec, cells: CellsSpec, places: Sequence[Place]) -> str:
    asked, among = cells.model_dump(exclude_defaults=True), claim.where.model_dump(exclude_defaults=True)
    name = f"{claim.name}: " if claim.name else ""
    where = f" and, by its `where`, {_words(among)}" if among else ""
    has = "; ".join(f"{key}: {', '.join(known)}" for key in {**asked, **among} if (known := _known(key, places)))
    return f"{name}no cell of this suite has {_words(asked)}{where}{f'. There are {has}' if has else ''}"


def _words(asked: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_listed(value)}" for key, value in asked.items()) or "anything"


def _listed(value: Any) -> str:
    return " or ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _known(key: str, places: Sequence[Place]) -> list[str]:
    column = "budget" if key == "labels" else key
    if column == "times":
        return []
    return list(dict.fromkeys(str(one[column]) for one in places if one[column] != ""))[:12]
