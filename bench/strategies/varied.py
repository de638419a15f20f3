"""Recipes of a strategy some of whose options are searched: read from a suite, checked, and made anew for each point.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench import strategies
from bench.catalogue import OptionProblems
from bench.spec.recipe import Phase, Recipe
from bench.spec.spans import Span, Varied, is_searched, read_span
from bench.strategies.entry import StrategyEntry


def split(entry: StrategyEntry, raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Span]]:
    """Options as they are written -> those with a value, and the spans of those that are searched. `{search: default}`
    instead of options searches all that the entry has ranges for. Raises OptionProblems."""
    if is_searched(raw):
        raw = {name: dict(raw) for name in entry.ranges} if raw["search"] == "default" else raw
        if not raw or is_searched(raw):
            text = f"strategy {entry.name!r}: search: expected 'default' and an entry with ranges to search"
            raise OptionProblems([("", f"{text}; it has {', '.join(entry.ranges) or 'none'}")])
    spans, problems = {}, []
    for name, value in raw.items():
        if is_searched(value) and name in entry.options.model_fields:
            is_whole = entry.options.model_fields[name].annotation is int
            try:
                spans[name] = read_span(value["search"], entry.ranges.get(name), is_whole)
            except ValueError as error:
                problems.append((name, f"option {name!r} of strategy {entry.name!r}: search: {error}"))
    if problems:
        raise OptionProblems(problems)
    return {name: value for name, value in raw.items() if name not in spans}, spans


def recipe_at(varied: Varied, base: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Of the strategy with these values. `base`: that of any point, for what planning says beside the options."""
    return replace(_built(varied, base, values), via=base.via)


def _built(varied: Varied, base: Recipe, values: Mapping[str, Any]) -> Recipe:
    entry = strategies.find(varied.strategy)
    options = entry.options.model_validate({**varied.options, **values})
    return replace(entry.build(options, base.num_units), stop_early=base.stop_early)


def why_not(varied: Varied, base: Recipe) -> list[tuple[str, str]]:
    """Options that cannot be searched, and why: the trials of a search differ in numbers, not in what trains when."""
    if base.solve is not None:
        text = "it computes its classifier, and what there is to choose is searched already"
        return [(name, text) for name, _ in varied.spans]
    wrong = []
    for name, span in varied.spans:
        shapes = [_shape(_built(varied, base, {**varied.middle, name: value})) for value in span.extremes]
        if any(shape != _shape(base) for shape in shapes):
            wrong.append((name, "it decides what trains, when or for how long; compare such values as strategies"))
    return wrong


def _shape(recipe: Recipe) -> tuple[Any, ...]:
    """All but strengths, sizes and rates."""
    phases = tuple(Phase(phase.share, tuple(float(rate > 0) for rate in phase.rates)) for phase in recipe.phases)
    parts = (recipe.adapt, recipe.penalty, recipe.tensor_rates, recipe.schedule)
    bare = replace(recipe, phases=phases, adapt=None, penalty=None, tensor_rates=None, schedule=None, average=1.0,
                   tensors="all")  # fmt: skip
    return (bare, recipe.tensors, *(type(part) for part in parts))
