"""Learning from texts without labels: some tokens are hidden, and the network fills them in (Devlin et al. 2019).

What fills them in is thrown away afterwards: a layer of the network's width and, behind it, its own table of words.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import NotApplicable

SHARE = 0.15  # of the tokens of a text, its first and its last left out
BLANKED, REPLACED = 0.8, 0.1  # of these: the mask token; any other token; the rest stay as they are
IGNORED = -100  # cross entropy's own sign for places that do not count


class Filler(nn.Module):
    """[N, D] -> [N, V], over the network's own table of words, which learns along in its place."""

    def __init__(self, table: nn.Embedding, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, table.embedding_dim)
        self.norm = nn.LayerNorm(table.embedding_dim)
        self.bias = nn.Parameter(torch.zeros(table.num_embeddings))

    def forward(self, hidden: Tensor, table: Tensor) -> Tensor:
        return F.linear(self.norm(F.gelu(self.layer(hidden))), table, self.bias)


def filler_of(module: Any, width: int) -> Filler:
    """Drawn from torch's generator."""
    if not hasattr(module, "word_table"):
        raise NotApplicable("needs a network that reads tokens; pictures without labels are learned by `rotation`")
    return Filler(module.word_table(), width)


def hidden_tokens(tokens: Tensor, mask: int, vocabulary: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """int64 [B, L] as a network takes them -> the same with some hidden, and the hidden ones' numbers, `IGNORED`
    elsewhere. `mask`: the mask token's number. Each text loses one token at least, where it has three or more."""
    on_cpu = tokens.cpu()
    places = torch.arange(tokens.shape[1])
    inner = (places > 0) & (places < (on_cpu > 0).sum(1, keepdim=True) - 1)
    draws = torch.rand(tokens.shape, generator=draw).masked_fill(~inner, 2.0)
    chosen = inner & ((draws < SHARE) | (draws == draws.min(1, keepdim=True).values))
    how = torch.rand(tokens.shape, generator=draw)
    others = torch.randint(vocabulary, tokens.shape, generator=draw) + 1
    seen = torch.where(chosen & (how < BLANKED), mask + 1, on_cpu)
    seen = torch.where(chosen & (how >= BLANKED) & (how < BLANKED + REPLACED), others, seen)
    return seen.to(tokens.device), torch.where(chosen, on_cpu - 1, IGNORED).to(tokens.device)


def fill_some(module: Any, filler: Filler, tokens: Tensor) -> Tensor:
    """A loss on as many tokens as `hidden_tokens` hides of these texts in the mean, whatever they are: the work of
    `fill`, for tensors without values too."""
    num = max(1, round(SHARE * len(tokens) * (tokens.shape[1] - 2)))
    logits = filler(module.hidden(tokens).flatten(0, 1)[:num], module.word_table().weight)
    return F.cross_entropy(logits, torch.zeros(num, dtype=torch.int64, device=tokens.device))


@dataclass(frozen=True)
class Filled:
    """Of the hidden tokens of a batch."""

    loss: Tensor  # their mean
    num_right: int
    num: int


def fill(module: Any, filler: Filler, seen: Tensor, wanted: Tensor) -> Filled:
    rows = module.hidden(seen)[wanted != IGNORED]
    logits, numbers = filler(rows, module.word_table().weight), wanted[wanted != IGNORED]
    # Texts of two tokens hide none: then nothing is learned.
    loss = F.cross_entropy(logits.float() if logits.dtype == torch.bfloat16 else logits, numbers, reduction="sum")
    num_right = int((logits.detach().argmax(1) == numbers).sum())
    return Filled(loss / max(1, len(numbers)), num_right, len(numbers))
