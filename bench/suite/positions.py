"""YAML text -> a tree that remembers where everything stood. `shorthand.py` rewrites the tree next.

ruamel.yaml only splits the text into events; scalars are read here by YAML 1.2's core schema, so that `1e-3` is a
number, `no` is text and a date is text. Limits are checked while events arrive: a bomb is stopped, not measured.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

MAX_BYTES = 1 << 20
MAX_NODES = 100_000  # alias expansion counted: 306 bytes can stand for a billion nodes
MAX_DEPTH = 40  # a suite needs 7; the reader's time grows with the square of the depth

Loc = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, order=True)
class Place:
    """A spot in the file, counted from 1, or (line 0) an override as it was typed."""

    origin: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}:{self.column}" if self.line else self.origin


@dataclass(frozen=True)
class Node:
    """A scalar, a list of nodes or a dict of nodes, each with its place; mappings know their keys' places too."""

    value: Any
    place: Place
    keys: dict[str, Place] = field(default_factory=dict)

    def child(self, part: str | int) -> "Node | None":
        if isinstance(self.value, dict) and isinstance(part, str):
            return self.value.get(part)
        inside = isinstance(self.value, list) and isinstance(part, int) and 0 <= part < len(self.value)
        return self.value[part] if inside else None

    def nearest(self, loc: Sequence[str | int]) -> "Node":
        """The node at `loc`, or the deepest one on the way there."""
        node = self
        for part in loc:
            below = node.child(part)
            if below is None:
                break
            node = below
        return node

    def plain(self, sequence: type[list[Any]] | type[tuple[Any, ...]] = tuple) -> Any:
        """Plain Python values. Lists become tuples, as the schema has them, but stay lists inside `options`."""
        if isinstance(self.value, dict):
            return {k: n.plain(list if k == "options" else sequence) for k, n in self.value.items()}
        if isinstance(self.value, list):
            return sequence(n.plain(sequence) for n in self.value)
        return self.value


@dataclass(frozen=True)
class Problem:
    """One line of a SuiteError: where, which part of the suite, what is wrong with it."""

    place: Place
    loc: Loc
    text: str

    def __str__(self) -> str:
        path = show_loc(self.loc)
        # An override names its own path already.
        told = not self.place.line and self.place.origin.startswith(f"--set {path}")
        return f"{self.place}: {self.text}" if told or not path else f"{self.place}: {path}: {self.text}"

    @property
    def order(self) -> tuple[bool, Place]:
        return (self.place.line == 0, self.place)


class Unreadable(Exception):
    """The text cannot be made into a tree at all."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def show_loc(loc: Sequence[str | int]) -> str:
    """("strategies", 1, "options") -> "strategies[1].options"."""
    steps = (f"[{part}]" if isinstance(part, int) else f".{clip(part)}" for part in loc)
    return "".join(steps).removeprefix(".")


def clip(text: str, limit: int = 60) -> str:
    """Printable and short enough for one line of a terminal."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 3] + "..."


def read_tree(text: str, origin: Place) -> tuple[Node | None, list[Problem]]:
    """The tree of the text's one document (None where there is none), and what is wrong inside it.

    `origin` is the file's first spot, or the override the text came with.
    """
    reader = _Reader(origin)
    tree = reader.document(_events(text, reader))
    return tree, reader.problems


def _events(text: str, reader: "_Reader") -> Iterator[Any]:
    """ruamel's events; whatever it raises becomes one problem with a place."""
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        # The parser's own words may quote the file: they are kept to one short line.
        words = clip(" ".join(str(error.problem or error.context or "").split()), 200)
        place = reader.place(error.problem_mark or error.context_mark)
        if "'\\t'" in words:
            words = "a tab; YAML is indented by spaces alone"
        elif str(error.context).startswith("while parsing a flow") and reader.origin.line and error.context_mark:
            opened = "{" if "mapping" in str(error.context) else "["
            words += f"; the {opened!r} at {reader.place(error.context_mark)} may not be closed"
        raise Unreadable(Problem(place, (), f"not valid YAML: {words}")) from None
    except Exception as error:  # on hostile text ruamel also raises ReaderError, OverflowError, ValueError ...
        place = reader.at(text, getattr(error, "position", 0))
        raise Unreadable(Problem(place, (), "not valid YAML: a character that YAML does not allow")) from None


class _Reader:
    """Events -> nodes. One instance reads one text."""

    def __init__(self, origin: Place) -> None:
        self.origin = origin
        self.problems: list[Problem] = []
        # What an alias stands for, how many nodes that is and how deep they go.
        self.anchors: dict[str, tuple[Node, int, int]] = {}
        self.count = 0

    def place(self, mark: Any) -> Place:
        if not self.origin.line or mark is None:
            return self.origin
        return Place(self.origin.origin, mark.line + 1, mark.column + 1)

    def at(self, text: str, index: int) -> Place:
        if not self.origin.line:
            return self.origin
        before = text[:index]
        return Place(self.origin.origin, before.count("\n") + 1, len(before) - before.rfind("\n"))

    def document(self, events: Iterator[Any]) -> Node | None:
        tree: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "a second document starts here; a suite is one document in one file")
            elif not isinstance(event, StreamStartEvent | StreamEndEvent | DocumentEndEvent):
                tree = self._node(event, events, (), 1)
        return tree

    def _node(self, event: Any, events: Iterator[Any], loc: Loc, depth: int) -> Node:
        started = self.count
        self._spend(1, event)
        if depth > MAX_DEPTH:
            self._stop(event, f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        if event.tag is not None:
            self._note(event, loc, f"a suite uses no YAML tags, got {clip(str(event.tag))!r}")
        if isinstance(event, MappingStartEvent):
            node = self._mapping(event, events, loc, depth)
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(event, events, loc, depth)
        else:
            node = Node(self._scalar(event, loc), self.place(event.start_mark))
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, self.count - started, _height(node))
        return node

    def _alias(self, event: Any, depth: int) -> Node:
        # An anchor is known only once its node is complete, so a node cannot contain itself.
        if event.anchor not in self.anchors:
            self._stop(event, f"alias *{clip(str(event.anchor))} has no anchor before it")
        node, size, height = self.anchors[event.anchor]
        self._spend(size, event)
        if depth + height > MAX_DEPTH:
            self._stop(event, f"nested more than {MAX_DEPTH} deep")
        return Node(node.value, self.place(event.start_mark), node.keys)

    def _sequence(self, event: Any, events: Iterator[Any], loc: Loc, depth: int) -> Node:
        items: list[Node] = []
        for below in events:
            if isinstance(below, SequenceEndEvent):
                break
            items.append(self._node(below, events, (*loc, len(items)), depth + 1))
        return Node(items, self.place(event.start_mark))

    def _mapping(self, event: Any, events: Iterator[Any], loc: Loc, depth: int) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        for below in events:
            if isinstance(below, MappingEndEvent):
                break
            key = self._key(below, loc)
            value = self._node(next(events), events, (*loc, key), depth + 1)
            if key in keys:
                twice = f"key {clip(key)!r} stands twice, first at {keys[key]}"
                self.problems.append(Problem(self.place(below.start_mark), loc, twice))
            else:
                values[key], keys[key] = value, self.place(below.start_mark)
        return Node(values, self.place(event.start_mark), keys)

    def _key(self, event: Any, loc: Loc) -> str:
        """Keys are text as written: in `rates`, `-1:` means the unit "-1"."""
        self._spend(1, event)
        if not isinstance(event, ScalarEvent):
            self._stop(event, "a key must be plain text")
        if event.tag is not None:
            self._note(event, loc, f"a suite uses no YAML tags, got {clip(str(event.tag))!r}")
        return self._text(event, loc)

    def _text(self, event: Any, loc: Loc) -> str:
        text = str(event.value)
        if any("\ud800" <= c <= "\udfff" for c in text):
            self._note(event, loc, "half of a surrogate pair, which no file can hold")
            return "?"
        return text

    def _scalar(self, event: Any, loc: Loc) -> Any:
        text = self._text(event, loc)
        if event.style:  # quoted or a block
            return text
        value = read_scalar(text)
        if isinstance(value, int) and abs(value) >= 1 << 63:
            self._note(event, loc, f"a whole number beyond 64 bits: {clip(text)}")
            return 1
        return value

    def _spend(self, nodes: int, event: Any) -> None:
        self.count += nodes
        if self.count > MAX_NODES:
            self._stop(event, f"over {MAX_NODES:,} values, aliases expanded; a suite is a page of YAML")

    def _note(self, event: Any, loc: Loc, text: str) -> None:
        self.problems.append(Problem(self.place(event.start_mark), loc, text))

    def _stop(self, event: Any, text: str) -> None:
        raise Unreadable(Problem(self.place(event.start_mark), (), text))


def _height(node: Node) -> int:
    if isinstance(node.value, dict):
        return 1 + max(map(_height, node.value.values()), default=0)
    return 1 + max(map(_height, node.value), default=0) if isinstance(node.value, list) else 0


def read_scalar(text: str) -> Any:
    """A plain scalar by YAML 1.2's core schema. -0.0 becomes 0.0, since keys tell the two apart."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > 400:  # Python refuses to read whole numbers of more than 4300 digits; no setting needs 400
        return text
    if _INT.fullmatch(text):
        return int(text, 8 if text[:2] == "0o" else 16 if text[:2] == "0x" else 10)
    if _FLOAT.fullmatch(text):
        return float(text) + 0.0
    if match := _INF.fullmatch(text):
        return float(f"{match[1]}inf")
    return float("nan") if text in (".nan", ".NaN", ".NAN") else text
