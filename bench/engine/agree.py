"""Is the cut network the network? Both run on copies, from the same random state, with the trainable parameters moved
a little: a head full of zeros agrees with anything, and a value kept from tracing does not follow."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.engine.fold import assemble
from bench.engine.frontier import LiveGraph, deviation, deviation_together, tolerance
from bench.engine.trace import shadow
from bench.engine.watch import random_state_kept

NOISE = 0.01


@dataclass(frozen=True)
class Halves:
    static: nn.Module
    plain_static: nn.Module  # without folding, which rounds differently
    train: LiveGraph
    evaluate: LiveGraph


@dataclass(frozen=True)
class Result:
    logits: Tensor
    gradients: dict[str, Tensor]
    buffers: dict[str, Tensor]


def disagreement(module: nn.Module, example: Tensor, halves: Halves) -> str | None:
    """A line that says where, or nothing."""
    moved = _moved([p for p in module.parameters() if p.requires_grad])
    for evaluating in (True, False):
        whole, parts = (shadow(module, evaluating, moved) for _ in range(2))
        static = halves.static if evaluating else halves.plain_static
        graph = halves.evaluate if evaluating else halves.train
        live = assemble(graph.graph, graph.finder(parts))
        # As features come from a store: in memory of their own.
        features = tuple(f.clone(memory_format=torch.contiguous_format) for f in static(example))
        expected = _run(whole, whole, (example.clone(),), evaluating)
        worst = _worst(_run(live, parts, features, evaluating), expected)
        if not worst <= tolerance(expected.logits):
            when = "evaluation" if evaluating else "training"
            return f"disagrees with the whole network by {worst:.1e} in {when}"
    return None


def _moved(parameters: list[nn.Parameter]) -> dict[int, nn.Parameter]:
    """By id. They share one drawing: drawing takes longer than all else here."""
    if not parameters:
        return {}
    noise = NOISE * torch.randn_like(max(parameters, key=Tensor.numel)).flatten()
    return {id(p): nn.Parameter(p.detach() + noise[: p.numel()].view_as(p).to(p)) for p in parameters}


def _run(run: nn.Module, owner: nn.Module, inputs: tuple[Tensor, ...], evaluating: bool) -> Result:
    """`owner`: whose parameters and buffers they are."""
    trained = {} if evaluating else {name: p for name, p in owner.named_parameters() if p.requires_grad}
    with random_state_kept(inputs[0].device), torch.set_grad_enabled(bool(trained)):
        logits = run(*inputs)
        gradients: dict[str, Tensor] = {}
        if trained and logits.requires_grad:
            weights = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype, device=logits.device)
            found = torch.autograd.grad((logits.flatten() * weights).sum(), list(trained.values()), allow_unused=True)
            gradients = {name: g for name, g in zip(trained, found, strict=True) if g is not None}
    return Result(logits.detach(), gradients, dict(owner.named_buffers()))


def _worst(got: Result, expected: Result) -> float:
    """Gradients are judged together: before a BatchNorm a bias has none, and what is left of it is rounding."""
    worst = deviation(got.logits, expected.logits)
    if got.gradients.keys() != expected.gradients.keys():
        return float("inf")
    ones, others = (list(found.gradients.values()) for found in (got, expected))
    worst = max(worst, deviation_together(ones, others))
    for name, buffer in expected.buffers.items():
        same_use = got.buffers[name].requires_grad == buffer.requires_grad
        worst = max(worst, deviation(got.buffers[name].detach(), buffer.detach()) if same_use else float("inf"))
    return worst

