"""Freeze the first k units and train the rest: one point of the layer-freeze sweep; `upto: all` is the whole sweep.

Paper: Yosinski et al., "How transferable are features in deep neural networks?", NeurIPS 2014.
People get wrong: counting k differently from table to table. Here `upto: 2` freezes units 0 (stem) and 1; `upto: 0` is
full fine-tuning and `upto: N-1` of N units is the linear probe, so those two share their trainings with the strategies
of that name.
"""

from typing import Annotated, Literal

from pydantic import Field

from bench.catalogue import Options
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import Axis, StrategyEntry


class FreezeOptions(Options):
    upto: Annotated[int, Field(ge=0)] | Literal["all"]
    """How many units stay frozen, counted from the stem; `all` makes one strategy per depth 1 .. N-1."""


def expand(options: FreezeOptions, num_units: int) -> tuple[FreezeOptions, ...]:
    if options.upto != "all":
        return (options,)
    return tuple(FreezeOptions(upto=k) for k in range(1, num_units))


def build(options: FreezeOptions, num_units: int) -> Recipe:
    assert options.upto != "all", "expand() comes first"
    if options.upto >= num_units:
        raise ValueError(f"upto: {options.upto} would freeze the head; this backbone has {num_units} units, "
                         f"so upto is 0 .. {num_units - 1} or all")
    return Recipe(phases=uniform(float(unit >= options.upto) for unit in range(num_units)))


def axis(options: FreezeOptions, num_units: int) -> Axis:
    assert options.upto != "all", "expand() comes first"
    return Axis("depth", options.upto)


STRATEGY = StrategyEntry(
    name="freeze",
    summary="the first k units stay frozen, the rest is trained; `upto: all` sweeps k",
    paper="Yosinski et al. 2014, arXiv:1411.1792",
    build=build,
    options=FreezeOptions,
    expand=expand,
    axis=axis,
)
