"""`--set training.steps=50`: one value of the suite replaced before it is checked."""

import re

from bench.suite.positions import MAX_DEPTH, Loc, Node, Place, Problem, Unreadable, clip, read_tree, show_loc

_STEP = re.compile(r"\.?([^.\[\]=\s]+)|\[(\d{1,6})\]")


def apply_override(suite: Node, override: str) -> tuple[Node, list[Problem]]:
    """The suite with `override` in place, and what is wrong with the override."""
    place = Place(f"--set {clip(override, 200)}")
    path, equals, text = override.partition("=")
    loc = parse_loc(path)
    if not equals or not loc:
        return suite, [Problem(place, (), "expected KEY=VALUE, such as training.steps=50 or strategies[0]=scratch")]
    try:
        value, problems = read_tree(text, place)
        problems = [Problem(place, loc + problem.loc, problem.text) for problem in problems]
        return _put(suite, loc, value or Node(None, place), ()), problems
    except Unreadable as error:
        return suite, [error.problem]


def parse_loc(path: str) -> Loc:
    """`datasets[0].labels_per_class` -> ("datasets", 0, "labels_per_class"); () where that is not a path."""
    loc: list[str | int] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        # The first step has no dot before it; every other name has one.
        if match is None or (match[1] is not None and path[at].startswith(".") != bool(loc)):
            return ()
        loc.append(int(match[2]) if match[2] else match[1])
        at = match.end()
    return tuple(loc) if len(loc) <= MAX_DEPTH else ()


def _put(node: Node, loc: Loc, value: Node, done: Loc) -> Node:
    if not loc:
        return value
    part, rest = loc[0], loc[1:]
    here = show_loc(done) or "the suite"
    if isinstance(part, int):
        if not isinstance(node.value, list) or part >= len(node.value):
            size = f"has {len(node.value)} entries" if isinstance(node.value, list) else "is not a list"
            raise Unreadable(Problem(value.place, (), f"{here} {size}, so there is no [{part}]"))
        items = list(node.value)
        items[part] = _put(items[part], rest, value, (*done, part))
        return Node(items, node.place)
    if node.value is not None and not isinstance(node.value, dict):
        raise Unreadable(Problem(value.place, (), f"{here} has no keys, so there is no {part!r} in it"))
    below = (node.value or {}).get(part, Node(None, value.place))
    changed = _put(below, rest, value, (*done, part))
    return Node({**(node.value or {}), part: changed}, node.place, {**node.keys, part: value.place})
