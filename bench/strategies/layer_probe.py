"""Logistic regression on what one unit of the frozen network puts out, averaged over places; `unit: all` tries each.

Paper: Alain, Bengio, "Understanding intermediate layers using linear classifier probes", ICLR 2017 workshop.
People get wrong: probing the last layer because it is the last. The further a target is from what a network was trained
for, the earlier its best layer lies. Here the penalty is searched for every unit, as for `logistic_probe`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from bench.catalogue import Options
from bench.errors import NotApplicable
from bench.spec.parts import MixedHead, Mixer
from bench.spec.recipe import Recipe, Solve, head_only
from bench.strategies.entry import StrategyEntry
from bench.strategies.lazy import closed_forms, mixture, torch


class LayerProbeOptions(Options):
    unit: Annotated[int, Field(ge=0)] | Literal["all"] = "all"
    """Whose output is probed, counted from the stem, which is 0; `all` makes one strategy per unit below the head."""


@dataclass(frozen=True, kw_only=True)
class OneUnit(Mixer):
    name: str = "layer_probe"
    unit: int

    def read(self, units: Sequence[int]) -> list[int]:
        if self.unit not in units:
            raise NotApplicable(f"unit {self.unit} puts out no tensor; {', '.join(map(str, units))} do")
        return [self.unit]

    def heads(
        self, layers: Sequence[torch.Tensor], labels: torch.Tensor, num_classes: int, penalties: list[float]
    ) -> list[MixedHead]:
        (rows,) = layers
        return [
            mixture.MixedHead(one.weight, one.bias, one.evaluations, one.gradient_norm, one.converged, (1.0,))
            for one in closed_forms.logistic_path(rows, labels, num_classes, penalties)
        ]


def expand(options: LayerProbeOptions, num_units: int) -> tuple[LayerProbeOptions, ...]:
    if options.unit != "all":
        return (options,)
    return tuple(LayerProbeOptions(unit=unit) for unit in range(num_units - 1))


def build(options: LayerProbeOptions, num_units: int) -> Recipe:
    assert options.unit != "all", "expand() comes first"
    if options.unit >= num_units - 1:
        raise ValueError(f"unit: {options.unit} is the head or beyond; this backbone has {num_units} units, "
                         f"so unit is 0 .. {num_units - 2} or all")
    return Recipe(phases=head_only(num_units), solve=Solve("logistic", 1e-6, 1e1, OneUnit(unit=options.unit)))


STRATEGY = StrategyEntry(
    name="layer_probe",
    summary="logistic regression on one unit's output, body frozen; `unit: all` tries each; its penalty is searched",
    paper="Alain and Bengio 2017, arXiv:1610.01644",
    build=build,
    options=LayerProbeOptions,
    expand=expand,
)
