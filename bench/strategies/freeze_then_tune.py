"""fastai's `fine_tune`: the head for a while, then everything at half the rate, from a hundredth of it at the stem.

Paper: Howard, Gugger, "fastai: A Layered API for Deep Learning", Information 2020.
People get wrong: forgetting that each part is a cycle of its own (up over 30 % of it from a fifth, then down), and that
the rate is halved between them.
"""

from typing import Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.spec.recipe import Phase, Recipe, Schedule
from bench.strategies.entry import StrategyEntry


class FreezeThenTuneOptions(Options):
    frozen: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the step budget for the head alone; fastai's is one epoch."""
    spread: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 100.0
    """How many times lower the stem's rate is than the head's afterwards; between them it rises evenly."""


def build(options: FreezeThenTuneOptions, num_units: int) -> Recipe:
    top = num_units - 1
    rates = tuple(0.5 * options.spread ** ((unit - top) / max(1, top)) for unit in range(num_units))
    head = Phase(options.frozen, (0.0,) * top + (1.0,))
    return Recipe(
        phases=(head, Phase(1 - options.frozen, rates)),
        anneal="each_phase",
        schedule=Schedule(rise=0.3, start=0.2, end=1e-5, shape="cosine"),
    )


STRATEGY = StrategyEntry(
    name="freeze_then_tune",
    summary="fastai's fine_tune: the head, then everything with rates spread over the units, in one cycle each",
    paper="Howard & Gugger 2020, arXiv:2002.04688",
    build=build,
    options=FreezeThenTuneOptions,
)
