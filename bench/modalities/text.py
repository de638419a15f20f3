"""Texts: UTF-8 bytes as they came, cut into tokens as the weights expect. `tokens.py` computes."""

from typing import Any

import numpy as np

from bench.modalities.base import Columns, Handling, Modality
from bench.modalities.glimpse import of_texts
from bench.spec.refs import TextPipeline


def _check(columns: Columns) -> None:
    text = columns["text"]
    assert text.dtype == np.uint8
    assert text.ndim == 2


def _pipeline_for(spec: Any, facts: Any, data: Any) -> TextPipeline:
    assert isinstance(facts.takes, TextPipeline)
    return facts.takes


NOT_WORDS = 4  # numbers that no word has: `FIRST_WORD` of tokens.py, which needs torch


def _in_words(pipeline: TextPipeline) -> str:
    name, _, size = pipeline.tokenizer.partition("/")
    if size:
        words, numbers = pipeline.max_length - 1, int(size) - NOT_WORDS  # the beginning has a place of its own
        return f"the first {words} words, each as one of {numbers:,} numbers"
    return f"the first {pipeline.max_length} tokens, as the tokenizer with SHA-256 {name[:12]} cuts them"


def _handling() -> Handling:
    from bench.modalities.tokens import TextHandling

    return TextHandling()


MODALITY = Modality(
    name="text",
    summary="texts, UTF-8 in uint8 [N, bytes], zeros behind the end",
    columns=("text",),
    check=_check,
    pipeline=TextPipeline,
    handling=_handling,
    pipeline_for=_pipeline_for,
    in_words=_in_words,
    glimpse=lambda columns: of_texts(columns["text"]),
    example="text",
    counted_as="texts of the greatest length, as in the protocol; shorter ones take less",
)
