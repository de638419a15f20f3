"""Learned keys and values beside those of the tokens, in every layer of an encoder of texts or sound; and the head.

Papers: Li & Liang, "Prefix-Tuning: Optimizing Continuous Prompts for Generation", ACL 2021; for classifiers Liu et al.,
"P-Tuning v2: Prompt Tuning Can Be Comparable to Fine-Tuning Universally Across Scales and Tasks", ACL 2022.
People get wrong: the places of the text. Given as a past, as peft does, prefixes move it up in the table of positions,
and the longest texts past its end; here it stays where it stood. Vectors are learned as they are, without the network
that Li & Liang make them by: P-tuning v2 found it to help here and harm there.
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
from bench.strategies.lazy import nn, prompts


@dataclass(frozen=True, kw_only=True)
class BesideKeys(Adaptation):
    tokens: int
    name: str = "prefix_tuning"
    needs: ClassVar[tuple[str, ...]] = ("an encoder of texts or sound",)

    def apply(self, module: nn.Module, body: Sequence[str]) -> None:
        prompts.add_prefixes(module, self.tokens)


class PrefixOptions(Options):
    tokens: Annotated[int, Field(ge=1, le=200)] = 10
    """How many keys and values in each layer; up to 20 for simple tasks, 100 for hard ones in P-tuning v2."""


def build(options: PrefixOptions, num_units: int) -> Recipe:
    adapt = BesideKeys(tokens=options.tokens)
    return Recipe(phases=uniform([1.0] * num_units), tensors="added", statistics="kept", adapt=adapt,
                  rate_scale=100.0, rate_scale_adamw=10.0)  # fmt: skip


STRATEGY = StrategyEntry(
    name="prefix_tuning",
    summary="learned keys and values in every layer of an encoder, and the head",
    paper="Li & Liang 2021, arXiv:2101.00190",
    build=build,
    options=PrefixOptions,
    needs=BesideKeys.needs,
    ranges={"tokens": spans.choices(1, 5, 10, 50)},
)
