"""Replicas side by side in the channels: S * M networks as one, with S * M times the channels and grouped convolutions.

A network's graph is walked node by node; `side_by_side.py` knows how to do each operation for all replicas at once.
What it does not know, or cannot promise to be equal, has no grouped form.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from bench.engine.forms import FEW, Form, Inputs, Tensors, check_statistics, shape_of, statistics, traced, trial
from bench.engine.side_by_side import FUNCTIONS, METHODS, Call, Unsupported, Value, module_rules

NOISE = 0.01


def grouped_form(module: nn.Module, examples: Inputs, channels_last: bool | None = None) -> Form | None:
    """`examples`: a batch [B, ...] as the module takes it. `channels_last`: by default on a CPU only."""
    graph = traced(module, set(module_rules()))
    if graph is None:
        return None
    if channels_last is None:
        channels_last = examples[0].device.type == "cpu"
    try:
        agrees = _agrees(graph, module, examples, channels_last)
        return _Grouped(module, graph, channels_last) if agrees else None
    except Unsupported:
        return None


def _agrees(graph: fx.Graph, module: nn.Module, examples: Inputs, channels_last: bool) -> bool:
    """A graph forgets some of what happens in place (`y = x; x += 1`), and hooks. In double precision that shows, once
    the parameters are moved a little: behind a head of zeros every graph agrees."""
    twin = copy.deepcopy(module).double()
    draw = torch.Generator(device=examples[0].device).manual_seed(0)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(NOISE * torch.randn(parameter.shape, generator=draw, dtype=torch.float64,
                                               device=parameter.device))
    few = tuple(x[:FEW].to(torch.float64 if x.is_floating_point() else x.dtype, copy=True) for x in examples)
    with torch.no_grad(), torch.autocast(few[0].device.type, enabled=False):
        found = trial(_Grouped(twin, graph, channels_last), twin, few)
        expected = twin(*few)
    return found.shape[2:] == expected.shape and float((found - expected).abs().max()) < 1e-6 * (
        1 + float(expected.abs().max())
    )


@dataclass(frozen=True)
class _Place:
    """Stands for a value, which is known by its number."""

    number: int


@dataclass(frozen=True)
class _Step:
    run: Callable[..., Value]  # (call, *args, **kwargs)
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: int
    over: tuple[int, ...]  # values that nobody needs afterwards


class _Grouped:
    def __init__(self, module: nn.Module, graph: fx.Graph, channels_last: bool) -> None:
        self._steps, self._last = _compiled(graph, module)
        self._channels_last = channels_last
        self._norms = statistics(module)

    def logits(self, parameters: Tensors, buffers: Tensors, inputs: Inputs) -> Tensor:
        check_statistics(self._norms, buffers)
        call = Call(shape_of(parameters, buffers), parameters, buffers, self._channels_last)
        values = {number: Value(x.flatten(0, 1), False) for number, x in enumerate(inputs)}
        for step in self._steps:
            args = [values[arg.number] if isinstance(arg, _Place) else arg for arg in step.args]
            values[step.result] = step.run(call, *args, **step.kwargs)
            for number in step.over:
                del values[number]
        return call.by_replica(values[self._last])


def _compiled(graph: fx.Graph, module: nn.Module) -> tuple[list[_Step], int]:
    """The graph's steps, and the number of the value that comes out. Placeholders have the first numbers."""
    *nodes, output = graph.nodes
    nodes = sorted(nodes, key=lambda node: node.op != "placeholder")
    place = {node: _Place(number) for number, node in enumerate(nodes)}
    result = output.args[0]
    if not isinstance(result, fx.Node):
        raise Unsupported("one output")
    last_use = {used: node for node in nodes for used in node.all_input_nodes}
    steps = [
        _Step(
            run=_runner(node, module),
            args=fx.node.map_arg(node.args, lambda used: place[used]),  # type: ignore[arg-type, return-value]
            kwargs=dict(node.kwargs),
            result=place[node].number,
            over=tuple(place[used].number for used, last in last_use.items() if last is node and used is not result),
        )
        for node in nodes
        if node.op != "placeholder"
    ]
    return steps, place[result].number


def _runner(node: fx.Node, module: nn.Module) -> Callable[..., Value]:
    if any(isinstance(value, fx.Node) for value in node.kwargs.values()):
        raise Unsupported("values by position")
    if node.op == "call_module":
        name = str(node.target)
        layer = module.get_submodule(name)
        rule = module_rules().get(type(layer))
        what: tuple[Any, ...] = (name, layer)
    else:
        function = METHODS.get(str(node.target)) if node.op == "call_method" else node.target
        rule, what = FUNCTIONS.get(function), (function,)
    if rule is None:
        raise Unsupported(f"{node.op} {node.target}")
    return lambda call, *args, **kwargs: rule(call, *what, *args, **kwargs)
