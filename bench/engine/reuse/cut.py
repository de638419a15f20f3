"""Where a network is cut: what its frozen units put out is kept, and the rest runs on it (`replay.py`).

One pass records what the outermost modules of the frozen units put out. Finite logits that equal those of the whole
network, while all that is not kept is NaN, prove that nothing else before the cut is read. No graph is traced, and no
architecture is known here.
"""

import contextlib
import copy
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from bench.engine.reuse.replay import Call, CannotCut, Live, Name, Replay, Shape, Static, heard
from bench.engine.train.faults import pass_on
from bench.network.capture import in_eval_mode, outermost
from bench.network.units import Network

MOST = 4  # values that are kept of one image
NOISE = 0.01  # by which weights that learn are moved for the proof: behind a head of zeros all logits are equal
TOLERANCE = 1e-4  # of single precision, for other orders of summation


@dataclass(frozen=True)
class Whole:
    reason: str


@dataclass(frozen=True)
class Cut:
    """Where a network is cut. It holds names and shapes only, so it fits every state of the network."""

    static: Static
    live: Live
    frozen: tuple[str, ...]  # names of the parameters and buffers of the frozen units

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features."""
        return self.static.names


def cut(network: Network, example: Tensor, is_padded: bool = False) -> Cut | Whole:
    """`example`: two inputs or more, as the network takes them. Cuts before the first unit of which anything learns or
    is in training mode. `is_padded`: a batch is cut to its longest input, so the proof holds for shorter ones too. The
    network, its flags and every random state stay as they are."""
    assert len(example) >= 2
    depth = _frozen_units(network)
    if depth == 0:
        return Whole("something learns in its first unit")
    with _random_states_kept(example.device):
        try:
            # On a copy: some networks remember what they made of weights, which are moved here.
            found = _cut(copy.deepcopy(network), depth, example, is_padded)
            replay = replace(found.live.replay, whole=network.module)
            return replace(
                found, static=Static(network.module, found.static.calls, found.static.with_input),
                live=Live(network.module, replay),
            )  # fmt: skip
        except CannotCut as why:
            return Whole(str(why))
        except Exception as error:  # whatever a network does on the way: it can still run whole
            pass_on(error)
            return Whole(" ".join(f"could not be cut: {type(error).__name__}: {error}".split()))


def join(cuts: Sequence[Cut]) -> Static:
    """Of one network: the features of all of these in one pass."""
    calls = {call.name: call for one in cuts for call in one.static.calls}
    return Static(cuts[0].static.module, tuple(calls.values()), any(one.static.with_input for one in cuts))


def _cut(network: Network, depth: int, example: Tensor, is_padded: bool) -> Cut:
    module = network.module
    frozen = outermost([child for unit in network.modules[:depth] for child in unit])
    images = example[[0, 1, 0]]
    if images.is_floating_point():
        images = images + torch.randn_like(images)  # three that differ, whatever the example
    three, two = (_record(module, frozen, images[:num]) for num in (3, 2))
    _move(network, depth)
    moved = _record(module, frozen, images)
    settled = (name for name, output in three.items() if _is_same(output, moved.get(name)))
    # What does not grow with the batch was made without the images: a table of positions, say. It is made again.
    static = tuple(one for one in (_call(name, three[name], two.get(name)) for name in settled) if one.grows)
    if not static:
        raise CannotCut("no frozen module gives the same output in every step")
    image, names = _shape(images, images[:2]), network.names_below(depth)
    why = ""
    for num, with_input in product(range(1, min(MOST, len(static)) + 1), (False, True)):
        kept = static[-num:]
        cannot = [call for call in kept if not _can_be_kept(call)]
        if cannot:
            raise CannotCut(f"the output of {cannot[0].name[0]} is not one row for each example")
        replay = Replay(module, static, kept, None if with_input else image, length=images.shape[1] if is_padded else 0)
        found = Cut(Static(module, kept, with_input), Live(module, replay), tuple(sorted(names)))
        refusal = _refusal(network, found, images)
        if not refusal and is_padded:
            refusal = _refusal(network, found, images[:, : (images.shape[1] + 1) // 2])
        if not refusal:
            return found
        why = why or refusal
    raise CannotCut(why)


def _refusal(network: Network, found: Cut, images: Tensor) -> str:
    """Why this is no cut; nothing, where it is one. Finds out how the network treats what it is given."""
    replay = found.live.replay
    try:
        refusal = _disagreement(network, found, images)
    except RuntimeError as error:
        if "single memory location" not in str(error):
            raise
        replay.solid = True
        refusal = _disagreement(network, found, images)
    if refusal or replay.copies:
        return refusal
    replay.head = _only_head(network, found, images)
    if replay.head is not None and _disagreement(network, found, images):
        replay.head = None  # in evaluation there is more behind it
    return ""


def _frozen_units(network: Network) -> int:
    """How many units before the first of which anything learns or is in training mode."""
    for unit, (parameters, modules) in enumerate(zip(network.parameters, network.modules, strict=True)):
        if any(p.requires_grad for p in parameters.values()) or any(m.training for m in modules):
            return unit
    return network.num_units - 1


def _move(network: Network, depth: int) -> None:
    """All that may be otherwise in a step: what depends on it is not frozen."""
    with torch.no_grad():
        for unit in network.parameters[depth:]:
            for parameter in unit.values():
                parameter.add_(NOISE * torch.randn_like(parameter))


def _record(module: nn.Module, frozen: Sequence[nn.Module], images: Tensor) -> dict[Name, Any]:
    found: dict[Name, Any] = {}

    def take(name: Name, output: Any) -> None:
        leaves, tree = tree_flatten(output)
        found[name] = tree_unflatten([x.clone() if isinstance(x, Tensor) else x for x in leaves], tree)

    with torch.no_grad(), heard(module, frozen, take):
        module(images)
    return found


def _call(name: Name, at_three: Any, at_two: Any) -> Call:
    (leaves, tree), (others, _) = tree_flatten(at_three), tree_flatten(at_two)
    if len(leaves) != len(others) or any(a != b for a, b in zip(leaves, others, strict=True)
                                         if not isinstance(a, Tensor)):  # fmt: skip
        raise CannotCut(f"the output of {name[0]} changes with the size of the batch")
    shapes = tuple(_shape(a, b) if isinstance(a, Tensor) else None for a, b in zip(leaves, others, strict=True))
    return Call(name, tree, shapes, tuple(None if isinstance(x, Tensor) else x for x in leaves))


def _shape(at_three: Tensor, at_two: Tensor) -> Shape:
    sizes, grows = [], []
    for three, two in zip(at_three.shape, at_two.shape, strict=True):
        if three != two and 2 * three != 3 * two:
            raise CannotCut("a frozen module's output does not grow with the batch")
        grows.append(three != two)
        sizes.append(three // 3 if three != two else three)
    strides = at_three.stride()
    order = sorted(range(at_three.ndim), key=lambda dim: -strides[dim])
    return Shape(tuple(sizes), tuple(grows), tuple(order), at_three.dtype)


def _can_be_kept(call: Call) -> bool:
    return any(shape is not None for shape in call.shapes) and all(
        shape is None or shape.per_image[:1] == (True,) and not any(shape.per_image[1:]) for shape in call.shapes
    )


def _is_same(one: Any, other: Any) -> bool:
    (ones, _), (others, _) = tree_flatten(one), tree_flatten(other)
    return len(ones) == len(others) and all(
        torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a is b or a == b
        for a, b in zip(ones, others, strict=True)
    )


def _disagreement(network: Network, found: Cut, images: Tensor) -> str:
    """Where the cut network is not the whole one; nothing, where it is."""
    replay, features = found.live.replay, found.static(images)
    for one, other in zip(features, found.static(images[:2]), strict=True):
        if not _is_near(one[:2], other):
            return "the features of an example depend on the rest of its batch"
    for evaluating, num in product((True, False), (3, 2)):
        given = tuple(one[:num].clone() for one in features)
        with in_eval_mode(network.module) if evaluating else contextlib.nullcontext():
            whole = _run(network, network.module, (images[:num].clone(),))
            parts = _run(network, found.live, given)
        replay.copies |= any(not _is_near(one, two[:num]) for one, two in zip(given, features, strict=True))
        if not isinstance(whole.logits, Tensor):
            return "it returns more than logits"
        when = "evaluation" if evaluating else "training"
        if not bool(parts.logits.isfinite().all()) or not _is_near(parts.logits, whole.logits):
            return f"in {when}, the live part reads more than is kept"
        if any(not _is_near(one, other) for one, other in zip(parts.buffers, whole.buffers, strict=True)):
            return f"in {when}, its statistics depend on more than is kept"
    return ""


@dataclass(frozen=True)
class _Ran:
    logits: Any
    buffers: list[Tensor]


def _run(network: Network, run: Callable[..., Any], given: tuple[Tensor, ...]) -> _Ran:
    """From the same random state, and with the same buffers, whoever runs."""
    with _buffers_kept(network.module), torch.no_grad():
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 - transformers draws from it
        logits = run(*given)
        return _Ran(logits, [buffer.clone() for _, buffer in network.module.named_buffers()])


def _is_near(one: Tensor, other: Tensor) -> bool:
    if not one.dtype.is_floating_point:
        return torch.equal(one, other)
    scale = float(other.detach().abs().max()) if other.numel() else 0.0
    tolerance = TOLERANCE * (torch.finfo(one.dtype).eps / torch.finfo(torch.float32).eps) ** 0.5
    return one.shape == other.shape and bool(((one - other).abs() <= tolerance * max(scale, 1e-12)).all())


def _only_head(network: Network, found: Cut, images: Tensor) -> str | None:
    """The head's name, where it takes the one feature as it is and its output is the logits."""
    heads = outermost(network.modules[-1])
    if len(found.names) != 1 or len(heads) != 1:
        return None
    seen: list[tuple[Any, Any]] = []
    handle = heads[0].register_forward_hook(lambda module, inputs, output: seen.append((inputs, output)))
    try:
        with torch.no_grad():
            features = found.static(images)
            logits = found.live(*features)
    finally:
        handle.remove()
    if len(seen) != 1 or len(seen[0][0]) != 1 or seen[0][0][0] is not features[0] or seen[0][1] is not logits:
        return None
    names: dict[int, str] = {id(child): name for name, child in network.module.named_modules()}
    return names[id(heads[0])]


@contextmanager
def _buffers_kept(module: nn.Module) -> Iterator[None]:
    values = {name: tensor.clone() for name, tensor in module.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, tensor in module.named_buffers():
                tensor.copy_(values[name])


@contextmanager
def _random_states_kept(device: torch.device) -> Iterator[None]:
    devices = [device] if device.type != "cpu" else []
    # Asks for the state; nothing is drawn.
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices, device_type=device.type if devices else "cuda"):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002 - puts back, draws nothing
