"""The schema's types in plain words: what a message says was expected, what the reference prints as a type."""

import functools
import types
import typing
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bench.suite import schema
from bench.suite.positions import Node, clip
from bench.suite.search_schema import Range

# Sections that a suite may also write in a short form.
_SHORT: dict[type[BaseModel], str] = {
    schema.DatasetSpec: "a dataset: its name, or {name: ..., labels_per_class: [...]}",
    schema.BackboneSpec: "a backbone: its name, or {name: ..., pretrain: ...}",
    schema.StrategySpec: "a strategy: its name, {name: {option: value}} or {recipe: {...}}",
    schema.HeadSpec: "a head: 'zero', 'small', 'architecture' or {mlp: ...}",
    Range: "a range [low, high] of finite numbers above 0",
}


@functools.cache
def annotations(model: type[BaseModel]) -> dict[str, Any]:
    """Each field's full annotation, in the order of the schema; pydantic's own table has lost the constraints."""
    hints = typing.get_type_hints(model, include_extras=True)
    return {name: hints[name] for name in model.model_fields}


def is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def branches(annotation: Any) -> list[Any]:
    """The alternatives of a union without None; one for everything else."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return [a for a in typing.get_args(annotation) if a is not type(None)]
    return [annotation]


def item(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The section that stands at a key, if any, and whether it stands there as the entry of a list."""
    for option in branches(annotation):
        base = typing.get_args(option)[0] if typing.get_origin(option) is Annotated else option
        if is_section(base):
            return base, False
        if typing.get_origin(base) is tuple and is_section(typing.get_args(base)[0]):
            return typing.get_args(base)[0], True
    return None, False


def expected(annotation: Any) -> str:
    """`Annotated[int, Field(gt=0)]` -> "a whole number above 0"."""
    options = branches(annotation)
    if len(options) > 1:
        return _alternatives([word for option in options for word in _words(option)])
    base, bounds = options[0], {}
    if typing.get_origin(base) is Annotated:
        base, *extras = typing.get_args(base)
        bounds = _bounds(extras)
    origin, args = typing.get_origin(base), typing.get_args(base)
    if origin is Literal:
        return _alternatives(_words(base))
    if origin is tuple:
        return _list_words(args, "min_length" in bounds)
    if origin is dict:
        return "a mapping" if args[1] is Any else f"a mapping, each value {expected(args[1])}"
    if is_section(base):
        return _SHORT.get(base, f"a mapping with {', '.join(annotations(base))}")
    return _scalar_words(base, bounds)


def _words(annotation: Any) -> list[str]:
    """A choice's words one by one, so that they join a longer list."""
    if typing.get_origin(annotation) is Literal:
        return [repr(a) for a in typing.get_args(annotation)]
    return [expected(annotation)]


def _alternatives(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _list_words(args: tuple[Any, ...], least: bool) -> str:
    length = "a list" if args[-1] is Ellipsis else f"a list of {len(args)}"
    return f"{length}{' with at least one entry' if least else ''}, each {expected(args[0])}"


def _bounds(extras: list[Any]) -> dict[str, Any]:
    """{"gt": 0, "le": 1} from what stands beside a type in `Annotated`."""
    bounds: dict[str, Any] = {}
    for extra in extras:
        for limit in extra.metadata if isinstance(extra, FieldInfo) else ():
            for name in ("gt", "ge", "lt", "le", "min_length", "max_length", "pattern"):
                if getattr(limit, name, None) is not None:
                    bounds[name] = getattr(limit, name)
    return bounds


def _scalar_words(base: Any, bounds: dict[str, Any]) -> str:
    if base is bool:
        return "true or false"
    if base is str:
        if "pattern" in bounds:
            return "letters, digits, '_', '.' and '-', 100 at most, a letter or digit first"
        return f"text of 1 to {bounds['max_length']} characters" if "max_length" in bounds else "text"
    if base not in (int, float):
        return "anything"
    noun = "a whole number" if base is int else "a finite number"
    lower = f"above {bounds['gt']}" if "gt" in bounds else f"at least {bounds['ge']}" if "ge" in bounds else ""
    upper = f"below {bounds['lt']}" if "lt" in bounds else f"at most {bounds['le']}" if "le" in bounds else ""
    return " ".join([noun, " and ".join(limit for limit in (lower, upper) if limit)]).strip()


def choices(annotation: Any) -> list[str]:
    """The words a setting may be, for a near-name hint."""
    found: list[str] = []
    for branch in branches(annotation):
        found += [str(a) for a in typing.get_args(branch)] if typing.get_origin(branch) is Literal else []
    return found


def got(node: Node) -> str:
    """What stands in the file: `'20' (text)`, `-1`, `a list of 3`."""
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{clip(value)}' (text)"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, dict):
        return f"a mapping with {clip(', '.join(value))}" if value else "an empty mapping"
    return str(value)
