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

FlopCounts = dict[tuple[Learning, Any, int], int]  # of one network: by what learns, pipeline and examples


def training_flops(network: Network, procedure: Procedure, batch_size: int, steps: int, known: FlopCounts) -> int:
    """Forward and backward passes of so many steps."""
    recipe, pipeline = procedure.recipe, procedure.pipeline
    total = 0.0
    for number, start, planned in recipe.numbered_phases(procedure.training.steps):
        end = min(planned, steps)
        if end <= start:
            break
        total += phase_flops(network, recipe, pipeline, (number, batch_size), known) * (end - start)
    return round(total)


def phase_flops(network: Network, recipe: Recipe, pipeline: Any, step: tuple[int, int], known: FlopCounts) -> float:
    """Of one step. `step`: the number of its phase, and how many examples it sees. Counted with all of them: what an
    adapter computes once in a step does not grow with the examples."""
    phase, batch_size = step
    counted = _apart_flops(network, recipe, pipeline, step)
    if not counted:
        counted = step_flops(network, recipe.active(phase), pipeline, batch_size, known)
    if recipe.penalty is not None and (passes := recipe.penalty.passes_in(phase)):
        counted += passes * _pass_flops(network, pipeline, batch_size)
    return counted


def step_flops(network: Network, active: Learning, pipeline: Any, batch_size: int, known: FlopCounts) -> float:
    """Counting copies the network, so it is done once for each kind of step."""
    size = _size(batch_size)
    key = (active, pipeline, size)
    if key not in known:
        known[key] = _count(network, active, pipeline, size)
    return known[key] / size * batch_size


def _size(batch_size: int) -> int:
    """BatchNorm refuses a single example, so two are counted for one."""
    return max(batch_size, 2)


def _apart_flops(network: Network, recipe: Recipe, pipeline: Any, step: tuple[int, int]) -> float:
    """Of one step in a phase that learns without labels; 0: another phase."""
    penalty, (phase, batch_size) = recipe.penalty, step
    if penalty is None:
        return 0.0
    twin = copy.deepcopy(network)
    twin.set_active(recipe.active(phase))
    shadow, size = twin.module.to("meta"), _size(batch_size)
    with FlopCounterMode(display=False) as counter:
        loss = penalty.apart_on(twin, _blank(pipeline, shadow, size), phase)
        if loss is not None:
            loss.backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops()) / size * batch_size


def _pass_flops(network: Network, pipeline: Any, batch_size: int) -> float:
    """Of a forward pass."""
    shadow, size = copy.deepcopy(network.module).to("meta"), _size(batch_size)
    return forward_flops(shadow, (_blank(pipeline, shadow, size),)) / size * batch_size


def _count(network: Network, active: Learning, pipeline: Any, size: int) -> int:
    """On a copy: nothing is computed, and neither weights nor flags of the network move."""
    twin = copy.deepcopy(network)
    twin.set_active(active)
    shadow = twin.module.to("meta")
    with FlopCounterMode(display=False) as counter:
        logits = shadow(_blank(pipeline, shadow, size))
        F.cross_entropy(logits, torch.zeros(size, dtype=torch.int64, device="meta")).backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops())


def _blank(pipeline: Any, shadow: nn.Module, size: int) -> torch.Tensor:
    x = modalities.of(pipeline).handling().blank(pipeline, size, "meta")
    return x.to(next(shadow.parameters()).dtype) if x.is_floating_point() else x


def forward_flops(module: Callable[..., object], inputs: tuple[torch.Tensor, ...]) -> int:
    """Of one pass over these inputs, which is made."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return int(counter.get_total_flops())
