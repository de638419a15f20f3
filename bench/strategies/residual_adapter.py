"""A 1x1 convolution beside every larger one, BatchNorm, and the head: adapters for convolutional networks.

Paper: Rebuffi, Bilen, Vedaldi, "Efficient parametrization of multi-domain deep neural networks", CVPR 2018 (parallel).
People get wrong: keeping BatchNorm as the source left it. Every domain has its own, so its factors, shifts and
statistics learn here too. They count among the parameters that learn, not among those that were added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench.catalogue import Options
from bench.errors import NotApplicable
from bench.spec.parts import Adaptation
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import beside, nn


@dataclass(frozen=True, kw_only=True)
class ParallelConvolutions(Adaptation):
    name: str = "residual_adapter"
    needs: ClassVar[tuple[str, ...]] = ("convolutions of 3x3 or more",)

    def apply(self, module: nn.Module, body: Sequence[str]) -> None:
        large = {
            name: layer
            for name in body
            if isinstance(layer := module.get_submodule(name), nn.Conv2d)
            # A kernel of k with padding (k - 1) / 2 puts out as many places as one of 1 does.
            and all(k > 1 and p == (k - 1) // 2 for k, p in zip(layer.kernel_size, layer.padding, strict=False))
        }
        found = {name: layer for name, layer in large.items() if layer.groups == 1}
        if 2 * len(found) <= len(large):  # a stem alone is no network of adapters
            raise NotApplicable("this network has no convolution of 3x3 or more to stand beside, or most are grouped")
        for name, layer in found.items():
            beside.replace(module, name, beside.Pointwise(layer))


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units), tensors="added_and_norms", adapt=ParallelConvolutions())


STRATEGY = StrategyEntry(
    name="residual_adapter",
    summary="a 1x1 convolution beside each larger one, normalisation layers and the head",
    paper="Rebuffi et al. 2018, arXiv:1803.10082",
    build=build,
    needs=ParallelConvolutions.needs,
)
