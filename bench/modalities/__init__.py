"""The catalogue of modalities. An entry says what a split stores, how that becomes a network's input, and how it is
changed at random; the rest of the house knows none of them by name."""

from collections.abc import Iterable
from typing import Any

from bench.modalities import image, sound, text
from bench.modalities.base import Modality

MODALITIES: dict[str, Modality] = {
    "image": image.MODALITY,
    "text": text.MODALITY,
    "sound": sound.MODALITY,
}


def example_of(modalities: Iterable[str]) -> str:
    """What people call one example: `image`, `text`; `example` where several modalities may be meant."""
    words = {MODALITIES[name].example for name in modalities}
    return words.pop() if len(words) == 1 else "example"


def of(pipeline: Any) -> Modality:
    """The one whose pipeline it is."""
    for modality in MODALITIES.values():
        if type(pipeline) is modality.pipeline:
            return modality
    raise TypeError(f"no modality has a pipeline of type {type(pipeline).__name__}; known: {', '.join(MODALITIES)}")
