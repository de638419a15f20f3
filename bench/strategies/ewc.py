"""Fine-tuning with weights held where the source task needs them, by the Fisher information of each.

Paper: Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", PNAS 2017.
People get wrong: squaring the gradient of a batch's mean instead of each example's, which makes the information far too
small. It is the mean of squares over single source images here, each with its own label. It is divided by its mean over
the body, so that strength is the mean curvature of the hold, as the alpha of `l2_sp` is, and means the same on every
network. Undivided, 1 to 1e5 in the literature: on the suites' small network, whose mean is 3e-4, that is 3e-4 to 30.
The default is the strongest that cost no accuracy on digits and still forgot less. The step is implicit, so that no
strength makes training diverge; with AdamW it stands beside the adaptive step, as that one's weight decay does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from bench.catalogue import Options
from bench.spec import spans
from bench.spec.parts import Net, Penalty, Pull, Setting, Term
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import F, nn, torch


@dataclass(frozen=True, kw_only=True)
class Consolidation(Penalty):
    """strength / 2 * sum of F (w - start)^2 over the body, the mean of F being 1."""

    strength: float
    images: int
    name: str = "ewc"
    needs: ClassVar[tuple[str, ...]] = ("the source head", "source data")

    def begin(self, setting: Setting) -> Term:
        source, shown = setting.source(), setting.source_images()
        if ("fisher", self.images) not in source.memo:
            drawn = setting.batch(shown, setting.generator_for_all("fisher"), self.images)
            source.memo["fisher", self.images] = scaled(fisher(source.network.module, *drawn), source.network)
        return Term((setting.start, source.memo["fisher", self.images]))

    def pulls(self, term: Term, network: Net) -> Mapping[str, Pull]:
        start, information = term.kept
        return {name: Pull(start[name], self.strength, information[name]) for name in body_of(network)}


def body_of(network: Net) -> list[str]:
    return [name for unit in network.parameters[:-1] for name in unit]


def scaled(information: Mapping[str, torch.Tensor], network: Net) -> dict[str, torch.Tensor]:
    """Of the body alone, with a mean of 1."""
    body = {name: information[name] for name in body_of(network)}
    total = sum(float(one.double().sum()) for one in body.values())
    mean = total / sum(one.numel() for one in body.values())
    return {name: one / max(mean, 1e-30) for name, one in body.items()}


def fisher(module: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean over the images of the square of each one's gradient, the network as in evaluation."""
    module.requires_grad_(True)
    parameters = dict(module.named_parameters())
    total = {name: torch.zeros_like(p) for name, p in parameters.items()}
    for image, label in zip(images, labels, strict=True):
        loss = F.cross_entropy(module(image[None]), label[None])
        gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        for name, gradient in zip(total, gradients, strict=True):
            if gradient is not None:  # of what the network has and does not use
                total[name] += gradient.square() / len(images)
    module.requires_grad_(False)
    return total


class EwcOptions(Options):
    strength: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    """Of the hold: its mean curvature; 1e-4 to 10."""
    images: Annotated[int, Field(ge=1)] = 200
    """Source images that the information is taken from."""


def build(options: EwcOptions, num_units: int) -> Recipe:
    penalty = Consolidation(strength=options.strength, images=options.images)
    return Recipe(phases=uniform([1.0] * num_units), penalty=penalty)


STRATEGY = StrategyEntry(
    name="ewc",
    summary="fine-tuning with weights held where the source task needs them",
    paper="Kirkpatrick et al. 2017, arXiv:1612.00796",
    build=build,
    options=EwcOptions,
    needs=Consolidation.needs,
    ranges={"strength": spans.log(1e-4, 10.0)},
)
