"""What each node of a traced graph does to one batch: draws random numbers, changes memory, hands an argument on.

Watched, not looked up by the operation's name.
"""

import operator
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.fx import Node
from torch.utils._pytree import tree_leaves

CONSTANT = "_constant_"  # begins the names of tensors that forward made without its input


class CannotCut(Exception):
    """Why a network has to run whole, in one line."""


def tensors_in(value: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def random_state(device: torch.device) -> tuple[Any, ...]:
    """Of every generator that a network could draw from."""
    own = torch.empty(0) if device.type == "cpu" else torch.get_device_module(device).get_rng_state(device)
    # Asks for the state; nothing is drawn.
    return torch.get_rng_state(), own, random.getstate(), np.random.get_state()  # noqa: NPY002


@contextmanager
def random_state_kept(device: torch.device) -> Iterator[None]:
    of_torch, own, of_python, of_numpy = random_state(device)
    try:
        yield
    finally:
        torch.set_rng_state(of_torch)
        if device.type != "cpu":
            torch.get_device_module(device).set_rng_state(own, device)
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002 - puts back, draws nothing


def same_state(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    same_torch = torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
    same_numpy = all(np.array_equal(a, b) for a, b in zip(one[3], other[3], strict=True))
    return same_torch and one[2] == other[2] and same_numpy


class Watch(fx.Interpreter):
    """Runs the graph once and keeps every value, so that memory addresses and ids stay those of one tensor."""

    def __init__(self, root: nn.Module, graph: fx.Graph, device: torch.device) -> None:
        super().__init__(root, garbage_collect_values=False, graph=graph)
        self.extra_traceback = False  # it would make the message of a CannotCut many lines
        self.device = device
        self._drawn = random_state(device)
        self.random: set[Node] = set()
        self.changes_state: set[Node] = set()
        self.changed_state: set[int] = set()  # addresses
        self.alias: dict[Node, Node] = {}
        self.writes: dict[Node, tuple[Node, ...]] = {}
        self.memory: dict[Node, frozenset[int]] = {}
        self._state = {address(t) for m in root.modules() for t in _tensors_of(m)} - {0}
        self._at: dict[int, list[Tensor]] = {}  # every tensor seen, by address
        self._latest: dict[int, Node] = {}  # id of a tensor -> the node that changed it last
        self._spoilt: dict[int, Node] = {}  # id of a tensor -> the node that changed it through another tensor

    def run_node(self, node: Node) -> Any:
        self._read_latest(node)
        arguments = [(n, t) for n in node.all_input_nodes for t in tensors_in(self.env[n])]
        versions = [t._version for _, t in arguments]
        held = [t for m in self._called(node) for t in _tensors_of(m)]
        held_versions = [t._version for t in held]
        value = super().run_node(node)
        before, self._drawn = self._drawn, random_state(self.device)
        if not same_state(before, self._drawn):
            self.random.add(node)
        after = [t for m in self._called(node) for t in _tensors_of(m)]
        changed = [t for t, version in zip(held, held_versions, strict=True) if t._version != version]
        changed += [t for t in held if not any(t is other for other in after)]
        written = [(n, t) for (n, t), version in zip(arguments, versions, strict=True) if t._version != version]
        changed += [t for _, t in written if address(t) in self._state]
        if changed:
            self.changes_state.add(node)
            self.changed_state.update(map(address, changed))
        self._note_writes(node, value, written)
        self._note_value(node, value)
        return value

    def _called(self, node: Node) -> Iterator[nn.Module]:
        if node.op == "call_module":
            yield from self.fetch_attr(str(node.target)).modules()

    def _read_latest(self, node: Node) -> None:
        """Makes it explicit that a node reads what in-place operations have left."""
        for given in node.all_input_nodes:
            value = self.env[given]
            if node.target is operator.getitem and isinstance(value, tuple | list) and isinstance(node.args[1], int):
                value = (value[node.args[1]],)
            for tensor in tensors_in(value):
                latest = self._latest.get(id(tensor), given)
                spoiler = self._spoilt.get(id(tensor))
                if spoiler is not None or (latest is not given and value is not tensor):
                    raise CannotCut(f"{node.name} reads memory that {(spoiler or latest).name} changed in place")
                if latest is not given:
                    node.replace_input_with(given, latest)

    def _note_writes(self, node: Node, value: Any, written: list[tuple[Node, Tensor]]) -> None:
        if not written:
            return
        self.writes[node] = tuple(n for n, _ in written)
        for given, tensor in written:
            if value is tensor:
                self._latest[id(tensor)] = node
            else:
                self._spoilt[id(tensor)] = node
            for other in self._at.get(address(tensor), []):
                if other is not tensor and overlap(other, tensor):
                    self._spoilt[id(other)] = node
            if str(given.target).startswith(CONSTANT):
                raise CannotCut(f"{node.name} changes a constant in place")
        if len({(address(t), id(t)) for _, t in written}) > len({address(t) for _, t in written}):
            raise CannotCut(f"{node.name} changes one of two arguments that share memory")

    def _note_value(self, node: Node, value: Any) -> None:
        tensors = tensors_in(value)
        self.memory[node] = frozenset(map(address, tensors)) - {0}
        for tensor in tensors:
            others = self._at.setdefault(address(tensor), [])
            if not any(tensor is other for other in others):
                others.append(tensor)
        same = [n for n in node.all_input_nodes if self.env[n] is value and isinstance(value, Tensor)]
        # Resting dropout, not a method: `x.float()` and `x.contiguous()` can differ from x where autocast or another
        # memory format is on.
        if same and node.op in ("call_module", "call_function") and node not in self.writes:
            self.alias[node] = same[0]


def _tensors_of(module: nn.Module) -> list[Tensor]:
    """Of this module alone: parameters, buffers, and tensors kept as plain attributes."""
    kept = [*module._parameters.values(), *module._buffers.values(), *vars(module).values()]
    return [t for t in kept if isinstance(t, Tensor)]


def address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def overlap(one: Tensor, other: Tensor) -> bool:
    """Of two tensors in one storage, element by element: the parts of a split share memory but no element."""
    if one.element_size() != other.element_size():
        return True
    size = one.untyped_storage().nbytes() // one.element_size()
    marked = torch.zeros(size, dtype=torch.bool)
    marked.as_strided(one.shape, one.stride(), one.storage_offset()).fill_(True)
    return bool(marked.as_strided(other.shape, other.stride(), other.storage_offset()).any())
