"""Train everything, each pretrained tensor at a rate in proportion to its relative gradient, measured five times.

Paper: Lee et al., "Surgical Fine-Tuning Improves Adaptation to Distribution Shifts", ICLR 2023 (Auto-RGN).
People get wrong: counting BatchNorm's tensors, whose relative gradients drown all others. They stay as they are here,
as in the authors' code, which also runs the network in evaluation mode. A fresh head is no less of a trap: it begins
near 0, so its relative gradient has no bound. It learns at the full rate here, as do tensors that start as 0, and
the rest of the body is compared. Below a head that is 0 no gradient arrives, so a drawn one stands in for it while
the network is measured; its size cancels out of the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.catalogue import Options
from bench.spec.parts import Setting, TensorRates
from bench.spec.recipe import Phase, Recipe
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import F

MEASURED = 5  # times, and batches each time


@dataclass(frozen=True, kw_only=True)
class RelativeGradient(TensorRates):
    """Mean over some batches of ||gradient|| / ||tensor|| of the body's tensors, divided by the largest."""

    name: str = "relative_gradient"

    def measure(self, setting: Setting) -> Mapping[str, float]:
        body = {name: p for unit in setting.network.parameters[:-1] for name, p in unit.items()}
        learning = {name: p for name, p in body.items() if p.requires_grad and bool(setting.start[name].any())}
        sums = dict.fromkeys(learning, 0.0)
        with setting.as_in_evaluation(), setting.head_drawn():
            for images, labels in setting.batches(MEASURED):
                setting.network.module.zero_grad(set_to_none=True)
                F.cross_entropy(setting.network.module(images), labels).backward()  # type: ignore[no-untyped-call]
                for name, parameter in learning.items():
                    if parameter.grad is not None:
                        sums[name] += float(parameter.grad.norm() / parameter.detach().norm())
        most = max(sums.values()) or 1.0
        return {name: value / most for name, value in sums.items()}


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(
        phases=(Phase(1 / MEASURED, (1.0,) * num_units),) * MEASURED,
        tensors="but_norms",
        statistics="kept",
        tensor_rates=RelativeGradient(),
    )


STRATEGY = StrategyEntry(
    name="auto_rgn",
    summary="everything is trained, each tensor at a rate in proportion to its relative gradient",
    paper="Lee et al. 2023, arXiv:2210.11466",
    build=build,
)
