"""Train one unit of the network and the head, wherever the unit lies.

Paper: Lee et al., "Surgical Fine-Tuning Improves Adaptation to Distribution Shifts", ICLR 2023.
People get wrong: letting BatchNorm's statistics move in the units that are called frozen. The paper's network runs in
evaluation mode; so does it here.
"""

from typing import Annotated, Literal

from pydantic import Field

from bench.catalogue import Options
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry


class SurgicalOptions(Options):
    unit: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """Which unit, counted from the stem; `all` makes one strategy of each."""


def expand(options: SurgicalOptions, num_units: int) -> tuple[SurgicalOptions, ...]:
    return (options,) if options.unit != "all" else tuple(SurgicalOptions(unit=k) for k in range(num_units - 1))


def build(options: SurgicalOptions, num_units: int) -> Recipe:
    assert options.unit != "all", "expand() comes first"
    if options.unit >= num_units - 1:
        raise ValueError(f"unit: {options.unit} is no unit below the head; this backbone's are 0 .. {num_units - 2}")
    rates = (float(unit in (options.unit, num_units - 1)) for unit in range(num_units))
    return Recipe(phases=uniform(rates), statistics="kept")


STRATEGY = StrategyEntry(
    name="surgical",
    summary="one unit and the head are trained; `unit: all` tries each",
    paper="Lee et al. 2023, arXiv:2210.11466",
    build=build,
    options=SurgicalOptions,
    expand=expand,
)
