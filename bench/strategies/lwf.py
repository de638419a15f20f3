"""Fine-tuning that keeps answering the pretraining's question about the new images as the pretrained network did.

Paper: Li, Hoiem, "Learning without Forgetting", ECCV 2016.
People get wrong: keeping the old head as it was. It learns along, as in the paper. There is no factor T^2, as in
Jiang et al.'s library; whoever adds it must divide the weight by 9.
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
from bench.strategies.lazy import F, torch


@dataclass(frozen=True, kw_only=True)
class OldAnswers(Penalty):
    """weight * KL(old answers || present ones), both softened by the temperature."""

    weight: float
    temperature: float
    name: str = "lwf"
    needs: ClassVar[tuple[str, ...]] = ("the source head",)
    reads: ClassVar = "images"
    passes: ClassVar[float] = 1.0

    def begin(self, setting: Setting) -> Term:
        source = setting.source()
        return Term(source.network.module, source.own_head(), is_source_head=True)

    def loss(self, term: Term, step: Step) -> torch.Tensor:
        assert term.modules is not None
        with torch.no_grad():
            before = term.kept(step.inputs)
        return step.loss + self.weight * softened(term.modules(step.features), before, self.temperature)


def softened(now: torch.Tensor, before: torch.Tensor, temperature: float) -> torch.Tensor:
    return F.kl_div(
        F.log_softmax(now / temperature, 1), F.log_softmax(before / temperature, 1), reduction="batchmean",
        log_target=True,
    )  # fmt: skip


class LwfOptions(Options):
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 4.0
    """Of the old question; .1 to 10 in the literature."""
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3.0
    """Softens both answers."""


def build(options: LwfOptions, num_units: int) -> Recipe:
    penalty = OldAnswers(weight=options.weight, temperature=options.temperature)
    return Recipe(phases=uniform([1.0] * num_units), penalty=penalty)


STRATEGY = StrategyEntry(
    name="lwf",
    summary="fine-tuning that keeps giving the pretrained network's answers to its old question",
    paper="Li & Hoiem 2016, arXiv:1606.09282",
    build=build,
    options=LwfOptions,
    needs=OldAnswers.needs,
    ranges={"weight": spans.log(0.1, 10.0)},
)
