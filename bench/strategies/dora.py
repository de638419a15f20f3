"""LoRA for the direction of each row of a matrix, and its length as a number of its own.

Paper: Liu et al., "DoRA: Weight-Decomposed Low-Rank Adaptation", ICML 2024.
People get wrong: taking its gain for a gain of structure. It trains more numbers than LoRA of the same rank; records
count them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.strategies.parts import Adaptation
from bench.strategies.recipe import Recipe, StrategyEntry, uniform
from bench.strategies.targets import Targets, matrices

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class DecomposedUpdate(Adaptation):
    rank: int
    alpha: float
    targets: Targets
    name: str = "dora"

    def apply(self, module: "nn.Module", body: Sequence[str]) -> None:
        from bench.strategies.layers.weights import Decomposed, add_low_rank

        add_low_rank(module, matrices(module, body, self.targets), Decomposed, (self.rank, self.alpha))


class DecomposedUpdateOptions(Options):
    rank: Annotated[int, Field(ge=1, le=1024)] = 8
    """Rank of what is added to each matrix; 2 to 16 in the literature."""
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 8.0
    """What is added is multiplied by alpha / rank."""
    targets: Targets = "auto"
    """`attention`: the layers that make queries, keys and values; `all`: every linear layer and convolution; `auto`:
    the first where there are any."""


def build(options: DecomposedUpdateOptions, num_units: int) -> Recipe:
    adapt = DecomposedUpdate(rank=options.rank, alpha=options.alpha, targets=options.targets)
    return Recipe(phases=uniform([1.0] * num_units), tensors="added", statistics="kept", adapt=adapt)


STRATEGY = StrategyEntry(
    name="dora",
    summary="LoRA for directions, with lengths that learn by themselves, and the head",
    paper="Liu et al. 2024, arXiv:2402.09353",
    build=build,
    options=DecomposedUpdateOptions,
)
