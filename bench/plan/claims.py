"""Which cells a claim speaks of. `suite/claims_schema.py` says how they are named; `analysis/claims.py` decides."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from bench.errors import SuiteError
from bench.plan.plan import Cell, Role
from bench.suite.claims_schema import CellsSpec, ClaimSpec
from bench.suite.load import LoadedSuite

Place = Mapping[str, Any]  # of a cell, as columns of the finals name it
NAMED = ("dataset", "backbone", "strategy", "pair", "treatment")  # columns that patterns are held against
SAME_LABELS = 0.01  # relative: a set whose classes differ in size has a mean that is no whole number


@dataclass(frozen=True)
class Side:
    """The mean of some cells, which counts with a weight: 1 or -1."""

    name: str  # as the suite writes it: `more`, `less`, `beyond.more`
    weight: int
    places: list[Place]


def place_of(cell: Cell) -> Place:
    return {
        "dataset": cell.dataset,
        "budget": cell.budget.text,
        "labels_per_class": cell.num_labels / cell.num_classes,
        "backbone": cell.backbone,
        "strategy": cell.strategy,
        "right": cell.right,
        "pitfall": cell.pitfall,
        **asdict(cell.role or Role("", "", "", 0)),
    }


def sides_of(claim: ClaimSpec, places: Sequence[Place]) -> list[Side]:
    """`places`: of all cells of the suite."""
    looked_at = picked(claim.where, places)
    sides = [*_difference("", 1, (claim.more, claim.less), looked_at)]
    if claim.beyond is not None:
        sides += _difference("beyond.", -1, (claim.beyond.more, claim.beyond.less), looked_at)
    return sides


def _difference(
    name: str, weight: int, cells: tuple[CellsSpec, CellsSpec | None], places: Sequence[Place]
) -> Iterator[Side]:
    more = _side(cells[0], places)
    if cells[1] is None:
        yield Side(f"{name}more", weight, more)
        return
    less = _side(cells[1], places)
    of_mistakes = bool(cells[0].pitfall or cells[1].pitfall)
    if shared := {_task(one, of_mistakes) for one in more} & {_task(one, of_mistakes) for one in less}:
        more, less = ([one for one in side if _task(one, of_mistakes) in shared] for side in (more, less))
    yield Side(f"{name}more", weight, more)
    yield Side(f"{name}less", -weight, less)


def _side(cells: CellsSpec, places: Sequence[Place]) -> list[Place]:
    return [one for one in picked(cells, places) if bool(one["pitfall"]) == bool(cells.pitfall)]


def _task(place: Place, of_mistakes: bool) -> tuple[str, ...]:
    """Not every mistake can happen to every strategy, so that the right ones are those to which it can."""
    return place["dataset"], place["budget"], place["backbone"], _strategy(place) if of_mistakes else ""


def _strategy(place: Place) -> str:
    """Without the mistake that it makes."""
    return str(place["right"] or place["strategy"])


def picked(cells: CellsSpec, places: Sequence[Place]) -> list[Place]:
    named = [{**one, "strategy": _strategy(one)} for one in places]
    found = [one for one, own in zip(places, named, strict=True)
             if all(_is_named(getattr(cells, name), own[name]) for name in (*NAMED, "pitfall"))]  # fmt: skip
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
    named = {"fewest": extremes[0], "most": extremes[1]}
    wanted = named[cells.labels] if isinstance(cells.labels, str) else cells.labels
    return math.isclose(place["labels_per_class"], wanted * cells.times, rel_tol=SAME_LABELS)


def _numbers(depth: str | int, kept: list[int]) -> list[int]:
    if isinstance(depth, int):
        return [depth]
    return {"first": kept[:1], "deepest": kept[-1:], "middle": kept[1:-1]}[depth]


def check_claims(loaded: LoadedSuite, cells: Sequence[Cell]) -> None:
    """Raises SuiteError for every claim that speaks of cells which the suite does not have."""
    places = [place_of(cell) for cell in cells]
    problems = [
        loaded.problem(("claims", number, *side.name.split(".")), _absent(claim, side, places))
        for number, claim in enumerate(loaded.suite.claims)
        for side in sides_of(claim, places)
        if not side.places
    ]
    if problems:
        raise SuiteError(problems)


def _absent(claim: ClaimSpec, side: Side, places: Sequence[Place]) -> str:
    part = claim.beyond if side.name.startswith("beyond") else claim
    cells: CellsSpec = getattr(part, side.name.rpartition(".")[2])
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
