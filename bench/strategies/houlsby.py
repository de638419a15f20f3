"""A bottleneck behind attention and one behind the MLP in every layer of an encoder of texts or sound, and the head.

Paper: Houlsby et al., "Parameter-Efficient Transfer Learning for NLP", ICML 2019.
People get wrong: the place. A bottleneck is given what attention or MLP puts out, and adds to it before the sum with
what came in. Its upper layer starts at 0, so the network starts as it was. Norms stay as they are here; the
paper trains them too.
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
from bench.strategies.lazy import encoders, nn


@dataclass(frozen=True, kw_only=True)
class BehindBoth(Adaptation):
    width: int
    name: str = "houlsby"
    needs: ClassVar[tuple[str, ...]] = ("an encoder of texts or sound",)

    def apply(self, module: nn.Module, body: Sequence[str]) -> None:
        if encoders.encoder_of(module) is None:
            raise NotApplicable("needs an encoder of texts or sound; `adapter` is for vision transformers")
        encoders.add_bottlenecks(module, self.width, self.where())

    def where(self) -> encoders.Where:
        return "both"


class BottleneckOptions(Options):
    width: Annotated[int, Field(ge=1)] = 64
    """Of each bottleneck; 8 to 256 in the literature."""


def added(adapt: BehindBoth, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units), tensors="added", statistics="kept", adapt=adapt)


def build(options: BottleneckOptions, num_units: int) -> Recipe:
    return added(BehindBoth(width=options.width), num_units)


STRATEGY = StrategyEntry(
    name="houlsby",
    summary="bottlenecks behind attention and MLP of an encoder's layers, and the head",
    paper="Houlsby et al. 2019, arXiv:1902.00751",
    build=build,
    options=BottleneckOptions,
    needs=BehindBoth.needs,
    ranges={"width": spans.choices(8, 32, 64)},
)
