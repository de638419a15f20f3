"""Fine-tuning in which the features shall not tell whether an image is an old or a new one.

Paper: Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016.
People get wrong: the strength, which grows from 0 over the training; from the start, the adversary wins before there is
a classifier. New images are taken from all of the training split, without their labels.

The paper's case is `labels: source`: the classes are learned from the source's labels, and no label of the target is
read, in training or in the search, whose trials are compared on the source's test split, which neither they nor the
pretraining learned from. People get that wrong by choosing the rate, or the moment to stop, by the target's labels.
Two controls: `weight: 0` is the same training without the adversary's gradient, and `source_only` sees no image of the
target at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bench.catalogue import Options
from bench.spec.parts import Penalty, Setting, Step, Term
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import F, capture, nn, torch

WIDTH = 64  # of the adversary


@dataclass(frozen=True, kw_only=True)
class Adversary(Penalty):
    weight: float
    name: str = "dann"
    needs: ClassVar[tuple[str, ...]] = ("source data",)
    reads: ClassVar[Literal["parameters", "features", "images"]] = "images"
    passes: ClassVar[float] = 6.0

    def begin(self, setting: Setting) -> Term:
        setting.source_images()
        num = capture.classifier_of(setting.network).in_features
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            adversary = nn.Sequential(nn.Linear(num, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))
        return Term((setting, setting.generator("dann")), adversary.to(setting.images.device))

    def features(self, kept: Any, step: Step) -> tuple[torch.Tensor, torch.Tensor]:
        """Of source images, and of the target's. Both pass as in evaluation, beside the images with labels."""
        setting, draw = kept
        old, _ = setting.batch(setting.source_images(), draw)
        new, _ = setting.batch(setting.unlabelled, draw, len(old))
        with capture.in_eval_mode(step.network.module), capture.watched(step.network) as seen:
            step.network.module(together(old, new))
        return seen.features[0][: len(old)], seen.features[0][len(old) :]

    def loss(self, term: Term, step: Step) -> torch.Tensor:
        assert term.modules is not None
        setting, _ = term.kept
        old, new = self.features(term.kept, step)
        strength = self.weight * growth(step.number / setting.training.steps)
        said = term.modules(reversed_gradient(torch.cat([old, new]), strength))[:, 0]
        is_new = torch.cat([torch.zeros(len(old)), torch.ones(len(new))]).to(said)
        return step.loss + F.binary_cross_entropy_with_logits(said, is_new)


@dataclass(frozen=True, kw_only=True)
class AdversaryOfSourceLabels(Adversary):
    """The same where the images with labels are the source's, so that only the target's are missing. They pass as in
    training, changed at random, so that no change tells the domains apart: each domain is normalised by its own batch,
    and the running statistics follow both."""

    name: str = "dann, labels of the source"
    reads: ClassVar[Literal["parameters", "features", "images"]] = "features"
    passes: ClassVar[float] = 3.0

    def features(self, kept: Any, step: Step) -> tuple[torch.Tensor, torch.Tensor]:
        setting, draw = kept
        new, _ = setting.batch(setting.unlabelled, draw, len(step.features), varied=True)
        with capture.watched(step.network) as seen:
            step.network.module(new)
        return step.features, seen.features[0]


def together(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Batches of texts end with their longest one each, and 0 is padding."""
    longest = max(old.shape[-1], new.shape[-1])
    return torch.cat([F.pad(part, (0, longest - part.shape[-1])) for part in (old, new)])


def growth(progress: float) -> float:
    return 2 / (1 + math.exp(-10 * progress)) - 1


def reversed_gradient(x: torch.Tensor, strength: float) -> torch.Tensor:
    """The value of x; its gradient times -strength."""
    return x.detach() * (1 + strength) - x * strength


class DannOptions(Options):
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Of the adversary's gradient in the features, at the end. 0: the control without it."""
    labels: Literal["target", "source"] = "target"
    """Whose labels are learned. `source`: none of the target's is read before the score; the source has to have the
    target's classes, by their names, and its other classes are left out."""


def build(options: DannOptions, num_units: int) -> Recipe:
    phases = uniform([1.0] * num_units)
    if options.labels == "target":
        return Recipe(phases=phases, penalty=Adversary(weight=options.weight))
    return Recipe(phases=phases, penalty=AdversaryOfSourceLabels(weight=options.weight), labels="source")


STRATEGY = StrategyEntry(
    name="dann",
    summary="fine-tuning in which features must not tell source images from new ones",
    paper="Ganin et al. 2016, arXiv:1505.07818",
    build=build,
    options=DannOptions,
    needs=Adversary.needs,
)
