"""Texts from stored bytes to the numbers of their tokens, and their random changes.

A token is stored as its number in the tokenizer and 1, so that 0 is padding whatever the tokenizer; a network takes the
1 off again. Texts are cut into tokens once; batches are cut to their longest text where a network runs.
"""

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
from bench.keys import digest
from bench.modalities.base import Columns, Handling
from bench.spec.refs import SEPARATOR, TextPipeline, Training

PASS_TOKENS = 16384  # of one pass without learning
WORDS = "words/"  # a tokenizer that needs no file: words by their digest, in so many numbers
BEGIN, BETWEEN, FIRST_WORD = 0, 1, 4  # of these numbers
WORD = re.compile(r"\w+|[^\w\s]")
ROUND = 8  # tables of tokens are a multiple of so many wide


@dataclass(frozen=True)
class Still:
    views: int = 0
    is_random: bool = False
    num_views: int | None = 1


class TextHandling(Handling):
    """`modalities.base.Handling` of texts."""

    is_padded = True

    def stored(self, columns: Columns) -> tuple[Tensor, ...]:
        return (torch.from_numpy(columns["text"]),)

    def preparation(self, pipeline: TextPipeline) -> TextPipeline:
        return pipeline

    def prepared(self, columns: Columns, pipeline: TextPipeline, files: Mapping[str, Path]) -> Tensor:
        """int32 [N, L], as wide as the longest text is long."""
        return torch.from_numpy(_padded(tokenized(texts_of(columns["text"]), pipeline, files)))

    def variation(self, training: Training) -> Still:
        return self.still()

    def still(self) -> Still:
        return Still()

    def vary(self, values: tuple[Tensor, ...], how: Any, generator: torch.Generator, rows: Tensor | None) -> Any:
        return values

    def choose_views(self, num: int, how: Any, generator: torch.Generator) -> Tensor:
        return torch.zeros(num, dtype=torch.int64)

    def view(self, values: tuple[Tensor, ...], how: Any, rows: Tensor, views: Tensor) -> Any:
        return values

    def inputs(self, parts: Sequence[Any], pipeline: TextPipeline) -> Tensor:
        """int64 [B, L], of the longest of them all."""
        tokens = [part[0] for part in parts]
        return torch.cat(tokens).long() if len(tokens) > 1 else tokens[0].long()

    def blank(self, pipeline: TextPipeline, num: int, device: str) -> Tensor:
        return torch.ones(num, pipeline.max_length, dtype=torch.int64, device=device)

    def per_pass(self, pipeline: TextPipeline) -> int:
        return max(1, PASS_TOKENS // pipeline.max_length)


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
    tokenizer = Tokenizer.from_file(str(path))
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
