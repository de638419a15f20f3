"""Learned tokens beside the image's, before the first block of a vision transformer or before each; and the head.

Paper: Jia et al., "Visual Prompt Tuning", ECCV 2022.
People get wrong: the rate. With SGD it needs rates far above fine-tuning's, so the recipe searches a hundred times
higher than other added modules; with AdamW, whose steps do not depend on the gradients' size, where these are searched.
Another trap: the paper's VTAB numbers are of images that were not normalised.
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
from bench.strategies.lazy import beside, nn, torch
from bench.strategies.targets import blocks


@dataclass(frozen=True, kw_only=True)
class Prompts(Adaptation):
    num: int
    deep: bool
    name: str = "vpt"
    needs: ClassVar[tuple[str, ...]] = ("a vision transformer",)

    def apply(self, module: nn.Module, body: Sequence[str]) -> None:
        names = blocks(module)
        dim = next(layer.in_features for layer in module.get_submodule(names[0]).modules()
                   if isinstance(layer, nn.Linear))  # fmt: skip
        stem = next(layer for layer in module.modules() if isinstance(layer, nn.Conv2d))
        bound = (6.0 / (stem.weight[0].numel() + dim)) ** 0.5
        for number, name in enumerate(names):
            first, last = number == 0, number == len(names) - 1
            prompts = torch.empty(1, self.num, dim).uniform_(-bound, bound) if self.deep or first else None
            block = beside.Prompted(module.get_submodule(name), prompts, self.num, leave=self.deep or last)
            beside.replace(module, name, block)


class VptOptions(Options):
    tokens: Annotated[int, Field(ge=1, le=200)] = 5
    """How many; the paper tries 1 to 200."""
    deep: bool = False
    """New ones before every block, instead of once before the first."""


def build(options: VptOptions, num_units: int) -> Recipe:
    adapt = Prompts(num=options.tokens, deep=options.deep)
    rates = uniform([1.0] * num_units)
    return Recipe(phases=rates, tensors="added", statistics="kept", adapt=adapt,
                  rate_scale=100.0, rate_scale_adamw=1.0)  # fmt: skip


STRATEGY = StrategyEntry(
    name="vpt",
    summary="learned tokens beside the image's in a vision transformer, and the head",
    paper="Jia et al. 2022, arXiv:2203.12119",
    build=build,
    options=VptOptions,
    needs=Prompts.needs,
    ranges={"tokens": spans.choices(1, 5, 10, 50, 100)},
)
