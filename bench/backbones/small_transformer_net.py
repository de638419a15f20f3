"""The network of `small_transformer.py`; in a file of its own, so that the catalogue needs no torch.

Attention is written out: matrix products alone run for many replicas at once, are counted without being computed, and
give the same in any precision.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SPREAD = 0.2  # of tables as they are drawn: 300 steps on `sentences` come to 93 % then, with the 1 of torch to 81 %


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """[B, L, D]; `keep`: bool [B, L], tokens that may be looked at."""
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)
        scores = scores.masked_fill(~keep[:, None, None, :], torch.finfo(scores.dtype).min)
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width)
        return self.proj(mixed)  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Norms stand before what they serve."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), keep)
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))  # type: ignore[no-any-return]


class Tables(nn.Module):
    """Of words and of their places."""

    def __init__(self, vocabulary: int, longest: int, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(longest, width)

    def forward(self, numbers: Tensor) -> Tensor:
        return self.words(numbers) + self.places.weight[: numbers.shape[1]]  # type: ignore[no-any-return]


class SmallTransformer(nn.Module):
    """Takes tokens int64 [B, L], each its number in the tokenizer and 1; 0 is padding, which changes nothing."""

    def __init__(self, num_classes: int, options: Any) -> None:
        super().__init__()
        width = options.width
        self.tables = Tables(options.vocabulary, options.max_length, width)
        self.layers = nn.ModuleList(Layer(width, options.heads) for _ in range(options.layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)
        self.unit_names = ("stem", *(f"layer.{number}" for number in range(options.layers)), "head")
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=SPREAD)

    def hidden(self, tokens: Tensor) -> Tensor:
        """[B, L, D]: what stands for each token in the end."""
        keep = tokens > 0
        x = self.tables((tokens - 1).clamp_min(0))
        for layer in self.layers:
            x = layer(x, keep)
        return self.norm(x)  # type: ignore[no-any-return]

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.hidden(tokens)
        weights = (tokens > 0).unsqueeze(2).to(hidden.dtype)
        return self.head((hidden * weights).sum(1) / weights.sum(1).clamp_min(1))  # type: ignore[no-any-return]

    def word_table(self) -> nn.Embedding:
        return self.tables.words

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Its layers, however finely units are wanted. The last norm goes with the last layer."""
        return {"stem": r"^tables", "blocks": [(r"^layers\.(\d+)", None), (r"^norm", (99999,))]}

    def no_weight_decay(self) -> set[str]:
        return {"tables.places.weight"}

    def get_classifier(self) -> nn.Module:
        return self.head
