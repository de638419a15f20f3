"""Fine-tuning with a second target: the old head shall say of an image what it said of its class on average.

Paper: You et al., "Co-Tuning for Transfer Learning", NeurIPS 2020 (direct way).
People get wrong: counting validation images into that average. It is taken over the images that this training learns
from.
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
class Relationship(Penalty):
    """weight * cross entropy of the old head's answer against the mean answer for the image's class."""

    weight: float
    name: str = "co_tuning"
    needs: ClassVar[tuple[str, ...]] = ("the source head",)
    reads: ClassVar = "features"

    def begin(self, setting: Setting) -> Term:
        source = setting.source()
        with torch.no_grad():
            found = [(torch.softmax(source.network.module(x), 1), y) for x, y in setting.batches(rest=True)]
        answers, labels = (torch.cat(part) for part in zip(*found, strict=True))
        return Term(means_by_class(answers, labels), source.own_head(), is_source_head=True)

    def loss(self, term: Term, step: Step) -> torch.Tensor:
        assert term.modules is not None
        return step.loss + self.weight * F.cross_entropy(term.modules(step.features), term.kept[step.labels])


def means_by_class(answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """[n, S] and [n] -> [C, S]; a class without images has zeros, and never asks."""
    member = F.one_hot(labels).to(answers.dtype)
    return member.T @ answers / member.sum(0).clamp_min(1)[:, None]


class CoTuningOptions(Options):
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.3
    """Of the second target; .1 to 10 in the literature."""


def build(options: CoTuningOptions, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units), penalty=Relationship(weight=options.weight))


STRATEGY = StrategyEntry(
    name="co_tuning",
    summary="fine-tuning in which the old head learns along, toward its mean answer for each class",
    paper="You et al. 2020, NeurIPS",
    build=build,
    options=CoTuningOptions,
    needs=Relationship.needs,
    ranges={"weight": spans.log(0.1, 10.0)},
)
