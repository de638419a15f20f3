"""Texts from stored bytes to the numbers of their tokens, and their random changes.

A token is stored as its number in the tokenizer and 1, so that 0 is padding whatever the tokenizer; a network takes the
1 off again. Texts are cut into tokens once; batches are cut to their longest text where a network runs.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.errors import BenchError
from bench.keys import digest, seed_for
from bench.modalities.base import Columns, Handling
from bench.modalities.sending import sent
from bench.spec.refs import SEPARATOR, WORDS, TextChanges, TextPipeline, Training

PASS_TOKENS = 16384  # of one pass without learning
BEGIN, BETWEEN, MASK, FIRST_WORD = 0, 1, 3, 4  # of these numbers
WORD = re.compile(r"\w+|[^\w\s]")
ROUND = 8  # tables of tokens are a multiple of so many wide


NO_MASK = "this network's tokenizer has no mask token"
MASKED = -1  # stands for the mask token until a pipeline says which number it has


@dataclass(frozen=True)
class Masking:
    """How tokens change at random."""

    changes: TextChanges = TextChanges()
    views: int = 0  # so many changed views of each text, drawn once; 0: changed anew each time

    @property
    def is_random(self) -> bool:
        return self.changes.is_random

    @property
    def num_views(self) -> int | None:
        return (self.views or None) if self.is_random else 1


class TextHandling(Handling):
    """`modalities.base.Handling` of texts."""

    is_padded = True
    libraries = ("tokenizers",)

    def stored(self, columns: Columns) -> tuple[Tensor, ...]:
        return (torch.from_numpy(columns["text"]),)

    def preparation(self, pipeline: TextPipeline) -> TextPipeline:
        return pipeline

    def prepared(self, columns: Columns, pipeline: TextPipeline, files: Mapping[str, Path]) -> Tensor:
        """int32 [N, L], as wide as the longest text is long."""
        return torch.from_numpy(_padded(tokenized(texts_of(columns["text"]), pipeline, files)))

    def variation(self, training: Training) -> Masking:
        return Masking(training.text, training.views) if training.text is not None else self.still()

    def still(self) -> Masking:
        return Masking()

    def vary(
        self, values: tuple[Tensor, ...], how: Masking, generator: torch.Generator, rows: Tensor | None
    ) -> tuple[Tensor, ...]:
        if how.views:
            assert rows is not None
            return self.view(values, how, rows, self.choose_views(len(values[0]), how, generator))
        return (changed(values[0], how.changes, torch.rand(values[0].shape, generator=generator)),)

    def choose_views(self, num: int, how: Masking, generator: torch.Generator) -> Tensor:
        return torch.randint(0, how.views, (num,), generator=generator)

    def view(
        self, values: tuple[Tensor, ...], how: Masking, rows: Tensor, views: Tensor
    ) -> tuple[Tensor, ...]:
        """Each text in its own view, which depends on its place in the split and on nothing else."""
        pairs = zip(rows.tolist(), views.tolist(), strict=True)
        draws = torch.stack([_drawn(row, view, values[0].shape[1]) for row, view in pairs])
        return (changed(values[0], how.changes, draws),)

    def inputs(self, parts: Sequence[Any], pipeline: TextPipeline) -> Tensor:
        """int64 [B, L], of the longest of them all."""
        parts = [part[0].long() for part in parts]
        tokens = torch.cat(parts) if len(parts) > 1 else parts[0]
        masked = tokens == MASKED
        if not pipeline.has_mask and not bool(masked.any()):
            return tokens
        return tokens.masked_fill(masked, mask_of(pipeline) + 1)

    def blank(self, pipeline: TextPipeline, num: int, device: str) -> Tensor:
        return torch.ones(num, pipeline.max_length, dtype=torch.int64, device=device)

    def per_pass(self, pipeline: TextPipeline) -> int:
        return max(1, PASS_TOKENS // pipeline.max_length)


def changed(tokens: Tensor, changes: TextChanges, draws: Tensor) -> Tensor:
    """int [B, L], with uniform numbers in 0 .. 1 of the same shape."""
    draws = sent(draws, tokens.device)
    places = torch.arange(tokens.shape[1], device=tokens.device)
    inner = (places > 0) & (places < (tokens > 0).sum(1, keepdim=True) - 1)
    dropped = inner & (draws >= changes.mask) & (draws < changes.mask + changes.drop)
    return tokens.masked_fill(inner & (draws < changes.mask), MASKED).masked_fill(dropped, 0)


def _drawn(row: int, view: int, width: int) -> Tensor:
    """[L], of a stream of its own, so that a wider table begins alike."""
    return torch.rand(width, generator=torch.Generator().manual_seed(seed_for("view of a text", row, view)))


def mask_of(pipeline: Any) -> int:
    """The number of its mask token."""
    assert isinstance(pipeline, TextPipeline)
    if not pipeline.has_mask:
        raise BenchError(f"{NO_MASK}; `drop` hides tokens without one")
    return MASK if pipeline.mask is None else pipeline.mask


def texts_of(stored: npt.NDArray[np.uint8]) -> list[tuple[str, ...]]:
    """One text of each row, or two."""
    pieces = (bytes(row).rstrip(b"\0").split(bytes([SEPARATOR]), 1) for row in stored)
    return [tuple(piece.decode("utf-8", "replace") for piece in pair) for pair in pieces]


def tokenized(
    texts: Sequence[tuple[str, ...]], pipeline: TextPipeline, files: Mapping[str, Path]
) -> list[Sequence[int]]:
    """Their numbers, with what the tokenizer puts around a text, cut to the pipeline's length."""
    if pipeline.tokenizer.startswith(WORDS):
        size = int(pipeline.tokenizer.removeprefix(WORDS))
        return [_words(pair, size)[: pipeline.max_length] for pair in texts]
    tokenizer = _tokenizer(files[pipeline.tokenizer], pipeline.tokenizer)
    around = tokenizer.num_special_tokens_to_add(any(len(pair) > 1 for pair in texts))
    if pipeline.max_length <= around:  # the library would cut nothing off then
        raise BenchError(f"the tokenizer puts {around} tokens around these texts, and `max_length` is "
                         f"{pipeline.max_length}; nothing of a text would be left")
    tokenizer.enable_truncation(pipeline.max_length)
    pairs = [pair if len(pair) > 1 else pair[0] for pair in texts]
    # An empty text of a tokenizer that puts nothing around it has no token at all: a network gets the first number.
    return [encoded.ids or [0] for encoded in tokenizer.encode_batch(pairs)]


@lru_cache(maxsize=4)
def _tokenizer(path: Path, identity: str) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise BenchError("texts are cut by the library tokenizers: pip install 'transfer-bench[text]'") from None
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != identity:
        raise BenchError(f"{path.name} was changed after this run was planned; start it again")
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises nothing narrower
        why = next(iter(str(error).splitlines()), "")
        raise BenchError(f"{path.name}: no file of the library tokenizers ({why})") from error
    tokenizer.no_padding()
    return tokenizer


def _words(pair: tuple[str, ...], size: int) -> list[int]:
    numbers = [BEGIN]
    for place, text in enumerate(pair):
        numbers += [BETWEEN] * (place > 0) + [_number(word, size) for word in WORD.findall(text.lower())]
    return numbers


@lru_cache(maxsize=1 << 16)
def _number(word: str, size: int) -> int:
    return FIRST_WORD + int(digest(word)[:12], 16) % (size - FIRST_WORD)


def _padded(rows: Sequence[Sequence[int]]) -> npt.NDArray[np.int32]:
    width = max((len(row) for row in rows), default=1)
    found = np.zeros((len(rows), -(-width // ROUND) * ROUND), np.int32)
    for place, row in enumerate(rows):
        found[place, : len(row)] = np.asarray(row, np.int32) + 1
    return found
