"""A small bottleneck beside the MLP of every block of a vision transformer, and the head.

Paper: Chen et al., "AdaptFormer: Adapting Vision Transformers for Scalable Visual Recognition", NeurIPS 2022.
People get wrong: how the bottleneck starts. Its upper layer starts at 0, so the network starts as it was pretrained.
And where its output goes: straight to the sum, not through a LayerScale, whose factors may be as small as 1e-5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from bench.catalogue import Options
from bench.spec import spans
from bench.spec.parts import Adaptation
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import beside, nn
from bench.strategies.targets import blocks


@dataclass(frozen=True, kw_only=True)
class Bottlenecks(Adaptation):
    width: int
    scale: float
    name: str = "adapter"
    needs: ClassVar[tuple[str, ...]] = ("a vision transformer",)

    def apply(self, module: nn.Module, body: Sequence[str]) -> None:
        for name in blocks(module):
            mlp = module.get_submodule(f"{name}.mlp")
            first = next(layer for layer in mlp.modules() if isinstance(layer, nn.Linear))
            inner = nn.Sequential(mlp, taken_scale(module.get_submodule(name)))
            beside.replace(module, f"{name}.mlp", beside.Bottleneck(inner, first.in_features, self.width, self.scale))


def taken_scale(block: nn.Module) -> nn.Module:
    """What the block multiplies its MLP's output by, out of the block: LayerScale, or factors of its own."""
    scale = getattr(block, "ls2", None)
    if isinstance(scale, nn.Module):
        block.ls2 = nn.Identity()
        return scale
    factors = getattr(block, "gamma_2", None)
    if not isinstance(factors, nn.Parameter):
        return nn.Identity()
    del block.gamma_2
    block.register_buffer("gamma_2", factors.new_ones(()))  # the block multiplies by it still
    return beside.Scaled(factors)


class AdapterOptions(Options):
    width: Annotated[int, Field(ge=1)] = 64
    """Of the bottleneck; 8 to 64 in the literature."""
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1
    """Factor on what it puts out."""


def build(options: AdapterOptions, num_units: int) -> Recipe:
    adapt = Bottlenecks(width=options.width, scale=options.scale)
    return Recipe(phases=uniform([1.0] * num_units), tensors="added", statistics="kept", adapt=adapt)


STRATEGY = StrategyEntry(
    name="adapter",
    summary="a bottleneck beside each MLP of a vision transformer, and the head",
    paper="Chen et al. 2022, arXiv:2205.13535",
    build=build,
    options=AdapterOptions,
    needs=Bottlenecks.needs,
    ranges={"width": spans.choices(8, 32, 64)},
)
