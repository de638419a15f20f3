"""Fine-tuning pulled toward the pretrained weights: L2-SP, which takes the place of weight decay.

Paper: Li, Grandvalet, Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks", ICML 2018.
People get wrong: adding it to weight decay, which pulls to 0 at the same time. It replaces it here, and pulls the new
head, which has no start to speak of, toward 0.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.strategies import spans
from bench.strategies.parts import Penalty
from bench.strategies.recipe import Recipe, StrategyEntry, uniform

if TYPE_CHECKING:
    from torch import Tensor

    from bench.engine.setting import Setting, Step, Term


@dataclass(frozen=True, kw_only=True)
class StartingPoint(Penalty):
    """alpha / 2 ||w - start||^2 over the body's parameters + beta / 2 ||w||^2 over the head's."""

    alpha: float
    beta: float
    name: str = "l2_sp"

    def begin(self, setting: "Setting") -> "Term":
        from bench.engine.setting import Term

        body = [name for unit in setting.network.parameters[:-1] for name in unit]
        return Term({name: setting.start[name] for name in body})

    def loss(self, term: "Term", step: "Step") -> "Tensor":
        parameters = step.network.parameters
        away = sum((p - term.kept[name]).square().sum() for unit in parameters[:-1] for name, p in unit.items())
        head = sum(p.square().sum() for p in parameters[-1].values())
        total: Tensor = step.loss + self.alpha / 2 * away + self.beta / 2 * head
        return total


class L2SpOptions(Options):
    alpha: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.1
    """Strength of the pull to the start; 1e-4 to 1 in the literature."""
    beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    """Strength of the head's pull to 0."""


def build(options: L2SpOptions, num_units: int) -> Recipe:
    penalty = StartingPoint(alpha=options.alpha, beta=options.beta)
    return Recipe(phases=uniform([1.0] * num_units), penalty=penalty, decays=False)


STRATEGY = StrategyEntry(
    name="l2_sp",
    summary="fine-tuning with weights pulled toward the pretrained ones",
    paper="Li et al. 2018, arXiv:1802.01483",
    build=build,
    options=L2SpOptions,
    ranges={"alpha": spans.log(1e-4, 1.0), "beta": spans.log(1e-4, 0.1)},
)
