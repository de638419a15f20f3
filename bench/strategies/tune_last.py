"""Train the last k units below the head, and the head.

Paper: Yosinski et al., "How transferable are features in deep neural networks?", NeurIPS 2014; "partial-k" in
Jia et al. 2022.
People get wrong: counting the head as one of the k. Here it comes on top, so 0 is the linear probe.
"""

from typing import Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import Axis, StrategyEntry


class TuneLastOptions(Options):
    units: Annotated[int, Field(ge=0)] = 1
    """How many units below the head are trained; the suite's `units: fine` makes single blocks of them."""


def build(options: TuneLastOptions, num_units: int) -> Recipe:
    if options.units >= num_units:
        raise ValueError(f"units: {options.units} is more than there are below the head; this backbone has "
                         f"{num_units - 1}")
    return Recipe(phases=uniform(float(unit >= num_units - 1 - options.units) for unit in range(num_units)))


def axis(options: TuneLastOptions, num_units: int) -> Axis:
    return Axis("depth", num_units - 1 - options.units)


STRATEGY = StrategyEntry(
    name="tune_last",
    summary="the last k units and the head are trained",
    paper="Yosinski et al. 2014, arXiv:1411.1792",
    build=build,
    options=TuneLastOptions,
    axis=axis,
)
