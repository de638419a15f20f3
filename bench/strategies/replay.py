"""Fine-tuning on new images and, in every step, on some of those that the backbone was pretrained on.

Paper: Rebuffi et al., "iCaRL", CVPR 2017, for rehearsal; here with all source images at hand.
People get wrong: running both through BatchNorm in training mode, whose statistics then belong to neither. Source
images go through the network as in evaluation.
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
from bench.strategies.lazy import F, capture, torch


@dataclass(frozen=True, kw_only=True)
class Rehearsal(Penalty):
    """(1 - share) * the new loss + share * the old one."""

    share: float
    name: str = "replay"
    needs: ClassVar[tuple[str, ...]] = ("the source head", "source data")
    reads: ClassVar = "images"
    passes: ClassVar[float] = 3.0

    def begin(self, setting: Setting) -> Term:
        setting.source_images()
        return Term((setting, setting.generator("replay")), setting.source().own_head(), is_source_head=True)

    def loss(self, term: Term, step: Step) -> torch.Tensor:
        assert term.modules is not None
        setting, draw = term.kept
        images, labels = setting.batch(setting.source_images(), draw)
        with capture.in_eval_mode(step.network.module), capture.watched(step.network) as seen:
            step.network.module(images)
        old = F.cross_entropy(term.modules(seen.features[0]), labels)
        return (1 - self.share) * step.loss + self.share * old


class ReplayOptions(Options):
    share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Of the old loss; .05 to .5."""


def build(options: ReplayOptions, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units), penalty=Rehearsal(share=options.share))


STRATEGY = StrategyEntry(
    name="replay",
    summary="fine-tuning on new images with source images mixed in",
    paper="Rebuffi et al. 2017, arXiv:1611.07725",
    build=build,
    options=ReplayOptions,
    needs=Rehearsal.needs,
    ranges={"share": spans.linear(0.05, 0.5)},
)
