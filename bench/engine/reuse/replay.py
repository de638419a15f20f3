"""Frozen modules that answer from what was kept, while the rest of the network runs as ever.

In a step the network's own forward runs; the last frozen modules answer with what was kept of the images at hand, all
earlier ones with NaN of the right shape. `cut.py` finds out where this is the same as the whole network.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from bench.network.capture import in_eval_mode

Inputs = tuple[Tensor, ...]
Name = tuple[str, int]  # of a call: the module, and which of its calls in a pass


class CannotCut(Exception):
    """Why a network has to run whole, in one line."""


@dataclass(frozen=True)
class Shape:
    """Of a tensor in a pass over any number of images."""

    sizes: tuple[int, ...]
    per_image: tuple[bool, ...]  # by dimension: whether its size is that of one image
    order: tuple[int, ...]  # of the dimensions in memory, the slowest first: random masks follow it
    dtype: torch.dtype

    def of(self, num_images: int, lengths: tuple[int, int]) -> tuple[int, ...]:
        """`lengths`: of padded rows when this was found, and now."""
        before, now = lengths
        sizes = (now if place == 1 and size == before else size for place, size in enumerate(self.sizes))
        return tuple(size * num_images if grows else size for size, grows in zip(sizes, self.per_image, strict=True))

    def poison(self, lead: Tensor, lengths: tuple[int, int], solid: bool) -> Tensor:
        """For as many images as `lead` has, and where it is. One number in the shape of many takes no memory; `solid`
        is for networks that write to it. Whole numbers have no NaN: there the proof rests on equal logits alone."""
        value, sizes = float("nan") if self.dtype.is_floating_point else 0, self.of(len(lead), lengths)
        device = lead.device
        if solid:
            return torch.full(sizes, value, dtype=self.dtype, device=device)
        return torch.full((1,) * len(sizes), value, dtype=self.dtype, device=device).expand(sizes)


@dataclass(frozen=True)
class Call:
    """A call of a frozen module that comes to the same in every step."""

    name: Name
    tree: TreeSpec  # of what it returns
    shapes: tuple[Shape | None, ...]  # of its tensors; None: another value
    constants: tuple[Any, ...]  # these values; None: a tensor

    @property
    def grows(self) -> bool:
        return any(any(shape.per_image) for shape in self.shapes if shape is not None)


class Static:
    """Images -> features, each [B, ...], of the network as it is now: nobody but the caller knows that its frozen units
    are at their start. Computes nothing behind the last feature."""

    def __init__(self, module: nn.Module, calls: tuple[Call, ...], with_input: bool) -> None:
        """`with_input`: the input itself is a feature too, the last one."""
        self.module, self.calls, self.with_input = module, calls, with_input

    @property
    def names(self) -> tuple[str, ...]:
        return (*(name for call in self.calls for name in _feature_names(call)), *(("input",) * self.with_input))

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Inputs:
        wanted = {call.name: call for call in self.calls}
        found: dict[Name, list[Tensor]] = {}

        def take(name: Name, output: Any) -> None:
            if name in wanted:
                shapes = wanted[name].shapes
                leaves, _ = tree_flatten(output)
                found[name] = [
                    leaf.clone() for leaf, shape in zip(leaves, shapes, strict=True) if shape is not None
                ]  # before anyone changes it in place
                if len(found) == len(wanted):
                    raise _EnoughError

        modules = [self.module.get_submodule(name) for name in dict.fromkeys(name for name, _ in wanted)]
        with in_eval_mode(self.module), heard(self.module, modules, take), contextlib.suppress(_EnoughError):
            self.module(images)
        if len(found) < len(wanted):
            raise CannotCut("training and evaluation call different frozen modules")
        features = (leaf for call in self.calls for leaf in found[call.name])
        return (
            *(one if len(one) == len(images) else torch.unflatten(one, 0, (len(images), -1)) for one in features),
            *((images,) * self.with_input),
        )


class Live(nn.Module):
    """Features -> logits, on the network's own parameters, with its flags as they are when it runs. Has the network's
    parameters, buffers and modules by the same names."""

    _replay: "Replay"

    def __init__(self, module: nn.Module, replay: "Replay") -> None:
        super().__init__()
        self._parameters, self._buffers, self._modules = module._parameters, module._buffers, module._modules
        self._non_persistent_buffers_set = module._non_persistent_buffers_set
        # Past nn.Module, which would take the network for a child, and a field for a child of the same name.
        self.__dict__["_replay"] = replay

    @property
    def replay(self) -> "Replay":
        return self._replay

    @property
    def only_head(self) -> str | None:
        """Name of a module that is all there is behind the features."""
        return self._replay.head

    def forward(self, *features: Tensor) -> Tensor:
        logits: Tensor = self._replay.logits(features)
        return logits


@dataclass
class Replay:
    whole: nn.Module
    static: tuple[Call, ...]
    kept: tuple[Call, ...]
    image: Shape | None  # of an input; None: the last feature is the input
    head: str | None = None
    solid: bool = False
    copies: bool = False  # the features, because the network writes to them
    length: int = 0  # of padded rows, which may be shorter in a step; 0: there are none

    def logits(self, features: tuple[Tensor, ...]) -> Any:
        if self.head is not None:
            return self.whole.get_submodule(self.head)(*features)
        lead, answers = features[0], self._answers(features)
        lengths = self.length, features[-1].shape[1] if self.image is None and self.length else self.length

        def answer(call: Call) -> list[Any]:
            return answers.get(call.name) or [
                constant if shape is None else shape.poison(lead, lengths, self.solid)
                for shape, constant in zip(call.shapes, call.constants, strict=True)
            ]

        given = self._own(features[-1]) if self.image is None else self.image.poison(lead, lengths, self.solid)
        with _answering(self.whole, self.static, answer):
            return self.whole(given)

    def _answers(self, features: tuple[Tensor, ...]) -> dict[Name, list[Any]]:
        given = iter(features)
        return {
            call.name: [
                constant if shape is None else self._laid_out(next(given), shape)
                for shape, constant in zip(call.shapes, call.constants, strict=True)
            ]
            for call in self.kept
        }

    def _laid_out(self, feature: Tensor, shape: Shape) -> Tensor:
        """As the module would have put it out."""
        if shape.sizes[0] > 1:
            feature = feature.flatten(0, 1)
        if shape.order != tuple(range(len(shape.order))):
            back = sorted(range(len(shape.order)), key=shape.order.__getitem__)
            feature = feature.permute(shape.order).contiguous().permute(back)
        return self._own(feature)

    def _own(self, feature: Tensor) -> Tensor:
        return feature.clone() if self.copies else feature


def _feature_names(call: Call) -> list[str]:
    module, number = call.name
    return [f"{module}:{number}:{place}" for place, shape in enumerate(call.shapes) if shape is not None]


class _EnoughError(Exception):
    """All features are known."""


@contextmanager
def heard(module: nn.Module, modules: Sequence[nn.Module], take: Callable[[Name, Any], None]) -> Iterator[None]:
    """Every output of these modules, in order."""
    names = {id(child): name for name, child in module.named_modules()}
    calls: Counter[str] = Counter()

    def hook(child: nn.Module, inputs: Any, output: Any) -> None:
        name = names[id(child)]
        calls[name] += 1
        take((name, calls[name] - 1), output)

    handles = [child.register_forward_hook(hook) for child in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _answering(module: nn.Module, static: Sequence[Call], answer: Callable[[Call], list[Any]]) -> Iterator[None]:
    """Meanwhile these calls are answered, and not made."""
    known = {call.name: call for call in static}
    calls: Counter[str] = Counter()
    before: dict[str, tuple[nn.Module, Any]] = {}

    def stub(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def answered(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            call = known.get((name, calls[name] - 1))
            return forward(*args, **kwargs) if call is None else tree_unflatten(answer(call), call.tree)

        return answered

    try:
        for name in dict.fromkeys(name for name, _ in known):
            child = module.get_submodule(name)
            before[name] = (child, child.__dict__.get("forward"))
            child.__dict__["forward"] = stub(name, child.forward)
        yield
    finally:
        for child, own in before.values():
            if own is None:
                del child.__dict__["forward"]
            else:
                child.__dict__["forward"] = own
