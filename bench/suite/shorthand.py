"""The short forms a suite may be written in -> the full form of `schema.py`. `load.py` validates the result.

Works on positioned nodes, so that a message about `near` still points at `near`. Anything it does not recognise
passes through untouched and is refused by the schema.
"""

import difflib
from collections.abc import Callable

from bench.suite.positions import Node

_STRATEGY_KEYS = ("name", "options", "recipe")
_BESIDE = ("stop_early", "head")  # may stand beside a strategy's short form
_BUDGETS = ("labels_per_class", "fraction", "total")


def expand(suite: Node) -> Node:
    """Every short form spelled out. Expanding twice changes nothing, so overrides may bring short forms too."""
    suite = _each(suite, "datasets", _dataset)
    suite = _each(suite, "backbones", lambda backbone: _at(_named(backbone), "pretrain", _classes))
    suite = _each(suite, "strategies", lambda strategy: _at(_stops(_strategy(strategy)), "head", _head))
    suite = _each(suite, "claims", _named)
    suite = _at(suite, "head", _head)
    for key in ("lr", "weight_decay"):
        suite = _at(suite, "search", lambda search, key=key: _at(search, key, _range))  # type: ignore[misc]
    return suite


def _at(node: Node, key: str, change: Callable[[Node], Node]) -> Node:
    below = node.child(key) if isinstance(node.value, dict) else None
    return node if below is None else Node({**node.value, key: change(below)}, node.place, node.keys)


def _each(node: Node, key: str, change: Callable[[Node], Node]) -> Node:
    def whole(items: Node) -> Node:
        changed = [change(n) for n in items.value] if isinstance(items.value, list) else items.value
        return Node(changed, items.place, items.keys)

    return _at(node, key, whole)


def _mapping(place_of: Node, **values: Node) -> Node:
    return Node(values, place_of.place, {key: node.place for key, node in values.items()})


def _named(node: Node) -> Node:
    """`near` -> {name: near}"""
    return _mapping(node, name=node) if isinstance(node.value, str) else node


def _dataset(node: Node) -> Node:
    node = _named(node)
    for key in _BUDGETS:
        node = _at(node, key, _as_list)
    return _classes(node)


def _classes(node: Node) -> Node:
    """`classes: [cat, dog]` -> {names: [cat, dog]}"""
    return _at(node, "classes", lambda part: _mapping(part, names=part) if isinstance(part.value, list) else part)


def _as_list(node: Node) -> Node:
    """`labels_per_class: 5` -> [5]"""
    return node if node.value is None or isinstance(node.value, list) else Node([node], node.place)


def _range(node: Node) -> Node:
    """`[0.001, 1]` -> {low: 0.001, high: 1}"""
    if isinstance(node.value, list) and len(node.value) == 2:
        return _mapping(node, low=node.value[0], high=node.value[1])
    return node


def _head(node: Node) -> Node:
    """`zero` -> {start: zero}"""
    return _mapping(node, start=node) if isinstance(node.value, str) else node


def _stops(node: Node) -> Node:
    """`stop_early: 10` -> {moments: 10}, of a strategy and inside an inline recipe"""

    def moments(number: Node) -> Node:
        is_number = isinstance(number.value, int | float) and not isinstance(number.value, bool)
        return _mapping(number, moments=number) if is_number else number

    return _at(_at(node, "stop_early", moments), "recipe", lambda recipe: _at(recipe, "stop_early", moments))


def _strategy(node: Node) -> Node:
    """`{freeze: {upto: all}}` -> {name: freeze, options: {upto: all}}; `{recipe: {...}}` gets its name."""
    node = _named(node)
    if not isinstance(node.value, dict):
        return node
    beside = {key: value for key, value in node.value.items() if key in _BESIDE}
    rest = [(key, value) for key, value in node.value.items() if key not in _BESIDE]
    if len(rest) != 1:
        return node
    [(key, value)] = rest
    name = Node(key, node.keys[key])
    if key == "recipe":
        return _mapping(node, name=name, recipe=value, **beside)
    # `{nmae: scratch}` is a slip of the pen, not a strategy called nmae.
    slip = isinstance(value.value, str) and difflib.get_close_matches(key, _STRATEGY_KEYS, cutoff=0.75)
    if key in _STRATEGY_KEYS or slip:
        return node
    if value.value is None:
        return _mapping(node, name=name, **beside)
    return _mapping(node, name=name, options=value, **beside)
