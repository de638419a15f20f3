"""Which layers of a network an adaptation acts on, found by what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bench.errors import NotApplicable
from bench.strategies.lazy import nn

Targets = Literal["auto", "attention", "all"]


def matrices(module: nn.Module, body: Sequence[str], wanted: Targets) -> list[str]:
    """Names of linear layers and convolutions of the body: the ones that make queries, keys and values, or all. `auto`:
    those where there are any. Grouped convolutions are passed over: what each group does has little rank to lower."""
    layers = {name: module.get_submodule(name) for name in body}
    if wanted != "all" and any(isinstance(layer, nn.MultiheadAttention) for layer in layers.values()):
        raise NotApplicable("this network's attention keeps its matrices to itself; `targets: all` adapts the others")
    every = [
        name
        for name, layer in layers.items()
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
    ]
    attention = [name for name in every if name.endswith(".qkv")]
    if wanted == "attention" and not attention:
        raise NotApplicable("this network has no attention")
    found = every if wanted == "all" or not attention else attention
    if not found:
        raise NotApplicable("this network has no layer to adapt")
    return found


def blocks(module: nn.Module) -> list[str]:
    """Names of the blocks of a plain vision transformer."""
    found = getattr(module, "blocks", None)
    each = list(found) if isinstance(found, nn.Sequential | nn.ModuleList) else []
    is_plain = bool(each) and all(hasattr(block, "attn") and hasattr(block, "mlp") for block in each)
    if not is_plain or not hasattr(module, "pos_embed"):
        raise NotApplicable("needs a vision transformer with blocks of attention and MLP")
    return [f"blocks.{number}" for number in range(len(each))]
