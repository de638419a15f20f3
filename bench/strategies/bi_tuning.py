"""Fine-tuning with two contrasts against a slowly moving copy: by the classifier's weights, and of a projection.

Paper: Zhong et al., "Bi-tuning: Efficient Transfer from Pre-Trained Models", 2020.
People get wrong: whom the classifier's contrast trains. It is the backbone: the weights of an image's class ask as
they are, and what answers is what the network itself makes of the image, among keys of earlier images from the copy.
The projection's contrast has the image's own key from the copy too. Other images of the same step are not among the
keys. One queue holds as many keys as one per class would; images are not changed anew for the copy, as the paper does.
A head that starts at 0 points nowhere, so the classifier's contrast moves nothing in the first step.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench.catalogue import Options
from bench.spec import spans
from bench.spec.parts import Penalty, Setting, Step, Term
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import F, capture, nn, torch

PROJECTED, MOMENTUM, TEMPERATURE = 128, 0.999, 0.07


@dataclass(frozen=True, kw_only=True)
class TwoContrasts(Penalty):
    weight: float
    queue: int
    name: str = "bi_tuning"
    reads: ClassVar = "images"
    passes: ClassVar[float] = 1.0

    def begin(self, setting: Setting) -> Term:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            projector = nn.Linear(capture.classifier_of(setting.network).in_features, PROJECTED)
        projector = projector.to(setting.images.device)
        twin = setting.frozen_copy()
        kept: dict[str, Any] = {"twin": twin, "projector": copy.deepcopy(projector), "keys": [], "labels": []}
        return Term(kept, projector)

    def loss(self, term: Term, step: Step) -> torch.Tensor:
        assert term.modules is not None
        kept = term.kept
        with torch.no_grad():
            own = step.network.module.state_dict()
            for name, tensor in kept["twin"].module.state_dict().items():
                _follow(tensor, own[name])
            for slow, quick in zip(kept["projector"].parameters(), term.modules.parameters(), strict=True):
                _follow(slow, quick)
            with capture.watched(kept["twin"]) as seen:
                kept["twin"].module(step.inputs)
            head = capture.classifier_of(step.network)
            bias = head.bias if head.bias is not None else head.weight.new_zeros(len(head.weight))
            weights = torch.cat([head.weight, bias[:, None]], 1)
            keys = (_with_one(seen.features[0]), kept["projector"](seen.features[0]))
        labels = torch.cat([step.labels[:0], *kept["labels"]])
        earlier = [torch.cat([keys[n][:0], *(old[n] for old in kept["keys"])]) for n in range(2)]
        # (who asks, the image's own key): a gradient goes to the features through the key, then through who asks.
        pairs = ((weights[step.labels], _with_one(step.features)), (term.modules(step.features), keys[1]))
        both = [contrast(pairs[n][0], (pairs[n][1], earlier[n]), (step.labels, labels)) for n in range(2)]
        kept["keys"].append(keys)
        kept["labels"].append(step.labels)
        most = max(1, self.queue * step.logits.shape[1] // len(step.labels))
        del kept["keys"][:-most], kept["labels"][:-most]
        return step.loss + self.weight * (both[0] + both[1])


def _with_one(features: torch.Tensor) -> torch.Tensor:
    """[B, D + 1]: the bias's input among them."""
    return F.pad(features, (0, 1), value=1.0)


def _follow(slow: torch.Tensor, quick: torch.Tensor) -> None:
    if slow.is_floating_point():
        slow.lerp_(quick, 1 - MOMENTUM)
    else:
        slow.copy_(quick)


def contrast(
    queries: torch.Tensor, keys: tuple[torch.Tensor, torch.Tensor], labels: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """Mean over queries, and over a query's own key and the earlier ones of its class, of minus the log share of the
    key among its own and all earlier ones. `keys`: own [B, D], earlier [N, D]. A query of 0 is equally far from all."""
    q, (own, earlier) = F.normalize(queries), map(F.normalize, keys)
    likeness = torch.cat([(q * own).sum(1, keepdim=True), q @ earlier.T], 1) / TEMPERATURE
    same = (labels[0][:, None] == labels[1][None]).to(likeness.dtype)
    same = torch.cat([torch.ones_like(likeness[:, :1]), same], 1)
    return -((F.log_softmax(likeness, 1) * same).sum(1) / same.sum(1)).mean()


class BiTuningOptions(Options):
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Of both contrasts; .1 to 3 in the literature."""
    queue: Annotated[int, Field(ge=1)] = 40
    """Keys kept for each class, on average."""


def build(options: BiTuningOptions, num_units: int) -> Recipe:
    penalty = TwoContrasts(weight=options.weight, queue=options.queue)
    return Recipe(phases=uniform([1.0] * num_units), penalty=penalty)


STRATEGY = StrategyEntry(
    name="bi_tuning",
    summary="fine-tuning with two contrasts against a slowly moving copy",
    paper="Zhong et al. 2020, arXiv:2011.06182",
    build=build,
    options=BiTuningOptions,
    ranges={"weight": spans.log(0.1, 3.0)},
)
