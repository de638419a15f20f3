"""Fine-tuning with two contrasts against a slowly moving copy: of what the classifier says, and of a projection.

Paper: Zhong et al., "Bi-tuning: Efficient Transfer from Pre-Trained Models", 2020.
People get wrong: contrasting with keys of the very same step. Keys come from the copy and wait in a queue per class.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from bench.catalogue import Options
from bench.strategies.parts import Penalty
from bench.strategies.recipe import Recipe, StrategyEntry, uniform

if TYPE_CHECKING:
    from torch import Tensor

    from bench.engine.setting import Setting, Step, Term

PROJECTED, MOMENTUM, TEMPERATURE = 128, 0.999, 0.07


@dataclass(frozen=True, kw_only=True)
class TwoContrasts(Penalty):
    weight: float
    queue: int
    name: str = "bi_tuning"
    reads: ClassVar = "images"
    passes: ClassVar[float] = 1.0

    def begin(self, setting: "Setting") -> "Term":
        import copy

        import torch
        from torch import nn

        from bench.engine.setting import Term, classifier_of

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            projector = nn.Linear(classifier_of(setting.network).in_features, PROJECTED).to(setting.images.device)
        twin = setting.frozen_copy()
        kept: dict[str, Any] = {"twin": twin, "projector": copy.deepcopy(projector), "keys": [], "labels": []}
        return Term(kept, projector)

    def loss(self, term: "Term", step: "Step") -> "Tensor":
        import torch

        from bench.engine.setting import watched

        assert term.modules is not None
        twin, projector = term.kept["twin"], term.kept["projector"]
        with torch.no_grad():
            own = step.network.module.state_dict()
            for name, tensor in twin.module.state_dict().items():
                _follow(tensor, own[name])
            for slow, quick in zip(projector.parameters(), term.modules.parameters(), strict=True):
                _follow(slow, quick)
            with watched(twin) as seen:
                answers = twin.module(step.inputs)
            term.kept["keys"].append((answers, projector(seen.features[0])))
            term.kept["labels"].append(step.labels)
            most = max(1, self.queue * step.logits.shape[1] // len(step.labels))
            del term.kept["keys"][:-most], term.kept["labels"][:-most]
        labels = torch.cat(term.kept["labels"])
        said, projected = (torch.cat(part) for part in zip(*term.kept["keys"], strict=True))
        both = contrast(step.logits, said, (step.labels, labels)) + contrast(
            term.modules(step.features), projected, (step.labels, labels))
        return step.loss + self.weight * both


def _follow(slow: "Tensor", quick: "Tensor") -> None:
    if slow.is_floating_point():
        slow.lerp_(quick, 1 - MOMENTUM)
    else:
        slow.copy_(quick)


def contrast(queries: "Tensor", keys: "Tensor", labels: tuple["Tensor", "Tensor"]) -> "Tensor":
    """Mean over queries, and over the keys of the query's class, of minus the log share of the key among all."""
    from torch.nn import functional as F

    likeness = F.normalize(queries) @ F.normalize(keys).T / TEMPERATURE
    same = (labels[0][:, None] == labels[1][None]).to(likeness.dtype)
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
)
