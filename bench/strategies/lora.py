"""Add a matrix of low rank to each matrix of attention, or to each convolution, and train that and the head.

Paper: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022.
People get wrong: leaving BatchNorm in training mode, whose statistics then move although nothing else does. They are
kept here. Queries, keys and values are one matrix in timm's transformers, so all three are adapted, not two. In
encoders of texts and sound the layers are peft's own, where peft puts them: beside queries and values. One matrix may
make keys as well (GPT-2's `c_attn`, ModernBERT's `Wqkv`), which are adapted along then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.spec import spans
from bench.spec.parts import Adaptation
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import encoders, nn, weights
from bench.strategies.targets import Targets, matrices


@dataclass(frozen=True, kw_only=True)
class LowRankUpdate(Adaptation):
    rank: int
    alpha: float
    targets: Targets
    name: str = "lora"

    def apply(self, module: nn.Module, body: Sequence[str]) -> None:
        encoder = encoders.encoder_of(module)
        if encoder is not None:
            encoders.add_low_rank(encoder, self.rank, self.alpha, self.targets, self.made() is weights.Decomposed)
            return
        weights.add_low_rank(module, matrices(module, body, self.targets), self.made(), (self.rank, self.alpha))

    def made(self) -> type[weights.LowRank]:
        return weights.LowRank


class LowRankOptions(Options):
    rank: Annotated[int, Field(ge=1, le=1024)] = 8
    """Rank of what is added to each matrix; 2 to 16 in the literature."""
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 8.0
    """What is added is multiplied by alpha / rank."""
    targets: Targets = "auto"
    """`attention`: the layers that make queries, keys and values; `all`: every linear layer and convolution, in
    encoders of texts and sound every linear layer; `auto`: the first where there are any, and in encoders queries and
    values, as peft does, with the keys where one matrix makes all three."""


def beside(adapt: LowRankUpdate, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units), tensors="added", statistics="kept", adapt=adapt)


def build(options: LowRankOptions, num_units: int) -> Recipe:
    return beside(LowRankUpdate(**options.model_dump()), num_units)


STRATEGY = StrategyEntry(
    name="lora",
    summary="matrices of low rank beside frozen ones, and the head",
    paper="Hu et al. 2022, arXiv:2106.09685",
    build=build,
    options=LowRankOptions,
    ranges={"rank": spans.choices(2, 4, 8, 16)},
)
