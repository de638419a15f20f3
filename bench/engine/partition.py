"""Cuts a network where it begins to train: what cannot change is computed once for each image, the rest trains on it.

Decided over the traced graph (`trace.py`), with no code for any architecture. `fold.py` builds what is computed once,
`frontier.py` what crosses and what trains, and `agree.py` compares the cut network with the whole one before anybody
gets to see it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.fx import Node

from bench.engine.agree import Halves, disagreement
from bench.engine.fold import Merged, ancestors, assemble, fold_batchnorm, frozen_copies
from bench.engine.frontier import Feature, LiveGraph, Value, features_of, measure, output_node
from bench.engine.trace import Facts, Traced, describe_error, trace
from bench.engine.watch import CannotCut, random_state_kept

PEELS = 10  # at most so many nodes, one behind the other, are made live because their values cannot cross


@dataclass(frozen=True)
class Once:
    """What a cut computes once, before folding: cuts are joined from these."""

    nodes: tuple[Node, ...]  # in order
    facts: dict[Node, Facts]
    outputs: tuple[tuple[Feature, Node], ...]
    used: dict[str, nn.Module | Tensor]  # by target: frozen copies


@dataclass(frozen=True)
class Cut:
    digests: tuple[str, ...]  # one for each feature: how it is computed, whatever the weights and the rest of the cut
    static: nn.Module  # images [B, 3, H, W] -> the features, each [B, ...]; frozen copies that nothing moves
    live_train: nn.Module  # the features -> logits, on the module's own parameters, with its flags at the cut
    live_eval: nn.Module  # the same for modules that are in eval mode
    _once: Once = field(repr=False, compare=False)


@dataclass(frozen=True)
class Whole:
    reason: str  # one line


class Static(nn.Module):
    """Images -> features. Never in training mode, and without gradients even where the caller asks for them."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.train(False)

    def train(self, mode: bool = True) -> "Static":
        return super().train(False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return tuple(self.features(images))


class Joint(nn.Module):
    """Images -> the features of several cuts, by digest. What they share is computed once."""

    def __init__(self, static: Static, digests: Sequence[str]) -> None:
        super().__init__()
        self.static = static
        self.digests = tuple(digests)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.digests, self.static(images), strict=True))


def cut(module: nn.Module, example: Tensor) -> Cut | Whole:
    """`example`: two prepared images or more. The module, its flags and every random state stay as they are. For other
    flags (another phase of a recipe) cut again."""
    assert example.ndim == 4
    assert len(example) >= 2
    with random_state_kept(example.device):
        try:
            return _cut(module, example)
        except CannotCut as why:
            return Whole(str(why))
        except Exception as error:  # whatever a network does on the way: it can still run whole
            return Whole(f"could not be cut: {describe_error(error)}")


def join(cuts: Sequence[Cut]) -> Joint:
    """Of one module with the same weights at each cut."""
    assert cuts
    merged = Merged()
    used: dict[str, nn.Module | Tensor] = {}
    outputs: dict[str, Node] = {}
    for once in (one._once for one in cuts):
        _check_same_weights(used, once.used)
        used |= {target: value for target, value in once.used.items() if target not in used}
        here = merged.add(once.nodes, once.facts)
        for feature, node in once.outputs:
            if feature.digest not in outputs:
                outputs[feature.digest] = output_node(merged.graph, here[node], feature)
    joined = merged.finish(tuple(outputs.values()), used.__getitem__)
    fold_batchnorm(joined)
    return Joint(Static(joined), tuple(outputs))


def _check_same_weights(used: dict[str, nn.Module | Tensor], more: dict[str, nn.Module | Tensor]) -> None:
    for target in used.keys() & more.keys():
        ones, others = _values(used[target]), _values(more[target])
        if len(ones) != len(others) or not all(map(torch.equal, ones, others)):
            raise ValueError(f"cuts of different weights cannot be joined: {target} differs")


def _values(used: nn.Module | Tensor) -> list[Tensor]:
    return [used] if isinstance(used, Tensor) else list(used.state_dict().values())


def _cut(module: nn.Module, example: Tensor) -> Cut:
    images = example[[0, 1, 0]] + torch.randn_like(example[[0, 1, 0]])  # three that differ, whatever the example
    now = trace(module, images[1:], evaluating=False)
    needed, values = _crossing(now, _static_nodes(now), {}, images)
    features = list({f.digest: f for value in values.values() for f in features_of(value)}.values())
    once = _computed_once(now, values, features)
    train = LiveGraph(now, features)
    train.build(needed, values)

    later = trace(module, images[1:], evaluating=True)
    known = {now.facts[node].digest: value for node, value in values.items()}
    needed, values = _crossing(later, _settled(later, {f.node_digest for f in features}), known, images)
    evaluate = LiveGraph(later, features)
    evaluate.build(needed, values)

    halves = Halves(_static(once, folded=True), _static(once, folded=False), train, evaluate)
    why = disagreement(module, example, halves)
    if why is not None:
        raise CannotCut(why)
    return Cut(
        digests=tuple(f.digest for f in features),
        static=halves.static,
        live_train=assemble(train.graph, train.finder(module)),
        live_eval=assemble(evaluate.graph, evaluate.finder(module)),
        _once=once,
    )


def _static_nodes(traced: Traced) -> set[Node]:
    static: set[Node] = set()
    for node in traced.graph.nodes:
        if not traced.facts[node].source and all(n in static for n in node.all_input_nodes):
            static.add(node)
    return static


def _crossing(
    traced: Traced, settled: set[Node], known: dict[str, Value], images: Tensor
) -> tuple[list[Node], dict[Node, Value]]:
    """What has to run live, and the values that it reads of what does not. With `known` values (by digest), what
    depends on the pixels has to be among them. What cannot cross, such as a mean over the batch, runs live too."""
    for _ in range(PEELS):
        needed, read = _across(traced, settled)
        found = {n: known[traced.facts[n].digest] for n in read if traced.facts[n].digest in known}
        strange = [n for n in read if known and n not in found and traced.facts[n].content]
        refused = {n: f"evaluation reads {n.name}, which training does not" for n in strange}
        measured = measure(traced, [n for n in read if n not in found and n not in refused], images)
        refused |= measured.refused
        if not refused:
            return needed, {n: found[n] if n in found else measured.values[n] for n in read}
        if any(n.op == "placeholder" for n in refused):
            break
        settled = settled - refused.keys()
    raise CannotCut(next(iter(refused.values())))


def _across(traced: Traced, settled: set[Node]) -> tuple[list[Node], list[Node]]:
    """What of the rest has to run, and what of the settled nodes it reads; both in order."""
    nodes = list(traced.graph.nodes)
    output = nodes[-1]
    if not isinstance(output.args[0], Node):
        raise CannotCut("returns more than logits")
    settled = settled - {output}
    while True:
        needed = ancestors([output, *(n for n in nodes if traced.facts[n].effect)], stop=settled)
        read = {n for node in needed for n in node.all_input_nodes} - needed
        again = _quickly_made(traced, read)
        if not again:
            return [n for n in nodes if n in needed], [n for n in nodes if n in read]
        settled -= again


def _quickly_made(traced: Traced, read: set[Node]) -> set[Node]:
    """From features alone and without weights (DenseNet's `cat([x])` beside x, a pooled shortcut): to make it again
    takes less than to keep it."""
    kept = {traced.facts[n].digest for n in read}
    made = {n for n in read if traced.facts[n].content and not _has_state(traced, n)}
    return {n for n in made if all(i.op != "get_attr" and traced.facts[i].digest in kept for i in n.all_input_nodes)}


def _has_state(traced: Traced, node: Node) -> bool:
    called = traced.root.get_submodule(str(node.target)) if node.op == "call_module" else None
    return node.op == "placeholder" or bool(called is not None and called.state_dict())


def _computed_once(traced: Traced, values: dict[Node, Value], features: list[Feature]) -> Once:
    if not features:
        raise CannotCut("nothing that it computes once depends on the images")
    by_digest = {traced.facts[node].digest: node for node in values}
    outputs = tuple((f, by_digest[f.node_digest]) for f in features)
    wanted = ancestors(node for _, node in outputs)
    nodes = tuple(n for n in traced.graph.nodes if n in wanted)
    used = frozen_copies(traced.root, nodes)
    if not used:
        raise CannotCut("nothing is static")
    return Once(nodes, traced.facts, outputs, used)


def _static(once: Once, folded: bool) -> Static:
    merged = Merged()
    here = merged.add(once.nodes, once.facts)
    outputs = tuple(output_node(merged.graph, here[node], feature) for feature, node in once.outputs)
    module = merged.finish(outputs, once.used.__getitem__)
    if folded:
        fold_batchnorm(module)
    return Static(module)


def _settled(traced: Traced, features: set[str]) -> set[Node]:
    """Of the graph of evaluation, whose own dropout and BatchNorm are at rest: it is cut where the other one is."""
    settled = ancestors(n for n in traced.graph.nodes if traced.facts[n].digest in features)
    for node in traced.graph.nodes:
        facts = traced.facts[node]
        free = not facts.source and not facts.content and all(n in settled for n in node.all_input_nodes)
        if free or node.op == "placeholder":
            settled.add(node)
    return settled
