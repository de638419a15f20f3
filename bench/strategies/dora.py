"""LoRA for the direction of each row of a matrix, and its length as a number of its own.

Paper: Liu et al., "DoRA: Weight-Decomposed Low-Rank Adaptation", ICML 2024.
People get wrong: taking its gain for a gain of structure. It trains more numbers than LoRA of the same rank; records
count them.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.spec import spans
from bench.spec.recipe import Recipe
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import weights
from bench.strategies.lora import LowRankOptions, LowRankUpdate, beside


@dataclass(frozen=True, kw_only=True)
class DecomposedUpdate(LowRankUpdate):
    name: str = "dora"

    def made(self) -> type[weights.LowRank]:
        return weights.Decomposed


def build(options: LowRankOptions, num_units: int) -> Recipe:
    return beside(DecomposedUpdate(**options.model_dump()), num_units)


STRATEGY = StrategyEntry(
    name="dora",
    summary="LoRA for directions, with lengths that learn by themselves, and the head",
    paper="Liu et al. 2024, arXiv:2402.09353",
    build=build,
    options=LowRankOptions,
    ranges={"rank": spans.choices(2, 4, 8, 16)},
)
