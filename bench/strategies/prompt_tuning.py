"""Learned vectors before a text's embedded tokens, body frozen, and the head.

Paper: Lester et al., "The Power of Scale for Parameter-Efficient Prompt Tuning", EMNLP 2021.
People get wrong: the start and the rate. Vectors begin as words of the network's own table, which the paper found far
better than noise, and learn at rates far above fine-tuning's (theirs is 0.3). Another trap: pooling over the learned
tokens too. Here they are seen by the text and then cut off.
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
class BeforeText(Adaptation):
    tokens: int
    name: str = "prompt_tuning"
    needs: ClassVar[tuple[str, ...]] = ("an encoder of texts",)

    def apply(self, module: nn.Module, body: Sequence[str]) -> None:
        prompts.add_prompts(module, self.tokens)


class PromptOptions(Options):
    tokens: Annotated[int, Field(ge=1, le=200)] = 20
    """How many; the paper tries 1 to 150 and gains little beyond 20."""


def build(options: PromptOptions, num_units: int) -> Recipe:
    adapt = BeforeText(tokens=options.tokens)
    return Recipe(phases=uniform([1.0] * num_units), tensors="added", statistics="kept", adapt=adapt,
                  rate_scale=100.0, rate_scale_adamw=10.0)  # fmt: skip


STRATEGY = StrategyEntry(
    name="prompt_tuning",
    summary="learned tokens before a text's, and the head",
    paper="Lester et al. 2021, arXiv:2104.08691",
    build=build,
    options=PromptOptions,
    needs=BeforeText.needs,
    ranges={"tokens": spans.choices(1, 5, 20, 100)},
)
