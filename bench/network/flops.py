"""What a training costs on any machine: FLOPs of the whole network in every step, however little of it was run here."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from bench import modalities
from bench.network.units import Network
from bench.spec.job import Procedure
from bench.spec.recipe import Learning, Recipe

COUNTED = 2  # images; the work is proportional to them, and BatchNorm refuses a single one


FlopCounts = dict[tuple[Learning, Any], int]  # of one network: by what learns and pipeline


def training_flops(network: Network, procedure: Procedure, batch_size: int, steps: int, known: FlopCounts) -> int:
    """Forward and backward passes of so many steps."""
    recipe, pipeline = procedure.recipe, procedure.pipeline
    total = 0.0
    for number, start, planned in recipe.numbered_phases(procedure.training.steps):
        end = min(planned, steps)
        if end <= start:
            break
        total += example_flops(network, recipe, pipeline, number, known) * batch_size * (end - start)
    return round(total)


def example_flops(network: Network, recipe: Recipe, pipeline: Any, phase: int, known: FlopCounts) -> float:
    """What one example costs in a step. It does not change within a phase."""
    counted = _apart_flops(network, recipe, pipeline, phase) or step_flops(
        network, recipe.active(phase), pipeline, known
    )
    if recipe.penalty is not None and (passes := recipe.penalty.passes_in(phase)):
        counted += round(passes * _pass_flops(network, pipeline))
    return counted / COUNTED


def step_flops(network: Network, active: Learning, pipeline: Any, known: FlopCounts) -> int:
    """Of one step on `COUNTED` images. Counting copies the network, so it is done once for each kind of step."""
    key = (active, pipeline)
    if key not in known:
        known[key] = _count(network, active, pipeline)
    return known[key]


def _apart_flops(network: Network, recipe: Recipe, pipeline: Any, phase: int) -> int:
    """Of one step on `COUNTED` examples in a phase that learns without labels; 0: another phase."""
    penalty = recipe.penalty
    if penalty is None:
        return 0
    twin = copy.deepcopy(network)
    twin.set_active(recipe.active(phase))
    shadow = twin.module.to("meta")
    with FlopCounterMode(display=False) as counter:
        loss = penalty.apart_on(twin, _blank(pipeline, shadow), phase)
        if loss is not None:
            loss.backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops())


def _pass_flops(network: Network, pipeline: Any) -> int:
    """Of a forward pass of `COUNTED` images."""
    shadow = copy.deepcopy(network.module).to("meta")
    return forward_flops(shadow, (_blank(pipeline, shadow),))


def _count(network: Network, active: Learning, pipeline: Any) -> int:
    """On a copy: nothing is computed, and neither weights nor flags of the network move."""
    twin = copy.deepcopy(network)
    twin.set_active(active)
    shadow = twin.module.to("meta")
    with FlopCounterMode(display=False) as counter:
        logits = shadow(_blank(pipeline, shadow))
        F.cross_entropy(logits, torch.zeros(COUNTED, dtype=torch.int64, device="meta")).backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops())


def _blank(pipeline: Any, shadow: nn.Module) -> torch.Tensor:
    x = modalities.of(pipeline).handling().blank(pipeline, COUNTED, "meta")
    return x.to(next(shadow.parameters()).dtype) if x.is_floating_point() else x


def forward_flops(module: Callable[..., object], inputs: tuple[torch.Tensor, ...]) -> int:
    """Of one pass over these inputs, which is made."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return int(counter.get_total_flops())
