"""Train everything with BatchNorm as it was pretrained: its running statistics are used, and do not move.

Paper: Kumar et al., "Fine-Tuning can Distort Pretrained Features", ICLR 2022, whose code trains so.
People get wrong: believing that `requires_grad = False` does it. The statistics are no parameters; only evaluation mode
keeps them.
"""

from typing import Literal

from bench.catalogue import Options
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry
from bench.strategies.required import RequiresBatchNorm


class BnFrozenOptions(Options):
    affine: Literal["trained", "frozen"] = "trained"
    """Whether BatchNorm's factors and shifts learn."""


def build(options: BnFrozenOptions, num_units: int) -> Recipe:
    return Recipe(
        phases=uniform([1.0] * num_units),
        statistics="kept",
        tensors="all" if options.affine == "trained" else "but_norms",
        adapt=RequiresBatchNorm(),
    )


STRATEGY = StrategyEntry(
    name="bn_frozen",
    summary="everything is trained but BatchNorm's statistics",
    paper="Kumar et al. 2022, arXiv:2202.10054",
    build=build,
    options=BnFrozenOptions,
    needs=RequiresBatchNorm.needs,
)
