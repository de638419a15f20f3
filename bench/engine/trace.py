"""The graph of a network as it runs with its flags as they are now, and the facts about each of its nodes from which
`partition.py` decides what can be computed once. `watch.py` finds out what a node does.
"""

import copy
import hashlib
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx import Node
from torch.nn.modules.batchnorm import _BatchNorm

from bench.engine.watch import CONSTANT, CannotCut, Watch, address, random_state, same_state
from bench.keys import digest


@dataclass(frozen=True)
class Facts:
    """Of one node."""

    digest: str  # of the computation up to here: operations, module paths, constants; no weights
    source: bool  # live by itself, whatever feeds it
    effect: bool  # draws random numbers or changes the module's state: it must run even if nothing reads it
    content: bool  # depends on the pixels, not only on their shape
    alias: Node | None  # the argument that it handed on unchanged
    memory: frozenset[str]  # where its value lies: digests of the first nodes whose values lay there
    writes: tuple[Node, ...]  # arguments that it changed in place
    overwrites: frozenset[str]  # their memory


@dataclass(frozen=True)
class Traced:
    root: nn.Module  # the copy that was traced (see `shadow`)
    graph: fx.Graph  # a node that reads what an in-place operation has changed reads that operation's node
    facts: dict[Node, Facts]


def shadow(module: nn.Module, evaluating: bool, instead: dict[int, nn.Parameter] | None = None) -> nn.Module:
    """A copy to trace and to try things on: the same parameters (or those that stand in `instead` under their ids),
    everything else its own, so nothing that runs on it moves the module's buffers or counters."""
    memo: dict[int, Any] = {id(p): p for p in module.parameters()} | (instead or {})
    # A module has a dozen empty places for hooks, and copying those would take longer than all the rest.
    places = (value for one in module.modules() for value in vars(one).values())
    memo |= {id(place): OrderedDict() for place in places if type(place) is OrderedDict and not place}
    own = copy.deepcopy(module, memo)
    own.train()  # also drops what a network remembers between evaluations: LeViT its attention biases
    own.eval()
    if not evaluating:
        for mine, its in zip(own.modules(), module.modules(), strict=True):
            mine.training = its.training
    return own


def trace(module: nn.Module, images: Tensor, evaluating: bool) -> Traced:
    root = shadow(module, evaluating)
    before = set(vars(root))
    drawn = random_state(images.device)
    try:
        with torch.enable_grad(), _no_autocast_inside():
            graph = _Tracer().trace(root)
    except CannotCut:
        raise
    except Exception as error:
        raise CannotCut(f"did not trace: {describe_error(error)}") from error
    if not same_state(drawn, random_state(images.device)):
        raise CannotCut("draws random numbers that its graph does not show")
    _name_by_content(root, graph, sorted(set(vars(root)) - before))
    watch = Watch(root, graph, images.device)
    with torch.no_grad():
        watch.run(images)
    return Traced(root, graph, _gather(root, graph, watch))


@contextmanager
def _no_autocast_inside() -> Iterator[None]:
    """A graph forgets a region with arithmetic of its own, and in full precision nobody would see it."""
    enter = torch.autocast.__enter__

    def refuse(self: object) -> None:
        raise CannotCut("switches autocast in its forward")

    torch.autocast.__enter__ = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.autocast.__enter__ = enter  # type: ignore[method-assign]


def describe_error(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


def _notrace() -> tuple[tuple[type[nn.Module], ...], tuple[Callable[..., Any], ...]]:
    """What timm wants called as one node. Importing timm takes seconds, and no network of its is here without it."""
    if "timm" not in sys.modules:
        return (), ()
    from timm.models._features_fx import get_notrace_functions, get_notrace_modules

    modules = get_notrace_modules()  # type: ignore[no-untyped-call]
    functions = get_notrace_functions()  # type: ignore[no-untyped-call]
    return tuple(modules), tuple(f for f in functions if callable(f))


class _Tracer(fx.Tracer):
    proxy_buffer_attributes = True  # else arithmetic among buffers happens once, while tracing, and is a constant then

    def __init__(self) -> None:
        self._leaves, functions = _notrace()
        super().__init__(autowrap_functions=functions)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self._leaves) or super().is_leaf_module(m, module_qualified_name)

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        # Images only. torch.fx would make symbols of `mask=None` too, and `mask is not None` would hold.
        return root_fn, [self.root, self.create_proxy("placeholder", "images", (), {})]


def _name_by_content(root: nn.Module, graph: fx.Graph, names: Sequence[str]) -> None:
    """Tensors that forward made without its input are stored on the root, numbered in order of appearance. The number
    differs between traces of one network, so they are named by what they hold."""
    new: dict[str, str] = {}
    for name in names:
        value = getattr(root, name)
        if not isinstance(value, Tensor):
            raise CannotCut(f"computes with a {type(value).__name__}")
        if value.requires_grad:
            raise CannotCut("computes with its parameters where its graph does not show it")
        content = hashlib.sha256(bytes(value.cpu().reshape(-1).contiguous().view(torch.uint8).numpy())).hexdigest()
        new[name] = CONSTANT + digest([str(value.dtype), list(value.shape), content])
        setattr(root, new[name], value)
    for node in graph.nodes:
        if node.op == "get_attr" and node.target in new:
            node.target = new[node.target]


_ATTRIBUTES_OF_SHAPE = {"shape", "dtype", "device", "ndim", "layout"}
_METHODS_OF_SHAPE = {
    "size", "dim", "ndimension", "numel", "get_device", "is_floating_point",
    "new_zeros", "new_ones", "new_full", "new_empty",
}
_FUNCTIONS_OF_SHAPE = (
    len, torch.numel, torch.is_floating_point,
    torch.zeros_like, torch.ones_like, torch.full_like, torch.empty_like,
)


def _asks_for_shape(node: Node) -> bool:
    if node.op == "call_method":
        return node.target in _METHODS_OF_SHAPE
    if node.target is getattr:
        return node.args[1] in _ATTRIBUTES_OF_SHAPE
    return any(node.target is function for function in _FUNCTIONS_OF_SHAPE)


def _gather(root: nn.Module, graph: fx.Graph, watch: Watch) -> dict[Node, Facts]:
    facts: dict[Node, Facts] = {}
    first: dict[int, str] = {}  # address -> digest
    for node in graph.nodes:
        source = _is_source(node, root, watch)
        alias = None if source else watch.alias.get(node)
        given = node.all_input_nodes
        own = facts[alias].digest if alias is not None else _digest(node, root, facts)
        writes = watch.writes.get(node, ())
        facts[node] = Facts(
            digest=own,
            source=source,
            effect=node in watch.random or node in watch.changes_state,
            content=node.op == "placeholder" or any(facts[n].content for n in given[_asks_for_shape(node) :]),
            alias=alias,
            memory=frozenset(first.setdefault(where, own) for where in watch.memory[node]),
            writes=writes,
            overwrites=frozenset(memory for n in writes for memory in facts[n].memory),
        )
    return facts


def _is_source(node: Node, root: nn.Module, watch: Watch) -> bool:
    if node in watch.random or node in watch.changes_state:
        return True
    if node.op == "call_module":
        called = root.get_submodule(str(node.target))
        return any(p.requires_grad for p in called.parameters()) or any(map(_uses_batch, called.modules()))
    if node.op == "get_attr":
        value = watch.env[node]
        if not isinstance(value, Tensor):
            raise CannotCut(f"passes {node.target}, a {type(value).__name__}, to a function")
        return value.requires_grad or address(value) in watch.changed_state
    return False


def _uses_batch(module: nn.Module) -> bool:
    """A BatchNorm that takes its statistics from the batch; one that keeps none does it in evaluation too."""
    return isinstance(module, _BatchNorm) and (module.training or module.running_mean is None)


def _digest(node: Node, root: nn.Module, facts: dict[Node, Facts]) -> str:
    what = _name(node.target) if callable(node.target) else str(node.target)
    if node.op == "placeholder":
        what = "images"
    if node.op == "call_module":
        kind = type(root.get_submodule(what))
        what += f": {kind.__module__}.{kind.__qualname__}"
    return digest([node.op, what, _plain(node.args, facts), _plain(node.kwargs, facts)])


def _plain(value: Any, facts: dict[Node, Facts]) -> Any:
    """An argument as text and lists. Without an address, an ordering by chance, or two values that look alike."""
    if isinstance(value, Node):
        return f"node {facts[value].digest}"
    if isinstance(value, tuple | list):
        return ["sequence", *(_plain(v, facts) for v in value)]
    if isinstance(value, dict):
        return ["mapping", *([str(k), _plain(value[k], facts)] for k in sorted(value, key=str))]
    if isinstance(value, slice):
        return ["slice", *(_plain(v, facts) for v in (value.start, value.stop, value.step))]
    if callable(value):
        return ["callable", _name(value)]
    text = repr(value)
    if " at 0x" in text:
        raise CannotCut(f"an argument of type {type(value).__name__} has no lasting name")
    return [type(value).__name__, text]


def _name(function: Any) -> str:
    """Under which others find it too. `F.max_pool2d` is a closure, yet known by its plain name in its module."""
    name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", None) or ""
    plain = getattr(function, "__name__", "")
    if "<" in name and getattr(sys.modules.get(module), plain, None) is function:
        name = plain
    if not name or "<" in name:
        raise CannotCut(f"calls {plain or type(function).__name__}, which has no lasting name")
    return f"{module}.{name}"
