"""What passes by while a network runs, and its modes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import NotApplicable
from bench.spec.parts import Net

ROUNDING = 1e-2  # distance of rows of length one that differ by bf16's rounding at most


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Leaves every module in the mode it was in."""
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for each, training in modes.items():
            each.training = training


def put(state: Mapping[str, Tensor], module: nn.Module) -> None:
    """Sets every tensor of the module's state in place."""
    own = module.state_dict()
    with torch.no_grad():
        torch._foreach_copy_(list(own.values()), [state[name] for name in own])
    with in_eval_mode(module):
        pass  # LeViT remembers what it made of its weights until its mode is set


@dataclass
class Seen:
    """What passed by while a network ran."""

    features: list[Tensor] = field(default_factory=list)
    units: dict[int, Tensor] = field(default_factory=dict)
    channels_last: bool = False  # whether maps come as [B, H, W, C]
    real: Tensor | None = None  # [B, L], of inputs that are rows of tokens: which are no padding
    num: int = 0  # examples
    is_past_body: bool = False  # the head has been called: what comes now is no unit's

    def row(self) -> Tensor:
        """[B, D]: what every unit puts out, pooled over places and of length one each; the classifier's input last, and
        once: in most convolutional networks it is what the last unit puts out, pooled."""
        pooled = [F.normalize(value.float()) for _, value in sorted(self.pooled().items())]
        last = F.normalize(self.features[0].float())
        if pooled and pooled[-1].shape == last.shape and float((pooled[-1] - last).norm(dim=1).max()) < ROUNDING:
            pooled.pop()
        return torch.cat([*pooled, last], 1)

    def layers(self, num_units: int) -> dict[int, Tensor]:
        """By unit of the body [B, D], as they are: `pooled`, but of the last one what the classifier is given.
        `num_units`: head included."""
        return {**self.pooled(), num_units - 2: self.features[0]}

    def pooled(self) -> dict[int, Tensor]:
        """By unit [B, C]: what it puts out, a mean over places, padding apart."""
        return {unit: self._pooled(value) for unit, value in self.units.items()}

    def _pooled(self, value: Tensor) -> Tensor:
        """[B, C, H, W] or [B, H, W, C], [B, N, C] or [B, C] -> [B, C]"""
        if value.ndim == 4:
            return value.mean((1, 2) if self.channels_last else (2, 3))
        if value.ndim == 3 and self.real is not None:
            value = value[:, -self.real.shape[1] :]  # prompts come first
            return (value * self.real.unsqueeze(2)).sum(1) / self.real.sum(1, keepdim=True).clamp_min(1)
        return value.mean(1) if value.ndim == 3 else value


@contextmanager
def watched(network: Net, features: bool = True, units: bool = False) -> Iterator[Seen]:
    """What reaches the classifier, and what each unit puts out, the last of its parts to speak: either if asked for.
    The stem of an encoder puts out what its first layer takes in: parts of the stem run again behind the layers, and
    others make tables that belong to no example."""
    seen = Seen(channels_last=getattr(network.module, "output_fmt", "") == "NHWC")  # timm's word
    first_layer = getattr(network.module, "first_layer", None)

    def keep(number: int) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if first_layer is not None and isinstance(output, tuple):
                output = output[0]  # what some encoders' layers put out, before their attention and other notes
            if isinstance(output, Tensor) and not seen.is_past_body:
                if first_layer is not None and len(output) != seen.num:
                    raise NotApplicable(f"unit {number} puts out {len(output)} rows of {seen.num} examples")
                seen.units[number] = output

        return hook

    def enter(module: nn.Module, inputs: Any, named: Any) -> None:
        if 0 not in seen.units:  # some networks run one layer many times
            keep(0)(module, (), inputs[0] if inputs else named["hidden_states"])

    def leave(module: nn.Module, inputs: Any) -> None:
        seen.is_past_body = True

    def note(module: nn.Module, inputs: Any) -> None:
        is_tokens, seen.num = not inputs[0].is_floating_point(), len(inputs[0])
        seen.real = inputs[0] > 0 if is_tokens else None

    handles = [network.module.register_forward_pre_hook(note)]
    handles += [head.register_forward_pre_hook(leave) for head in outermost(network.modules[-1])] if units else []
    if features:
        handles.append(classifier_of(network).register_forward_pre_hook(
            lambda module, inputs: seen.features.append(inputs[0].flatten(1))))  # fmt: skip
    if units and first_layer is not None:
        handles.append(first_layer.register_forward_pre_hook(enter, with_kwargs=True))
    for number, modules in enumerate(network.modules[:-1] if units else ()):
        if number == 0 and first_layer is not None:
            continue
        handles += [module.register_forward_hook(keep(number)) for module in outermost(modules)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def outermost(modules: Sequence[nn.Module]) -> list[nn.Module]:
    """Those that lie in none of the others."""
    inside = {id(child) for module in modules for child in module.modules() if child is not module}
    return [module for module in modules if id(module) not in inside]


def classifier_of(network: Net) -> nn.Linear:
    heads = [module for module in network.modules[-1] if any(True for _ in module.parameters(recurse=False))]
    if len(heads) != 1 or not isinstance(heads[0], nn.Linear):
        raise NotApplicable("needs one linear layer as the head, and this network has another")
    return heads[0]
