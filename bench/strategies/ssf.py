"""A factor and a shift for each channel behind every operation of the network, and the head.

Paper: Lian et al., "Scaling & Shifting Your Features" (SSF), NeurIPS 2022.
People get wrong: calling it free. Nothing is added after training, since it can be folded into the weights; while
training every operation carries it. Another trap is the rate: the authors' scripts take AdamW from 1e-3 to 1e-2, far
above fine-tuning's rates, and the search begins there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.catalogue import Options
from bench.spec.parts import Adaptation
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import beside, nn


@dataclass(frozen=True, kw_only=True)
class ScaleAndShift(Adaptation):
    name: str = "ssf"

    def apply(self, module: nn.Module, body: Sequence[str]) -> None:
        """Behind linear layers, convolutions and norms."""
        for name, layer in [(name, module.get_submodule(name)) for name in body]:
            match layer:
                case nn.Linear():
                    beside.replace(module, name, beside.ScaledShifted(layer, layer.out_features, on_images=False))
                case _ if type(layer).__name__ == "Conv1D":  # a linear layer of GPT-2
                    num = int(layer.nf)  # type: ignore[arg-type]
                    beside.replace(module, name, beside.ScaledShifted(layer, num, on_images=False))
                case nn.Conv2d():
                    beside.replace(module, name, beside.ScaledShifted(layer, layer.out_channels, on_images=True))
                case nn.BatchNorm2d():
                    beside.replace(module, name, beside.ScaledShifted(layer, layer.num_features, on_images=True))
                case nn.LayerNorm():
                    on_images = type(layer).__name__.endswith("2d")  # timm's, over the channels of images
                    beside.replace(module, name, beside.ScaledShifted(layer, layer.normalized_shape[-1], on_images))


def build(options: Options, num_units: int) -> Recipe:
    rates = uniform([1.0] * num_units)
    return Recipe(phases=rates, tensors="added", statistics="kept", adapt=ScaleAndShift())


STRATEGY = StrategyEntry(
    name="ssf",
    summary="a factor and a shift behind every operation, and the head",
    paper="Lian et al. 2022, arXiv:2210.08823",
    build=build,
)
