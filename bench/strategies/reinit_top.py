"""Train everything from the pretrained weights, but let the last k units below the head begin anew.

Paper: Zhang et al., "Revisiting Few-sample BERT Fine-tuning", ICLR 2021; they try k from 1 to 6 of BERT's layers.
People get wrong: forgetting that the head is new in any case, and counting it. Here `units: 1` draws the unit below the
head anew, with all that belongs to it, such as a last norm; encoders have no pooler here. It is `transplant` with
`tune: true`, counted from the other end, and shares its trainings.
"""

from typing import Annotated, Literal

from pydantic import Field

from bench.catalogue import Options
from bench.spec.recipe import Recipe
from bench.strategies import transplant
from bench.strategies.entry import Axis, StrategyEntry


class ReinitTopOptions(Options):
    units: Annotated[int, Field(ge=1)] | Literal["all"] = 1
    """How many units below the head begin anew; `all` makes one strategy of each number 1 .. N-2 of N units."""


def expand(options: ReinitTopOptions, num_units: int) -> tuple[ReinitTopOptions, ...]:
    if options.units != "all":
        return (options,)
    return tuple(ReinitTopOptions(units=k) for k in range(1, num_units - 1))


def build(options: ReinitTopOptions, num_units: int) -> Recipe:
    return transplant.build(_kept(options, num_units), num_units)


def axis(options: ReinitTopOptions, num_units: int) -> Axis:
    return transplant.axis(_kept(options, num_units), num_units)


def _kept(options: ReinitTopOptions, num_units: int) -> transplant.TransplantOptions:
    assert options.units != "all", "expand() comes first"
    if options.units > num_units - 2:
        raise ValueError(f"units: {options.units} would keep nothing, which is `scratch`; this backbone has "
                         f"{num_units} units, so units is 1 .. {num_units - 2} or all")
    return transplant.TransplantOptions(keep=num_units - 1 - options.units, tune=True)


STRATEGY = StrategyEntry(
    name="reinit_top",
    summary="everything is trained, the last k units from fresh weights; `units: all` sweeps k",
    paper="Zhang et al. 2021, arXiv:2006.05987",
    build=build,
    options=ReinitTopOptions,
    expand=expand,
    axis=axis,
)
