"""Learned vectors in encoders of the library transformers: before the embedded tokens, or as keys and values of each
layer's attention.

peft's own prompt and prefix tuning wrap a whole model and its call, and prefixes go in as a past there, which few
encoders take. Here attention itself is given them, by the interface that the library calls it through.
"""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import NotApplicable
from bench.strategies.layers.encoders import encoder_of

INTERFACE = "bench_prefix"
NO_ENCODER = "needs an encoder of the library transformers, `hf:NAME`"
# What makes keys, by the last part of its name; and what makes queries, keys and values in one.
KEYS = {"key", "k", "k_proj", "k_lin", "key_proj"}
KEYS_AMONG = {"c_attn", "Wqkv", "query_key_value"}
SPREAD = 0.02  # of prefixes as they are drawn


def add_prompts(module: Any, num: int) -> None:
    """They begin as words of the network's table, drawn without repetition."""
    if encoder_of(module) is None:
        raise NotApplicable(NO_ENCODER)
    if not hasattr(module, "prompts"):
        raise NotApplicable("this network reads sound, which has no embedded tokens; `prefix_tuning` fits it")
    if num > module.places_left:
        raise NotApplicable(f"{num} learned tokens and `max_length` are more than this network has positions for; "
                            f"a `max_length` shorter by {num - module.places_left} fits")
    words: Tensor = module.word_table().weight.detach()
    if num > len(words):
        raise NotApplicable(f"{num} learned tokens begin as different words, and this network knows {len(words)}")
    module.prompts = nn.Parameter(words[torch.randperm(len(words))[:num]].clone())


def add_prefixes(module: Any, num: int) -> None:
    encoder = encoder_of(module)
    if encoder is None:
        raise NotApplicable(NO_ENCODER)
    attentions = [found for layer in encoder.get_submodule(module.family.layers) for found in _attentions(layer)]
    if not attentions or not encoder._can_set_attn_implementation():
        raise NotApplicable(f"attention of a {encoder.config.model_type!r} network takes no keys beside its own")
    for attention, width in attentions:
        attention.prefix = Prefix(num, width)
    _register()
    encoder.set_attn_implementation(INTERFACE)


class Prefix(nn.Module):
    """Keys and values [num, heads * size] that every token sees beside the others'."""

    def __init__(self, num: int, width: int) -> None:
        super().__init__()
        self.keys = nn.Parameter(torch.empty(num, width).normal_(0.0, SPREAD))
        self.values = nn.Parameter(torch.empty(num, width).normal_(0.0, SPREAD))

    def forward(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """[B, heads, L, size] -> [B, heads, num + L, size], both."""
        return _behind(self.keys, key), _behind(self.values, value)


def _behind(prefix: Tensor, own: Tensor) -> Tensor:
    batch, heads, _, size = own.shape
    first = prefix.view(-1, heads, size).transpose(0, 1).to(own.dtype)
    return torch.cat([first.expand(batch, -1, -1, -1), own], 2)


def _attend(
    attention: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **others: Any
) -> tuple[Tensor, None]:
    """The library's own attention, with a prefix before keys and values. `mask` [B, 1, 1 or L, L]: which it may see."""
    num = len(attention.prefix.keys)
    key, value = attention.prefix(key, value)
    if mask is not None:
        mask = F.pad(mask, (num, 0), value=True if mask.dtype == torch.bool else 0.0)
    if others.get("position_bias") is not None:  # of T5, added to scores
        others["position_bias"] = F.pad(others["position_bias"], (num, 0))
    usual = import_module("transformers.integrations.sdpa_attention").sdpa_attention_forward
    found: tuple[Tensor, None] = usual(attention, query, key, value, mask, **others)
    return found


def _mask(*given: Any, **named: Any) -> Any:
    """Never left out: without one, attention would not see what stands before a text."""
    usual = import_module("transformers.masking_utils").sdpa_mask
    return usual(*given, **{**named, "allow_is_causal_skip": False, "allow_is_bidirectional_skip": False})


def _register() -> None:
    library = import_module("transformers")
    library.AttentionInterface.register(INTERFACE, _attend)
    library.AttentionMaskInterface.register(INTERFACE, _mask)


def _attentions(layer: nn.Module) -> list[tuple[Any, int]]:
    """Modules of a layer that attend, and the width of their keys."""
    found = []
    for name, maker in layer.named_modules():
        path, _, last = name.rpartition(".")
        if last in KEYS | KEYS_AMONG:
            width = maker.out_features if isinstance(maker, nn.Linear) else maker.nf
            found.append((layer.get_submodule(path), width // 3 if last in KEYS_AMONG else width))
    return found
