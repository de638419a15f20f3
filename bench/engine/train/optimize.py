"""From a recipe's rates to torch's own optimizers: one parameter group per unit, set anew at every step."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench.network.units import Network
from bench.spec.parts import Pull
from bench.spec.recipe import Schedule
from bench.spec.refs import Training


@dataclass(frozen=True)
class Hyper:
    """What a search chooses."""

    lr: float
    weight_decay: float
    options: tuple[tuple[str, Any], ...] = ()  # of the strategy, where these are searched too

    def as_dict(self) -> dict[str, Any]:
        """As records tell of it."""
        found: dict[str, Any] = {"lr": self.lr, "weight_decay": self.weight_decay}
        return {**found, "options": dict(self.options)} if self.options else found


def make_optimizer(
    network: Network, training: Training, hyper: Hyper, beside: Iterable[nn.Parameter] = (), by_tensor: bool = False
) -> torch.optim.Optimizer:
    """Two groups per unit, or one per tensor: those that weight decay acts on, and the others. `beside`: parameters
    outside the network that learn as fast as its head."""
    decaying = network.decaying
    groups = []
    for unit, parameters in enumerate(network.parameters):
        for decay in (True, False):
            chosen = {name: p for name, p in parameters.items() if (name in decaying) == decay}
            common = {"unit": unit, "weight_decay": hyper.weight_decay if decay else 0.0, "lr": 0.0}
            if by_tensor:
                groups += [{"params": [p], "tensor": name, **common} for name, p in chosen.items()]
            elif chosen:
                groups.append({"params": list(chosen.values()), **common})
    if others := list(beside):
        groups.append({"params": others, "unit": network.num_units - 1, "weight_decay": 0.0, "lr": 0.0})
    if training.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=0.0)
    return torch.optim.SGD(groups, lr=0.0, momentum=training.momentum, nesterov=training.momentum > 0)


def set_rates(
    optimizer: torch.optim.Optimizer, rates: tuple[float, ...], lr: float, of_tensors: Mapping[str, float] | None = None
) -> None:
    for group in optimizer.param_groups:
        own = of_tensors.get(group.get("tensor", ""), 1.0) if of_tensors else 1.0
        group["lr"] = lr * rates[group["unit"]] * own


@torch.no_grad()
def step_toward(optimizer: torch.optim.Optimizer, pulls: Mapping[nn.Parameter, Pull]) -> None:
    """w <- (w + c a) / (1 + c), the implicit step of a quadratic pull: stable at any strength, where a step along its
    gradient throws w beyond a as soon as rate and curvature are large. c is the rate times strength and curvature. With
    momentum m a lasting gradient moves the weights by 1 / (1 - m) of the rate, and so c is as much larger: training
    ends where loss and pull together are least. With AdamW the pull stands beside the adaptive step, as its weight
    decay does."""
    for group in optimizer.param_groups:
        rate = group["lr"] / (1 - group.get("momentum", 0.0))
        for parameter in group["params"]:
            pull = pulls.get(parameter)
            if pull is not None and parameter.grad is not None and rate > 0:
                c = torch.as_tensor(rate * pull.strength * pull.curvature)
                parameter -= (parameter - pull.anchor) / (1 + 1 / c)


def schedule(training: Training, step: int, steps: int, own: Schedule | None = None) -> float:
    """Factor on the rate at `step` of `steps`: a linear rise, then the fall; or a recipe's `own` way."""
    if own is not None:
        return own.factor(step, steps)
    warmup = round(training.warmup * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, steps - warmup)
    match training.schedule:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        case "linear":
            return 1 - progress
        case "constant":
            return 1.0
