"""A recipe written in the suite itself: names of units become numbers, and every unit must be claimed."""

from collections.abc import Mapping

from bench.spec.recipe import Phase, Recipe, Schedule, StopEarly
from bench.strategies.entry import Axis
from bench.suite.recipe_schema import RecipeSpec, StopSpec


def build_inline(spec: RecipeSpec, unit_names: tuple[str, ...]) -> Recipe:
    phases = tuple(Phase(share=p.share, rates=resolve_rates(p.rates, unit_names)) for p in spec.phases)
    own = Schedule(**spec.schedule.model_dump()) if spec.schedule is not None else None
    return Recipe(
        phases=phases, init=spec.init, reinit=spec.reinit, anneal=spec.anneal, rate_scale=spec.rate_scale,
        tensors=spec.tensors, statistics=spec.statistics, schedule=own, length=spec.length, decays=spec.decays,
        average=spec.average, stop_early=stops(spec.stop_early),
    )  # fmt: skip


def axis_inline(spec: RecipeSpec, num_units: int) -> Axis | None:
    if spec.axis is None or spec.stop_early is not None:
        return None
    if spec.axis.value >= num_units:
        raise ValueError(f"axis: a depth of {spec.axis.value} would freeze the head; this backbone has {num_units} "
                         f"units, so it is 0 .. {num_units - 1}")
    return Axis(spec.axis.name, spec.axis.value, spec.axis.kind)


def stops(spec: StopSpec | None) -> StopEarly | None:
    return StopEarly(spec.moments, spec.by) if spec is not None else None


def resolve_rates(rates: Mapping[str, float], unit_names: tuple[str, ...]) -> tuple[float, ...]:
    """One rate per unit. A unit that nobody claims is an error: freezing is said, never implied."""
    rest = rates.get("rest")
    resolved: list[float | None] = [rest] * len(unit_names)
    claimed: set[int] = set()
    for name, rate in rates.items():
        if name == "rest":
            continue
        unit = unit_number(name, unit_names)
        if unit in claimed:
            raise ValueError(f"rates: unit {unit} ({unit_names[unit]}) is named twice")
        claimed.add(unit)
        resolved[unit] = rate
    leftovers = [unit_names[unit] for unit, rate in enumerate(resolved) if rate is None]
    if leftovers:
        raise ValueError(f"rates: no rate for {', '.join(leftovers)}; name them, or add `rest` (0 freezes)")
    return tuple(float(rate) for rate in resolved if rate is not None)


def unit_number(name: str, unit_names: tuple[str, ...]) -> int:
    if name in unit_names:
        return unit_names.index(name)
    try:
        number = int(name)
    except ValueError:
        number = len(unit_names)
    if not -len(unit_names) <= number < len(unit_names):
        raise ValueError(f"rates: {name!r} is not a unit; this backbone has {', '.join(unit_names)} "
                         f"(0 .. {len(unit_names) - 1}, or -1 for the head)")
    return number % len(unit_names)
