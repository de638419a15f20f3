"""Fine-tuning that keeps what each stage puts out near what the pretrained network puts out, channel by channel.

Paper: Li et al., "DELTA: DEep Learning Transfer using Feature Map with Attention", ICLR 2019.
People get wrong: the attention, which asks how much the loss rises when a filter is put to 0. The rises are small, so
they are standardised over a stage's channels before the softmax; without that all channels count alike. A rise is
estimated by its first-order term, from the gradient of the loss of a ridge head made for that; the paper trains a head
and tries every filter.
The pull is a mean over the batch: Jiang et al.'s library sums, so its .01 at a batch of 48 is about .5 here. The
default is less: .5 held back a transformer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from bench.catalogue import Options
from bench.spec import spans
from bench.spec.parts import Net, Penalty, Pull, Setting, Step, Term
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import F, capture, closed_forms, heads, torch

SHARPNESS = 5.0  # the attention is softmax(z / this), as in Jiang et al.'s library
MEASURED = 10  # batches


@dataclass(frozen=True, kw_only=True)
class FeatureMaps(Penalty):
    """alpha / 2 * sum over stages of C * sum_c a_c * mean of (z_c - z'_c)^2 + beta / 2 ||head||^2."""

    alpha: float
    beta: float
    attention: bool
    name: str = "delta"
    reads: ClassVar = "images"
    passes: ClassVar[float] = 1.0

    def begin(self, setting: Setting) -> Term:
        if "twin" not in setting.memo:  # many trials wait in a race, and all of them look at the same network
            setting.memo["twin"] = setting.frozen_copy()
        twin = setting.memo["twin"]
        return Term((twin, attention_of(twin, setting) if self.attention else None))

    def loss(self, term: Term, step: Step) -> torch.Tensor:
        twin, attention = term.kept
        with torch.no_grad(), capture.watched(twin, units=True) as seen:
            twin.module(step.inputs)
        before = [seen.units[unit] for unit in sorted(seen.units)]
        total = step.loss
        for number, (now, then) in enumerate(zip(step.units, before, strict=True)):
            weights = attention[number] if attention else None
            total = total + self.alpha / 2 * distance(now, then, weights, seen.channels_last, seen.real)
        return total

    def pulls(self, term: Term, network: Net) -> Mapping[str, Pull]:
        return {name: Pull(0.0, self.beta) for name in network.parameters[-1]}


def distance(
    now: torch.Tensor, then: torch.Tensor, weights: torch.Tensor | None, channels_last: bool,
    real: torch.Tensor | None = None,
) -> torch.Tensor:
    """[B, C, H, W] each, or with channels last: C times the weighted mean over channels of the mean square. `real`:
    [B, L], of tokens those that are no padding."""
    squared = (now - then).square()
    if real is not None and squared.ndim == 3:
        squared = squared[real]
    is_maps = squared.ndim == 4 and not channels_last
    each = squared.mean((0, 2, 3)) if is_maps else squared.flatten(0, -2).mean(0)
    return each.sum() if weights is None else len(each) * (weights * each).sum()


def attention_of(twin: Net, setting: Setting) -> list[torch.Tensor]:
    """For each stage softmax(z / 5) over its channels: z, the first-order rise of the loss without a channel, less the
    mean over the stage's channels and divided by their spread."""
    batches = list(setting.batches(MEASURED, rest=True))
    features = []
    with torch.no_grad():
        for images, _ in batches:
            with capture.watched(twin) as seen:
                twin.module(images)
            features.append(seen.features[0])
    labels = torch.cat([labels for _, labels in batches])
    (head,) = closed_forms.ridge_path(torch.cat(features), labels, int(labels.max()) + 1, [0.1])
    each = [rises(twin, head, *batch) for batch in batches]
    totals = [torch.stack(of_stage).sum(0) for of_stage in zip(*each, strict=True)]
    return [torch.softmax(standardised(total) / SHARPNESS, 0) for total in totals]


def rises(twin: Net, head: heads.LinearHead, images: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
    """[C] for each stage: what the batch's summed loss would gain without the channel, by its gradient."""
    twin.module.requires_grad_(True)
    with capture.watched(twin, units=True) as seen:
        twin.module(images)
    features = seen.features[0]
    logits = features @ head.weight.T.to(features.dtype) + head.bias.to(features.dtype).clamp_min(-1e3)
    values = [seen.units[unit] for unit in sorted(seen.units)]
    gradients = torch.autograd.grad(F.cross_entropy(logits, labels, reduction="sum"), values)
    twin.module.requires_grad_(False)
    gains = [-value.detach() * gradient for value, gradient in zip(values, gradients, strict=True)]
    places = (1, 2) if seen.channels_last else (2, 3)
    return [(g.sum(places) if g.ndim == 4 else g.sum(1) if g.ndim == 3 else g).sum(0) for g in gains]


def standardised(rise: torch.Tensor) -> torch.Tensor:
    """Where all channels are alike, none counts more."""
    spread = rise.std(correction=0)
    return (rise - rise.mean()) / spread if spread > 0 else rise * 0


class DeltaOptions(Options):
    alpha: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.1
    """Strength of the pull of feature maps; 5e-3 to 5 in the literature's range, which sums over a batch."""
    beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    """Strength of the head's pull to 0."""
    attention: bool = True
    """Channels count by what they are worth; else all alike."""


def build(options: DeltaOptions, num_units: int) -> Recipe:
    penalty = FeatureMaps(alpha=options.alpha, beta=options.beta, attention=options.attention)
    return Recipe(phases=uniform([1.0] * num_units), penalty=penalty, decays=False)


STRATEGY = StrategyEntry(
    name="delta",
    summary="fine-tuning that keeps feature maps near the pretrained network's, the important channels most",
    paper="Li et al. 2019, arXiv:1901.09229",
    build=build,
    options=DeltaOptions,
    ranges={"alpha": spans.log(1e-4, 0.1)},
)
