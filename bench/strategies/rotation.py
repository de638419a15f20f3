"""First learn to tell how images of the target were turned, without any label; then fine-tune.

Paper: Gidaris, Singh, Komodakis, "Unsupervised Representation Learning by Predicting Image Rotations", ICLR 2018.
People get wrong: giving the second stage its own budget. Both come out of one; and images of the test split have no
place in the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from bench.catalogue import Options
from bench.errors import NotApplicable
from bench.spec.parts import Penalty, Setting, Step, Term
from bench.spec.recipe import Phase, Recipe
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import F, capture, nn, torch

TURNS = 4


@dataclass(frozen=True, kw_only=True)
class Turned(Penalty):
    """In the first phase the labels count nothing; afterwards nothing else does."""

    name: str = "rotation"
    reads: ClassVar = "images"
    passes: ClassVar[float] = 3.0

    def passes_in(self, phase: int) -> float:
        return self.passes if phase == 0 else 0.0

    def begin(self, setting: Setting) -> Term:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            head = nn.Linear(capture.classifier_of(setting.network).in_features, TURNS)
        return Term((setting, setting.generator("rotation")), head.to(setting.images.device))

    def loss(self, term: Term, step: Step) -> torch.Tensor:
        if step.phase > 0:
            return step.loss
        assert term.modules is not None
        setting, draw = term.kept
        images, _ = setting.batch(setting.unlabelled, draw)
        if images.ndim != 4:
            raise NotApplicable("turns pictures, and these examples are none")
        turns = torch.randint(TURNS, (len(images),), generator=draw)
        turned = torch.stack([image.rot90(int(turn), (1, 2)) for image, turn in zip(images, turns, strict=True)])
        with capture.watched(step.network) as seen:
            step.network.module(turned.contiguous(memory_format=torch.channels_last))
        return F.cross_entropy(term.modules(seen.features[0]), turns.to(images.device)) + 0 * step.loss


class RotationOptions(Options):
    share: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Of the step budget, for turned images."""


def build(options: RotationOptions, num_units: int) -> Recipe:
    everything = (1.0,) * num_units
    phases = (Phase(options.share, everything), Phase(1 - options.share, everything))
    return Recipe(phases=phases, anneal="each_phase", penalty=Turned())


STRATEGY = StrategyEntry(
    name="rotation",
    summary="self-supervised learning on the target's unlabelled images, by turning them, then fine-tuning",
    paper="Gidaris et al. 2018, arXiv:1803.07728",
    build=build,
    options=RotationOptions,
)
