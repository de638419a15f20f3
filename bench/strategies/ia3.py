"""Factors on keys, values and the MLP's hidden activations, or on every convolution's channels; and the head.

Paper: Liu et al., "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning", 2022.
People get wrong: giving it LoRA's rate. A handful of factors near 1 wants a far higher one; the search finds it if its
range reaches there. For networks without attention the paper says nothing: factors on channels are our reading. In
encoders of texts and sound the layers are peft's own, where peft puts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.catalogue import Options
from bench.errors import NotApplicable
from bench.spec.parts import Adaptation
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import beside, encoders, nn
from bench.strategies.targets import matrices


@dataclass(frozen=True, kw_only=True)
class Factors(Adaptation):
    name: str = "ia3"

    def apply(self, module: nn.Module, body: Sequence[str]) -> None:
        encoder = encoders.encoder_of(module)
        if encoder is not None:
            encoders.add_factors(encoder)
            return
        layers = {name: module.get_submodule(name) for name in body}
        found = matrices(module, body, "auto")
        attention = [name for name in found if name.endswith(".qkv")]
        for name, layer in layers.items():
            if name in attention and isinstance(layer, nn.Linear):
                num = layer.out_features
                beside.replace(module, name, beside.ScaledOutput(layer, num, skip=num // 3))
            elif attention and name.endswith(".mlp.fc2") and isinstance(layer, nn.Linear):
                beside.replace(module, name, beside.ScaledInput(layer))
            elif not attention and isinstance(layer, nn.Conv2d):
                beside.replace(module, name, beside.ScaledOutput(layer, layer.out_channels))
        if not any(isinstance(one, beside.ScaledInput | beside.ScaledOutput) for one in module.modules()):
            raise NotApplicable("this network has neither attention nor convolutions")


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units), tensors="added", statistics="kept", adapt=Factors())


STRATEGY = StrategyEntry(
    name="ia3",
    summary="factors on keys, values and hidden activations, and the head",
    paper="Liu et al. 2022, arXiv:2205.05638",
    build=build,
)
