"""The catalogue of modalities. An entry says what a split stores, how that becomes a network's input, and how it is
changed at random; the rest of the house knows none of them by name."""

from typing import Any

from bench.modalities import image, sound, text
from bench.modalities.base import Modality

MODALITIES: dict[str, Modality] = {
    "image": image.MODALITY,
    "text": text.MODALITY,
    "sound": sound.MODALITY,
}


def of(pipeline: Any) -> Modality:
    """The one whose pipeline it is."""
    for modality in MODALITIES.values():
        if type(pipeline) is modality.pipeline:
            return modality
    raise TypeError(f"no modality has a pipeline of type {type(pipeline).__name__}; known: {', '.join(MODALITIES)}")
