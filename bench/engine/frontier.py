"""What crosses from the part that is computed once to the part that trains: features, and what is no feature (sizes,
constants), which the live graph makes by itself. The kind is found out by computing each value for 2 and for 3 images.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx import Node
from torch.overrides import handle_torch_function, has_torch_function_unary

from bench.engine.fold import Find, Merged, ancestors, find_in
from bench.engine.trace import Traced
from bench.engine.watch import CONSTANT, CannotCut
from bench.keys import digest


@dataclass(frozen=True)
class Feature:
    """Handed over as [B, ...], or [B, count, ...] where the network has B * count rows (windows, say)."""

    digest: str
    node_digest: str  # another one where the node gives a tuple, of which this is a member
    path: tuple[int, ...]  # member of the node's value
    dim: int  # of the network's value, where its batch lies
    count: int
    channels_last: bool = False  # in memory, in the network: dropout draws in that order


@dataclass(frozen=True)
class Fixed:
    value: Any  # a tensor, too


@dataclass(frozen=True)
class PerImage:
    count: int  # times the size of the batch


@dataclass(frozen=True)
class Rows:
    """The same rows for every image."""

    row: Tensor  # [1, ...]
    dim: int
    count: int


@dataclass(frozen=True)
class Group:
    make: Callable[[tuple[Any, ...]], Any]
    members: tuple["Value", ...]


Value = Feature | Fixed | PerImage | Rows | Group


def close(one: Tensor, other: Tensor) -> bool:
    return deviation(one, other) <= tolerance(other)


def deviation(one: Tensor, other: Tensor) -> float:
    """Largest difference, as a share of the largest value of `other`."""
    return deviation_together([one], [other])


def deviation_together(ones: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """As if each side were one long vector."""
    pairs = list(zip(ones, others, strict=True))
    if any(one.shape != other.shape or one.dtype != other.dtype for one, other in pairs):
        return float("inf")
    different = [(one, other) for one, other in pairs if not torch.equal(one, other)]  # equal infinities are equal
    if not different:
        return 0.0
    if not all(other.is_floating_point() for _, other in different):
        return float("inf")
    apart = torch.stack([(one - other).abs().max() for one, other in different]).max()
    largest = torch.stack([other.abs().max() for other in others]).max()
    share = (apart / largest).item() if largest.isfinite() else float("inf")
    return share if share == share else float("inf")  # nan


def tolerance(value: Tensor) -> float:
    return {torch.float64: 1e-9, torch.float32: 1e-3}.get(value.dtype, 3e-2)


def features_of(value: Value) -> list[Feature]:
    if isinstance(value, Feature):
        return [value]
    return [f for member in value.members for f in features_of(member)] if isinstance(value, Group) else []


def present(value: Any, feature: Feature | Rows) -> Any:
    """As the network has it -> [B, ...]. Of tensors, or of nodes in a graph through `_Call`."""
    if feature.count > 1:
        value = value.unflatten(feature.dim, (-1, feature.count))
    return value.movedim(feature.dim, 0) if feature.dim else value


def restore(value: Any, feature: Feature | Rows) -> Any:
    if feature.dim:
        value = value.movedim(0, feature.dim)
    if feature.count > 1:
        value = value.flatten(feature.dim, feature.dim + 1)
    return value.contiguous() if feature.dim else value


class _Call:
    """A node that takes method calls as a tensor does."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def __getattr__(self, method: str) -> Callable[..., "_Call"]:
        return lambda *arguments: _Call(self.node.graph.call_method(method, (self.node, *arguments)))


def output_node(graph: fx.Graph, node: Node, feature: Feature) -> Node:
    for index in feature.path:
        node = graph.call_function(operator.getitem, (node, index))
    shown: Node = present(_Call(node), feature).node
    return shown


@dataclass(frozen=True)
class Measured:
    values: dict[Node, Value]
    refused: dict[Node, str]  # why it cannot cross


def measure(traced: Traced, nodes: Sequence[Node], images: Tensor) -> Measured:
    """`images`: three different ones. The nodes are static."""
    values: dict[Node, Value] = {n: Fixed(None) for n in nodes if n.op == "get_attr"}  # the live graph asks itself
    refused: dict[Node, str] = {}
    nodes = [n for n in nodes if n not in values]
    if nodes:
        wanted = ancestors(nodes)
        merged = Merged()
        here = merged.add((n for n in traced.graph.nodes if n in wanted), traced.facts)
        module = merged.finish([here[n] for n in nodes], find_in(traced.root))
        with torch.no_grad():
            small, large = module(images[1:]), module(images)
        for node, *pair in zip(nodes, small, large, strict=True):
            try:
                values[node] = describe(_Pair(traced, node), *pair)
            except CannotCut as why:
                refused[node] = str(why)
    return Measured(values, refused)


@dataclass(frozen=True)
class _Pair:
    traced: Traced
    node: Node
    path: tuple[int, ...] = ()

    @property
    def content(self) -> bool:
        return self.traced.facts[self.node].content

    def refuse(self, why: str) -> CannotCut:
        return CannotCut(f"{self.node.name} {why}")


def describe(of: _Pair, small: Any, large: Any) -> Value:
    """A value as computed for images 1 and 2, and for images 0, 1 and 2."""
    if isinstance(small, Tensor) and isinstance(large, Tensor):
        return _describe_tensor(of, small, large)
    if isinstance(small, tuple | list) and type(small) is type(large) and len(small) == len(large):
        pairs = enumerate(zip(small, large, strict=True))
        members = [describe(_Pair(of.traced, of.node, (*of.path, i)), a, b) for i, (a, b) in pairs]
        return Group(torch.Size if isinstance(small, torch.Size) else type(small) if type(small) is list else tuple,
                     tuple(members))
    if of.content and small is not None:
        raise of.refuse("computes a number from the pixels")
    if type(small) is type(large) and small == large:
        return Fixed(small)
    if type(small) is int and type(large) is int and 3 * small == 2 * large:
        return PerImage(small // 2)
    raise of.refuse(f"is {small!r} for two images and {large!r} for three")


def _describe_tensor(of: _Pair, small: Tensor, large: Tensor) -> Value:
    if small.ndim != large.ndim:
        raise of.refuse("has another number of dimensions for another number of images")
    differ = [d for d, (a, b) in enumerate(zip(small.shape, large.shape, strict=True)) if a != b]
    if not differ and not of.content and torch.equal(small, large):
        return Fixed(small.clone())
    if len(differ) != 1 or 3 * small.shape[differ[0]] != 2 * large.shape[differ[0]]:
        raise of.refuse(f"has no batch dimension: {list(small.shape)} for two images, {list(large.shape)} for three")
    own = of.traced.facts[of.node].digest
    name = digest([own, *of.path]) if of.path else own
    feature = Feature(name, own, of.path, differ[0], small.shape[differ[0]] // 2, _is_channels_last(small))
    two, three = present(small, feature), present(large, feature)
    if of.content:
        if not close(two, three[1:]):
            raise of.refuse("gives an image another value in another batch")
        return feature
    if not torch.equal(three, three[:1].expand_as(three)) or not torch.equal(two, three[1:]):
        raise of.refuse("differs between images without looking at them")
    return Rows(three[:1].clone(), feature.dim, feature.count)


def _is_channels_last(value: Tensor) -> bool:
    return value.ndim == 4 and value.is_contiguous(memory_format=torch.channels_last) and not value.is_contiguous()


def as_channels_last(value: Tensor) -> Tensor:
    """Stacked replicas stay as they are: nothing random is live in a fleet, so their layout decides nothing."""
    if has_torch_function_unary(value):  # a symbol: forms trace the live part again
        made: Tensor = handle_torch_function(as_channels_last, (value,), value)
        return made
    if value.ndim != 4 or torch._C._functorch.is_batchedtensor(value):
        return value
    return value.contiguous(memory_format=torch.channels_last)


class LiveGraph:
    """The nodes that train, fed by features."""

    def __init__(self, traced: Traced, features: Sequence[Feature]) -> None:
        self.graph = fx.Graph()
        self.constants: dict[str, Tensor] = {}
        self._traced = traced
        self._given = {f.digest: self.graph.placeholder(f"feature{i}") for i, f in enumerate(features)}
        self._batch: Node | None = None

    def build(self, live: Iterable[Node], crossing: Mapping[Node, Value]) -> None:
        """Live nodes in order, the output among them; values for what they read of the others."""
        live = list(live)
        facts = self._traced.facts
        changed = frozenset(memory for n in live for memory in facts[n].overwrites)
        here: dict[Node, Any] = {}
        for node, value in crossing.items():
            if node.op == "get_attr":
                here[node] = self.graph.node_copy(node)
            else:
                here[node] = self._make(value, copied=bool(facts[node].memory & changed))
        for node in live:
            if node.op == "output":
                self.graph.output(here[node.args[0]])  # type: ignore[index]
            else:
                here[node] = self.graph.node_copy(node, here.__getitem__)

    def finder(self, root: nn.Module) -> Find:
        """Constants of this graph, tensors that forward makes, and the rest from `root`."""
        of_root, of_trace = find_in(root), find_in(self._traced.root)

        def find(target: str) -> nn.Module | Tensor:
            if target in self.constants:
                return self.constants[target]
            return of_trace(target) if target.startswith(CONSTANT) else of_root(target)

        return find

    def _make(self, value: Value, copied: bool) -> Any:
        """`copied`: a live node changes it in place, and a constant or another reader must not notice."""
        if isinstance(value, Group):
            members = tuple(self._make(member, copied) for member in value.members)
            if value.make is torch.Size:
                return self.graph.call_function(torch.Size, (members,))
            return value.make(members)
        if isinstance(value, PerImage):
            return self.graph.call_function(operator.mul, (self._size(), value.count))
        if isinstance(value, Fixed) and not isinstance(value.value, Tensor):
            return value.value
        made = _Call(self._tensor(value))
        if not isinstance(value, Fixed):
            made = restore(made, value)
        return (made.clone() if copied else made).node

    def _tensor(self, value: Feature | Fixed | Rows) -> Node:
        if isinstance(value, Feature):
            given = self._given[value.digest]
            if not value.channels_last or value.dim or value.count > 1:
                return given
            return self.graph.call_function(as_channels_last, (given,))
        name = f"_frozen_{len(self.constants)}"
        self.constants[name] = value.value if isinstance(value, Fixed) else value.row
        kept = self.graph.create_node("get_attr", name)
        if isinstance(value, Fixed):
            return kept
        return self.graph.call_method("expand", (kept, self._size(), *[-1] * (value.row.ndim - 1)))

    def _size(self) -> Node:
        if self._batch is None:
            self._batch = self.graph.call_method("size", (next(iter(self._given.values())), 0))
        return self._batch
