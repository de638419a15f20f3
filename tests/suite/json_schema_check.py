"""As much of JSON Schema as the suite's schema uses, so that no dependency is needed. Unknown words are an error."""

import re
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "integer": lambda v: isinstance(v, int | float) and not isinstance(v, bool) and v == int(v),
}

# A word judges only values of its own type, as the standard says.
SIZES: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minLength": ("string", lambda v, n: len(v) >= n),
    "maxLength": ("string", lambda v, n: len(v) <= n),
    "pattern": ("string", lambda v, p: re.search(p, v) is not None),
    "minItems": ("array", lambda v, n: len(v) >= n),
    "maxItems": ("array", lambda v, n: len(v) <= n),
    "minProperties": ("object", lambda v, n: len(v) >= n),
    "maxProperties": ("object", lambda v, n: len(v) <= n),
    "required": ("object", lambda v, keys: all(k in v for k in keys)),
    "minimum": ("number", lambda v, n: v >= n),
    "maximum": ("number", lambda v, n: v <= n),
    "exclusiveMinimum": ("number", lambda v, n: v > n),
    "exclusiveMaximum": ("number", lambda v, n: v < n),
}
INERT = {"$schema", "$defs", "title", "description", "default"}


def accepts(schema: Json, value: Any) -> bool:
    return _holds(schema, value, schema)


def _holds(rule: Any, value: Any, root: Json) -> bool:
    if isinstance(rule, bool):
        return rule
    return all(_word(word, rule, value, root) for word in rule if word not in INERT)


def _word(word: str, rule: Json, value: Any, root: Json) -> bool:
    wanted = rule[word]
    if word in SIZES:
        kind, test = SIZES[word]
        return not TYPES[kind](value) or test(value, wanted)
    match word:
        case "$ref":
            return _holds(root["$defs"][wanted.removeprefix("#/$defs/")], value, root)
        case "type":
            return any(TYPES[kind](value) for kind in ([wanted] if isinstance(wanted, str) else wanted))
        case "anyOf":
            return any(_holds(option, value, root) for option in wanted)
        case "not":
            return not _holds(wanted, value, root)
        case "const":
            return bool(value == wanted)
        case "enum":
            return value in wanted
        case _:
            return _inside(word, rule, value, root)


def _inside(word: str, rule: Json, value: Any, root: Json) -> bool:
    wanted = rule[word]
    items = value if isinstance(value, list) else []
    keys = value if isinstance(value, dict) else {}
    match word:
        case "items":
            return all(_holds(wanted, item, root) for item in items[len(rule.get("prefixItems", ())) :])
        case "prefixItems":
            return all(_holds(one, item, root) for one, item in zip(wanted, items, strict=False))
        case "properties":
            return all(_holds(wanted[k], v, root) for k, v in keys.items() if k in wanted)
        case "additionalProperties":
            return all(_holds(wanted, v, root) for k, v in keys.items() if k not in rule.get("properties", ()))
        case "propertyNames":
            return all(_holds(wanted, k, root) for k in keys)
    raise AssertionError(f"a JSON Schema word this check does not know: {word}")
