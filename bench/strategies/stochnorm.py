"""Fine-tuning in which a coin decides, channel by channel, between the batch's statistics and the running ones.

Paper: Kou et al., "Stochastic Normalization", NeurIPS 2020.
People get wrong: which statistics the second branch uses. They are the running ones as they were before this batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from bench.catalogue import Options
from bench.errors import NotApplicable
from bench.spec import spans
from bench.spec.parts import Adaptation
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import nn, stochastic_norm


@dataclass(frozen=True, kw_only=True)
class StochasticNorms(Adaptation):
    share: float
    name: str = "stochnorm"
    needs: ClassVar[tuple[str, ...]] = ("BatchNorm",)
    draws: ClassVar[bool] = True

    def apply(self, module: nn.Module, body: Sequence[str]) -> None:
        found = [layer for name in body if type(layer := module.get_submodule(name)) in stochastic_norm.KINDS]
        if not found:
            raise NotApplicable("this network has no BatchNorm")
        for layer in found:
            layer.__class__ = stochastic_norm.KINDS[type(layer)]  # the same tensors, another forward
            layer.share = self.share  # type: ignore[assignment]


class StochNormOptions(Options):
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of channels that take the running statistics; .25 to .75 in the paper."""


def build(options: StochNormOptions, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units), adapt=StochasticNorms(share=options.share))


STRATEGY = StrategyEntry(
    name="stochnorm",
    summary="everything is trained; BatchNorm mixes the batch's statistics with the running ones at random",
    paper="Kou et al. 2020, NeurIPS",
    build=build,
    options=StochNormOptions,
    needs=StochasticNorms.needs,
    ranges={"share": spans.choices(0.25, 0.5, 0.75)},
)
