"""The part of a network that is computed once, as a module of its own: nodes of one or several traces merged by their
digests, frozen copies of the modules they call, BatchNorm folded into the convolution before it.
"""

import copy
import sys
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, fx, nn
from torch.fx import Node
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bench.engine.trace import Facts

Find = Callable[[str], nn.Module | Tensor]  # target of a node -> what it names


def ancestors(nodes: Iterable[Node], stop: set[Node] | None = None) -> set[Node]:
    """These nodes and what feeds them, up to `stop`, which is left out."""
    found: set[Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found and not (stop and node in stop):
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found


def find_in(root: nn.Module) -> Find:
    def find(target: str) -> nn.Module | Tensor:
        inner: Any = root
        for name in target.split("."):
            inner = getattr(inner, name)
        assert isinstance(inner, nn.Module | Tensor)
        return inner

    return find


def frozen_copies(root: nn.Module, nodes: Iterable[Node]) -> dict[str, nn.Module | Tensor]:
    """By target: what the nodes use of the module, as it is now."""
    find, memo = find_in(root), dict[int, Any]()
    copies: dict[str, nn.Module | Tensor] = {}
    for target in sorted({str(node.target) for node in nodes if node.op in ("call_module", "get_attr")}):
        value = find(target)
        if isinstance(value, nn.Module):
            own = copies[target] = copy.deepcopy(value, memo)
            own.requires_grad_(False)
            own.eval()  # not chained: the `train` of some modules returns nothing
        else:
            copies[target] = value.detach().clone()
    return copies


class Merged:
    """Nodes of several traces as one graph: what has the same digest is computed once."""

    def __init__(self) -> None:
        self.graph = fx.Graph()
        self._made: dict[str, Node] = {}
        self._facts: dict[Node, Facts] = {}
        self._writes: dict[Node, list[Node]] = {}

    def add(self, nodes: Iterable[Node], facts: dict[Node, Facts]) -> dict[Node, Node]:
        """Nodes in order -> the nodes that stand for them here."""
        here: dict[Node, Node] = {}
        for node in nodes:
            own = facts[node]
            if own.alias is not None:
                here[node] = here[own.alias]
            elif own.digest in self._made:
                here[node] = self._made[own.digest]
            else:
                here[node] = self._made[own.digest] = self.graph.node_copy(node, here.__getitem__)
                self._facts[here[node]] = own
                self._writes[here[node]] = [here[n] for n in own.writes]
        return here

    def finish(self, outputs: Any, find: Find) -> fx.GraphModule:
        self.graph.output(outputs)
        self._protect()
        return assemble(self.graph, find)

    def _protect(self) -> None:
        """An in-place operation gets a copy to change where anything still reads what it would overwrite. Merging puts
        readers behind it that came before it in their own trace; the images belong to the caller."""
        position = {node: i for i, node in enumerate(self.graph.nodes)}
        for node in [n for n, own in self._facts.items() if own.overwrites]:
            if any(self._read_later(other, node, position) for other in self._sharing(node, position)):
                for given in set(self._writes[node]):
                    with self.graph.inserting_before(node):
                        own_copy = self.graph.call_method("clone", (given,))
                    node.replace_input_with(given, own_copy)
                    position[own_copy] = position[node]

    def _sharing(self, node: Node, position: dict[Node, int]) -> list[Node]:
        memory = self._facts[node].overwrites
        return [n for n, own in self._facts.items() if own.memory & memory and position[n] < position[node]]

    @staticmethod
    def _read_later(other: Node, node: Node, position: dict[Node, int]) -> bool:
        last = max((position[user] for user in other.users), default=0)
        return other.op == "placeholder" or last > position[node]


def assemble(graph: fx.Graph, find: Find) -> fx.GraphModule:
    """The graph with what it names, under the same names and not copied."""
    holder = fx.GraphModule(nn.Module(), fx.Graph())
    targets = {str(node.target) for node in graph.nodes if node.op in ("call_module", "get_attr")}
    for target in sorted(targets, key=lambda t: (t.count("."), t)):
        _install(holder, target, find(target))
    holder.graph = graph
    return holder


def _install(holder: nn.Module, target: str, value: nn.Module | Tensor) -> None:
    *path, name = target.split(".")
    for part in path:
        if not hasattr(holder, part):
            holder.add_module(part, nn.Module())
        holder = getattr(holder, part)
    if hasattr(holder, name):
        return  # came with a module further out
    if isinstance(value, nn.Module):
        holder.add_module(name, value)
    elif isinstance(value, nn.Parameter):
        holder.register_parameter(name, value)
    else:
        holder.register_buffer(name, value, persistent=False)


def fold_batchnorm(module: fx.GraphModule) -> None:
    """In evaluation a BatchNorm is a factor and a shift for each channel. Replaces modules, changes none."""
    calls = [node for node in module.graph.nodes if node.op == "call_module"]
    times = {str(node.target): 0 for node in calls}
    for node in calls:
        times[str(node.target)] += 1
    for norm in calls:
        given = norm.args[0] if norm.args else None
        if not isinstance(given, Node) or given.op != "call_module" or list(given.users) != [norm]:
            continue
        targets = (str(given.target), str(norm.target))
        alone = all(times[t] == 1 and not any(t.startswith(f"{other}.") for other in times) for t in targets)
        before, after = (module.get_submodule(t) for t in targets)
        rest = _after_norm(after)
        if alone and rest is not None and _is_plain_convolution(before):
            assert isinstance(before, nn.Conv2d)
            assert isinstance(after, nn.BatchNorm2d)
            _put(module, targets[0], fuse_conv_bn_eval(before, after))
            _put(module, targets[1], rest)
    module.recompile()


def _put(module: nn.Module, target: str, value: nn.Module) -> None:
    path, _, name = target.rpartition(".")
    setattr(module.get_submodule(path), name, value)


def _is_plain_convolution(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and _runs(module, nn.Conv2d, *_timm("Conv2dSame"))


def _after_norm(module: nn.Module) -> nn.Module | None:
    """What is left of a module when its normalisation is gone; None: it is not one to fold."""
    if not isinstance(module, nn.BatchNorm2d) or module.running_mean is None or module.running_var is None:
        return None
    if _runs(module, nn.BatchNorm2d):
        return nn.Identity()
    if _runs(module, *_timm("BatchNormAct2d")):
        return nn.Sequential(module.drop, module.act)  # type: ignore[arg-type]
    return None


def _runs(module: nn.Module, *classes: type[nn.Module]) -> bool:
    """Its forward is that of one of the classes, and nothing is hooked in."""
    hooked = module._forward_hooks or module._forward_pre_hooks or hasattr(module, "parametrizations")
    return not hooked and any(type(module).forward is cls.forward for cls in classes)


def _timm(name: str) -> tuple[type[nn.Module], ...]:
    """Imported only where it is already: it takes seconds."""
    if "timm" not in sys.modules:
        return ()
    from timm import layers

    return (getattr(layers, name),)
