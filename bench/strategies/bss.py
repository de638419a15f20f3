"""Fine-tuning that pushes the smallest singular values of each batch's features down.

Paper: Chen et al., "Catastrophic Forgetting Meets Negative Transfer: Batch Spectral Shrinkage", NeurIPS 2019.
People get wrong: forgetting that it depends on the batch: with more features than images, only as many singular values
exist as there are images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from bench.catalogue import Options
from bench.spec import spans
from bench.spec.parts import Penalty, Setting, Step, Term
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import torch


@dataclass(frozen=True, kw_only=True)
class SpectralShrinkage(Penalty):
    """eta * the sum of the squares of the k smallest singular values."""

    eta: float
    k: int
    name: str = "bss"
    reads: ClassVar = "features"

    def begin(self, setting: Setting) -> Term:
        return Term()

    def loss(self, term: Term, step: Step) -> torch.Tensor:
        if not bool(step.features.isfinite().all()):
            return step.loss  # which is not finite either, and says so
        smallest = torch.linalg.svdvals(step.features)[-self.k :]
        total: torch.Tensor = step.loss + self.eta * smallest.square().sum()
        return total


class BssOptions(Options):
    eta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.001
    """Strength; 1e-5 to 1e-1 in the literature."""
    k: Annotated[int, Field(ge=1)] = 1
    """How many singular values."""


def build(options: BssOptions, num_units: int) -> Recipe:
    penalty = SpectralShrinkage(eta=options.eta, k=options.k)
    return Recipe(phases=uniform([1.0] * num_units), penalty=penalty)


STRATEGY = StrategyEntry(
    name="bss",
    summary="fine-tuning that shrinks the smallest singular values of a batch's features",
    paper="Chen et al. 2019, NeurIPS",
    build=build,
    options=BssOptions,
    ranges={"eta": spans.log(1e-5, 0.1)},
)
