"""What files with labels may hold: how large one is kept, and how they become arrays. `labelled.py` knows the rest."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bench.catalogue import Options
from bench.datasets import pictures, sounds, texts
from bench.datasets.base import Split
from bench.datasets.files import PICTURES, DataError, is_suffix_of
from bench.datasets.pictures import Kept

LARGEST_SIDE = 256  # pixels; what a network for 224 needs

Labels = npt.NDArray[np.int64]


class Decoded(Protocol):
    def split(self, labels: Labels, rows: Labels | None = None) -> Split:
        """Of all examples, or of some. `labels`: of all."""
        ...


class Kind(Protocol):
    """`settings`: options that decide what the arrays hold."""

    @property
    def modality(self) -> str: ...

    @property
    def word(self) -> str:
        """What people call several of them."""
        ...

    @property
    def suffixes(self) -> tuple[str, ...]: ...

    @property
    def settings(self) -> tuple[str, ...]: ...

    def size_of(self, kept: Sequence[Kept], options: Any) -> int: ...

    def notes_of(self, kept: Sequence[Kept], size: int, options: Any) -> tuple[str, ...]: ...

    def decode(self, kept: Sequence[Kept], size: int, options: Any) -> Decoded: ...


@dataclass(frozen=True)
class Pictures:
    modality: str = "image"
    word: str = "pictures"
    suffixes: tuple[str, ...] = PICTURES
    settings: tuple[str, ...] = ("side", "fit")

    def size_of(self, kept: Sequence[Kept], options: Any) -> int:
        return options.side or usual_side(kept)

    def notes_of(self, kept: Sequence[Kept], size: int, options: Any) -> tuple[str, ...]:
        return ()

    def decode(self, kept: Sequence[Kept], size: int, options: Any) -> Decoded:
        return pictures.decode(kept, size, options.fit)


def usual_side(kept: Sequence[Kept]) -> int:
    shorter = [min(size) for size in pictures.sizes_of(kept)]
    return min(LARGEST_SIDE, max(8, round(statistics.median(shorter))))


@dataclass(frozen=True)
class Texts:
    modality: str = "text"
    word: str = "texts"
    suffixes: tuple[str, ...] = (".txt",)
    settings: tuple[str, ...] = ()

    def size_of(self, kept: Sequence[Kept], options: Any) -> int:
        return texts.width_of(kept)

    def notes_of(self, kept: Sequence[Kept], size: int, options: Any) -> tuple[str, ...]:
        return texts.notes_of(kept)

    def decode(self, kept: Sequence[Kept], size: int, options: Any) -> Decoded:
        return texts.decode(kept, size)


@dataclass(frozen=True)
class Sounds:
    """A size is in milliseconds."""

    modality: str = "sound"
    word: str = "clips"
    suffixes: tuple[str, ...] = sounds.SOUNDS
    settings: tuple[str, ...] = ("rate", "seconds")

    def size_of(self, kept: Sequence[Kept], options: Any) -> int:
        return sounds.milliseconds_of(kept, options.seconds)

    def notes_of(self, kept: Sequence[Kept], size: int, options: Any) -> tuple[str, ...]:
        return sounds.notes_of(kept, size, options.rate or sounds.RATE)

    def decode(self, kept: Sequence[Kept], size: int, options: Any) -> Decoded:
        return sounds.decode(kept, size, options.rate or sounds.RATE)


KINDS: dict[str, Kind] = {kind.modality: kind for kind in (Pictures(), Texts(), Sounds())}


def check_settings(kind: Kind, options: Options, name: str) -> None:
    """What is set of another kind would do nothing. `name`: of what holds the examples, for messages."""
    for other in KINDS.values():
        for option in set(other.settings) - set(kind.settings):
            if getattr(options, option) != type(options).model_fields[option].default:
                raise DataError(f"{name}: the option `{option}` is for {other.word}, and these are {kind.word}")


def kind_of(name: str) -> Kind | None:
    """By a file's name."""
    return next((kind for kind in KINDS.values() if is_suffix_of(name, kind.suffixes)), None)


def most_of(names: Iterable[str]) -> Kind:
    """Pictures or clips, whichever are more; texts where there are neither, because labels, captions and transcripts
    lie beside both. Files of no kind do not count."""
    counts = Counter(kind.modality for name in names if (kind := kind_of(name)) is not None)
    if counts["image"] or counts["sound"]:
        return KINDS["sound" if counts["sound"] > counts["image"] else "image"]
    return KINDS["text" if counts["text"] else "image"]
