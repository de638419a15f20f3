"""Fine-tuning pulled toward the pretrained weights: L2-SP, which takes the place of weight decay.

Paper: Li, Grandvalet, Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks", ICML 2018.
People get wrong: adding it to weight decay, which pulls to 0 at the same time. It replaces it here, on the tensors that
weight decay would act on, as the authors do it; and pulls the new head, which has no start to speak of, toward 0. Its
step is implicit, so that no strength makes training diverge; with AdamW it stands beside the adaptive step, as that
one's weight decay does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from bench.catalogue import Options
from bench.spec import spans
from bench.spec.parts import Net, Penalty, Pull, Setting, Term
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry

Pulled = Literal["weights", "all"]


@dataclass(frozen=True, kw_only=True)
class StartingPoint(Penalty):
    """alpha / 2 ||w - start||^2 over the body's weights + beta / 2 ||w||^2 over the head's."""

    alpha: float
    beta: float
    pulled: Pulled
    name: str = "l2_sp"

    def begin(self, setting: Setting) -> Term:
        return Term(setting.start)

    def pulls(self, term: Term, network: Net) -> Mapping[str, Pull]:
        *body, head = network.parameters
        found = {name: Pull(term.kept[name], self.alpha) for unit in body for name in unit}
        found |= {name: Pull(0.0, self.beta) for name in head}
        return found if self.pulled == "all" else {name: found[name] for name in found if name in network.decaying}


class L2SpOptions(Options):
    alpha: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.1
    """Strength of the pull to the start; 1e-4 to 1 in the literature."""
    beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    """Strength of the head's pull to 0."""
    pulled: Pulled = "weights"
    """`weights`: what weight decay would act on, matrices and kernels. `all`: biases and normalisation too."""


def build(options: L2SpOptions, num_units: int) -> Recipe:
    penalty = StartingPoint(alpha=options.alpha, beta=options.beta, pulled=options.pulled)
    return Recipe(phases=uniform([1.0] * num_units), penalty=penalty, decays=False)


STRATEGY = StrategyEntry(
    name="l2_sp",
    summary="fine-tuning with weights pulled toward the pretrained ones",
    paper="Li et al. 2018, arXiv:1802.01483",
    build=build,
    options=L2SpOptions,
    ranges={"alpha": spans.log(1e-4, 1.0), "beta": spans.log(1e-4, 0.1)},
)
