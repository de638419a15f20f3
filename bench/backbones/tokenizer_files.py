"""What planning has to know of a `tokenizer.json`, without the library that reads it. Nothing is cut here."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError

MASKS = ("[MASK]", "<mask>")  # of BERT and its like, of RoBERTa and its like


@dataclass(frozen=True)
class TokenizerFacts:
    size: int  # one more than its largest number
    mask: int | None  # the number of its mask token
    separator: int | None  # of the token before the second text of a pair, where that text has a type of its own
    around: int  # tokens that it puts around one text


def facts_of(path: Path, name: str) -> TokenizerFacts:
    """`name`: the network's, for messages."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        own = read["model"]["vocab"]  # a list of pairs in some
        known = {str(one["content"]): int(one["id"]) for one in read.get("added_tokens") or []}
        largest = max(own.values(), default=-1) if isinstance(own, dict) else len(own) - 1
        by_name = {**own, **known} if isinstance(own, dict) else known
        processors = list(_processors(read.get("post_processor")))
        return TokenizerFacts(
            size=max(int(largest), *known.values(), -1) + 1,
            mask=next((int(by_name[one]) for one in MASKS if one in by_name), None),
            separator=next((found for one in processors if (found := _separator(one)) is not None), None),
            around=sum(map(_around, processors)),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        problem = f"{name}: {path.name} is no file of the library tokenizers ({type(error).__name__})"
        raise BenchError(problem) from error


def _processors(told: Any) -> Iterator[dict[str, Any]]:
    """What puts tokens around texts, one by one."""
    if told is not None and told["type"] == "Sequence":
        for one in told["processors"]:
            yield from _processors(one)
    elif told is not None:
        yield told


def _separator(told: dict[str, Any]) -> int | None:
    if told["type"] == "BertProcessing":
        return int(told["sep"][1])
    if told["type"] != "TemplateProcessing":
        return None
    pair = told["pair"]
    second = next((place for place, one in enumerate(pair) if one.get("Sequence", {}).get("id") == "B"), 0)
    if second == 0 or pair[second]["Sequence"]["type_id"] == 0 or "SpecialToken" not in pair[second - 1]:
        return None
    return int(told["special_tokens"][pair[second - 1]["SpecialToken"]["id"]]["ids"][-1])


def _around(told: dict[str, Any]) -> int:
    if told["type"] == "TemplateProcessing":
        special = [one["SpecialToken"]["id"] for one in told["single"] if "SpecialToken" in one]
        return sum(len(told["special_tokens"][one]["ids"]) for one in special)
    return 2 if told["type"] in ("BertProcessing", "RobertaProcessing") else 0
