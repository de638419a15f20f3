"""pydantic's complaints -> one line each for people. None of pydantic's own wording gets through."""

import typing
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bench.errors import nearest, unknown
from bench.suite.positions import Loc, Node, Problem, clip
from bench.suite.schema import Suite
from bench.suite.words import annotations, branches, choices, expected, got, is_section


def problems_of(error: ValidationError, file: Node, root: type[BaseModel] = Suite) -> list[Problem]:
    """Everything the schema refused, once each, with its place in the file. `root`: what the file should be."""
    details = error.errors(include_url=False, include_input=False)
    found: dict[tuple[Loc, str], Problem] = {}
    for detail in details:
        problem = _problem(detail, file, root)
        if problem is not None:
            found.setdefault((problem.loc, problem.text), problem)
    return list(found.values())


def _problem(detail: ErrorDetails, file: Node, root: type[BaseModel]) -> Problem | None:
    loc, annotation, beside = _locate(detail["loc"], file, root)
    node = file.nearest(loc)
    if detail["type"] == "extra_forbidden":
        return _unknown_key(loc, file, root)
    if detail["type"] == "missing":
        return _missing(loc, annotation, file, root)
    if detail["type"] == "value_error":
        return Problem(node.place, loc, str(detail["ctx"]["error"]))
    if detail["type"] == "too_short" and node.value:
        return None  # pydantic counts only the entries that passed
    if beside and isinstance(node.value, dict):
        return None  # a mapping was meant as the section that a union offers; that branch reports for itself
    return Problem(node.place, loc, f"expected {expected(annotation)}, got {got(node)}{_hint(annotation, node)}")


def _locate(parts: tuple[int | str, ...], file: Node, root: type[BaseModel]) -> tuple[Loc, Any, bool]:
    """pydantic's location -> ours, the type wanted there, and whether it ended in a plain branch beside a section.

    pydantic mixes names of union branches into its locations; walking the schema's types tells them from keys.
    """
    loc: Loc = ()
    here: Any = root
    for part in parts:
        options = branches(here)
        if len(options) > 1:
            section = next((o for o in options if is_section(o)), None)
            if section is None or part != section.__name__:
                return loc, here, section is not None
            if not isinstance(file.nearest(loc).value, dict):
                return loc, here, False
            here = section
            continue
        here, loc = _inside(options[0], part), (*loc, part)
    return loc, here, False


def _inside(annotation: Any, part: int | str) -> Any:
    if is_section(annotation):
        return annotations(annotation).get(str(part), Any)
    if typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    args = typing.get_args(annotation)
    if typing.get_origin(annotation) is dict:
        return args[1]
    return args[0] if args else Any


def _type_at(loc: Loc, root: type[BaseModel]) -> Any:
    """The type wanted at `loc`; of a union, its section."""
    here: Any = root
    for part in loc:
        here = next((o for o in branches(_inside(here, part)) if is_section(o)), branches(_inside(here, part))[0])
    return here


def _unknown_key(loc: Loc, file: Node, root: type[BaseModel]) -> Problem:
    *parent, key = loc
    section = file.nearest(parent)
    place = section.keys.get(str(key), section.place)
    known = annotations(_type_at(tuple(parent), root))
    return Problem(place, tuple(parent), unknown("key", clip(str(key)), known))


def _missing(loc: Loc, annotation: Any, file: Node, root: type[BaseModel]) -> Problem | None:
    *parent, key = loc
    section = file.nearest(parent)
    if isinstance(section.value, list):  # of a fixed length, and too short
        whole = _type_at(tuple(parent), root)
        return Problem(section.place, tuple(parent), f"expected {expected(whole)}, got {got(section)}")
    if isinstance(section.value, dict):
        known = annotations(_type_at(tuple(parent), root))
        strangers = [clip(k) for k in section.value if k not in known]
        if any(str(key) in nearest(k, known, 1) for k in strangers):
            return None  # misspelt, not missing: the unknown key's message says so
    place = section.keys.get(str(key), section.place)  # a key with nothing after it is missing at that key
    return Problem(place, loc, f"missing; expected {expected(annotation)}")


def _hint(annotation: Any, node: Node) -> str:
    if not isinstance(node.value, str):
        return ""
    if annotation is bool and node.value.lower() in ("no", "off", "yes", "on"):
        return f"; write {'true' if node.value.lower() in ('yes', 'on') else 'false'}"
    close = nearest(clip(node.value), choices(annotation), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
