"""What the schema's types cannot say about a suite: equal labels, budgets that stand twice, numbers inside options."""

import contextlib
import json
import math
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from bench.suite.positions import Loc, Node, Problem, clip
from bench.suite.schema import BackboneSpec, DatasetSpec, StrategySpec, head_text

_BUDGETS = ("labels_per_class", "fraction", "total")
Labelled = DatasetSpec | BackboneSpec | StrategySpec
_LABELLED: tuple[tuple[str, type[Labelled], str], ...] = (
    ("datasets", DatasetSpec, "give one of them another `label`"),
    ("backbones", BackboneSpec, "give one of them another `label`"),
    ("strategies", StrategySpec, "drop one, or give it other options or another name"),
)


def _label(spec: Labelled) -> str:
    """What surely tells two entries apart in tables. `planning/` knows more: defaults, what options expand to."""
    if isinstance(spec, DatasetSpec):
        return spec.label or f"{spec.name}{spec.classes.text if spec.classes else ''}"
    if isinstance(spec, BackboneSpec):
        taught = spec.pretrain
        origin = f"{taught.dataset}{taught.classes.text if taught.classes else ''}" if taught else spec.weights
        return spec.label or (spec.name if origin in (None, "hub") else f"{spec.name} ({origin})")
    if spec.recipe is not None:
        return spec.recipe.name
    given = {**spec.options, **({"stop_early": spec.stop_early.text} if spec.stop_early else {})}
    given |= {"head": head_text(spec.head)} if spec.head is not None else {}
    options = ", ".join(f"{key}={json.dumps(value, sort_keys=True)}" for key, value in sorted(given.items()))
    return f"{spec.name}({options})" if options else spec.name


def loose_numbers(node: Node, loc: Loc = (), inside: bool = False) -> Iterator[Problem]:
    """Infinity and NaN inside `options`, which the schema leaves to the strategy; no key could hold them."""
    if inside and isinstance(node.value, float) and not math.isfinite(node.value):
        yield Problem(node.place, loc, f"expected a finite number, got {node.value}")
    below: Any = node.value.items() if isinstance(node.value, dict) else ()
    below = enumerate(node.value) if isinstance(node.value, list) else below
    for part, child in below:
        yield from loose_numbers(child, (*loc, part), inside or part == "options")


def repeats(tree: Node) -> Iterator[Problem]:
    """Datasets, backbones and strategies whose labels collide, and label budgets that stand twice.

    Entries that are refused on their own are passed over, so that one mistake does not hide another.
    """
    for section, model, mend in _LABELLED:
        first: dict[str, int] = {}
        for index, spec in _valid(tree, section, model):
            name, here = _label(spec), tree.nearest((section, index)).place
            if name in first:
                there = f"{section}[{first[name]}] at {tree.nearest((section, first[name])).place}"
                yield Problem(here, (section, index), f"{clip(name)!r} stands twice, first as {there}; {mend}")
            first.setdefault(name, index)
            for budget in _BUDGETS if isinstance(spec, DatasetSpec) else ():
                yield from _twice(getattr(spec, budget), (section, index, budget), tree)


def _valid(tree: Node, section: str, model: type[Labelled]) -> Iterator[tuple[int, Labelled]]:
    entries = tree.child(section)
    for index, entry in enumerate(entries.value if entries and isinstance(entries.value, list) else ()):
        with contextlib.suppress(ValidationError):
            yield index, model.model_validate(entry.plain())


def _twice(values: tuple[Any, ...], loc: Loc, tree: Node) -> Iterator[Problem]:
    for at, value in enumerate(values):
        if value in values[:at]:
            first = tree.nearest((*loc, values.index(value))).place
            yield Problem(tree.nearest((*loc, at)).place, (*loc, at), f"{value} stands twice, first at {first}")
