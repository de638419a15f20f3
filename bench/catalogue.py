"""How a name in a suite becomes an entry: a literal dict of what is built in, then third parties' entry points.

The three catalogues are `bench/datasets`, `bench/backbones` and `bench/strategies`.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.errors import BenchError, nearest, unknown

Entry = TypeVar("Entry")


LATER: dict[str, Any] = {"later": True}  # `json_schema_extra` of an option that came after keys were given away


class Options(BaseModel):
    """What a suite may set on an entry. Subclass it; every field needs a default or is required of the suite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    def in_key(self, without: Sequence[str] = ()) -> dict[str, Any]:
        """As they stand in a key. One that is `LATER` and unset is left out, so that older keys hold."""
        unset = {name for name, field in type(self).model_fields.items()
                 if field.json_schema_extra == LATER and getattr(self, name) is None}  # fmt: skip
        return self.model_dump(mode="json", exclude={*unset, *without})


OptionsType = TypeVar("OptionsType", bound=Options)


# kind -> entry-point group, and the word for several
GROUPS = {"dataset": "datasets", "backbone": "backbones", "strategy": "strategies"}


class OptionProblems(ValueError):
    """All that is wrong with an entry's options; the suite loader adds where they stand."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems  # (option name, or "" for the whole; what is wrong with it)
        super().__init__("; ".join(text for _, text in problems))


def third_party(kind: str) -> dict[str, EntryPoint]:
    return _points(kind, tuple(sys.path))


@cache
def _points(kind: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Every name of a suite is looked up, and each look reads a file of every installed package on `path`."""
    return {point.name: point for point in entry_points(group=f"bench.{GROUPS[kind]}")}


def find(kind: str, built_in: Mapping[str, Entry], name: str) -> Entry:
    """The entry called `name`. A third party's code is imported only when its own name is asked for."""
    others = third_party(kind)
    if name in built_in:
        if name in others:
            raise BenchError(f"{kind} {name!r} is built in; the entry point {others[name].value!r} cannot replace it")
        return built_in[name]
    if name not in others:
        raise BenchError(unknown(kind, name, [*built_in, *others], listing=f"`python -m bench list {GROUPS[kind]}`"))
    point = others[name]
    try:
        entry = point.load()
    except Exception as error:
        raise BenchError(f"{kind} {name!r}: its entry point {point.value!r} does not load: {error}") from error
    expected = next((type(e) for e in built_in.values()), None)
    if expected is not None and not isinstance(entry, expected):
        raise BenchError(f"{kind} {name!r}: its entry point {point.value!r} is a {type(entry).__name__}, "
                         f"not a {expected.__name__}")
    return entry  # type: ignore[no-any-return]


def names(kind: str, built_in: Mapping[str, Any]) -> list[str]:
    return sorted({*built_in, *third_party(kind)})


def describe_options(model: type[Options]) -> str:
    """`factor: float = 2.6, upto: int or 'all', seed: int or null = null`: defaults as YAML has them."""
    parts = []
    for name, spec in model.model_fields.items():
        kind = type_text(spec.annotation)
        default = "" if spec.is_required() else f" = {yaml_text(spec.get_default(call_default_factory=True))}"
        parts.append(f"{name}: {kind}{default}")
    return ", ".join(parts) or "none"


def yaml_text(value: Any) -> str:
    """`null`, not None: as a person may write it in a suite."""
    return json.dumps(value, ensure_ascii=False)


def type_text(annotation: Any) -> str:
    """`int or 'all'`: as a person writes it in a suite."""
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " or ".join(map(repr, parts))
    if get_origin(annotation) is Annotated:
        return type_text(parts[0])
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(type_text(part) for part in parts)
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return f"{{{', '.join(annotation.model_fields)}}}"
    if get_origin(annotation) is list:
        return f"list[{type_text(parts[0])}]"
    return str(getattr(annotation, "__name__", annotation) if not parts else annotation).replace("NoneType", "null")


BOUNDS = {"gt": "> {:g}", "ge": ">= {:g}", "lt": "< {:g}", "le": "<= {:g}"}


def range_text(metadata: Sequence[Any]) -> str:
    """`> 0, <= 1`: what a field's annotation allows; "" where it says nothing."""
    found = {bound: getattr(one, bound) for one in metadata for bound in BOUNDS if hasattr(one, bound)}
    return ", ".join(text.format(found[bound]) for bound, text in BOUNDS.items() if bound in found)


def parse_options(owner: str, model: type[OptionsType], raw: Mapping[str, Any]) -> OptionsType:
    """Options with defaults filled, or `OptionProblems` naming every wrong one."""
    try:
        return model.model_validate(dict(raw))
    except ValidationError as error:
        raise OptionProblems([_explain(owner, model, e) for e in error.errors()]) from None


def _explain(owner: str, model: type[Options], error: Any) -> tuple[str, str]:
    name = str(error["loc"][0]) if error["loc"] else ""
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if len(error["loc"]) > 1 and isinstance(error["loc"][1], int):  # within a list
        place = name + "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in error["loc"][1:])
        came = f"got {error['input']!r}"
        wrong = {"missing": "is needed", "extra_forbidden": "is not known", "model_type": f"expected a mapping, {came}"}
        text = wrong.get(error["type"], f"expected {message}, {came}")
        known = [field for one in get_args(model.model_fields[name].annotation)
                 for field in getattr(one, "model_fields", ())]  # fmt: skip
        close = nearest(str(error["loc"][-1]), known, limit=1) if error["type"] == "extra_forbidden" else []
        return name, f"option {place!r} of {owner}: {text}" + (f"; did you mean {close[0]!r}?" if close else "")
    if error["type"] == "extra_forbidden":
        close = nearest(name, model.model_fields, limit=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return name, f"{owner} has no option {name!r}{hint} Its options: {describe_options(model)}"
    if error["type"] == "missing":
        return "", f"{owner} needs the option {name!r}. Its options: {describe_options(model)}"
    if error["type"] == "value_error":  # a rule of the entry's own, of one option or of several together
        which = f"option {name!r} of {owner}" if name else owner
        return name, f"{which}: {message}. Its options: {describe_options(model)}"
    return name, f"option {name!r} of {owner}: expected {message}, got {error['input']!r}. " \
                 f"Its options: {describe_options(model)}"
