"""Texts -> rows of UTF-8 bytes. What is no text is an error that names the file; what is cut or empty is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.datasets.base import Prints, Split, print_of
from bench.datasets.files import DataError, shown
from bench.datasets.pictures import Kept
from bench.spec.refs import SEPARATOR

LONGEST = 8192  # bytes that are kept of a text, or of a pair: 16 for each of 512 tokens; English needs 4 or 5
UTF_16 = b"\xff\xfe", b"\xfe\xff"
MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Decoded:
    """Texts as rows, and prints of what they were before they were cut."""

    rows: npt.NDArray[np.uint8]  # [N, W]
    wholes: Prints  # [N]

    def split(self, labels: npt.NDArray[np.int64], rows: npt.NDArray[np.int64] | None = None) -> Split:
        chosen = slice(None) if rows is None else rows
        return Split({"text": self.rows[chosen]}, labels[chosen], self.wholes[chosen], modality="text")


def joined(first: str, second: str | None = None) -> bytes:
    """As it is kept: a pair has the separator between its texts, which no text may hold itself."""
    texts = [text.replace(chr(SEPARATOR), " ").replace("\0", " ") for text in (first, second) if text is not None]
    return bytes([SEPARATOR]).join(text.encode("utf-8", "replace") for text in texts)


def bytes_of(one: Kept) -> bytes:
    """Of a row that is text already, or of a file, which may hold anything."""
    if not isinstance(one, Path):
        return one.read()
    try:
        read = one.read_bytes()
    except OSError as error:
        raise DataError(f"{shown(one)}: cannot be read ({error.strerror})") from error
    if read.startswith(UTF_16):
        raise DataError(f"{shown(one)}: its text is UTF-16; save it as UTF-8")
    try:
        return joined(read.removeprefix(MARK).decode("utf-8").strip())
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(one)}: no UTF-8 text (byte {error.start} is {read[error.start]:#04x})") from error


def width_of(kept: Sequence[Kept]) -> int:
    """Bytes that rows need."""
    return min(LONGEST, max((len(bytes_of(one)) for one in kept), default=1) or 1)


def notes_of(kept: Sequence[Kept]) -> tuple[str, ...]:
    texts = [bytes_of(one) for one in kept]
    empty, long = sum(not text.strip() for text in texts), sum(len(text) > LONGEST for text in texts)
    notes = [f"{empty} of {len(texts)} texts are empty"] if empty else []
    word = "pairs of texts" if any(SEPARATOR in text for text in texts) else "texts"
    notes += [f"{long} of {len(texts)} {word} are longer than {LONGEST:,} bytes and are cut"] if long else []
    return tuple(notes)


def decode(kept: Sequence[Kept], width: int) -> Decoded:
    rows, wholes = np.zeros((len(kept), width), np.uint8), np.empty(len(kept), np.uint64)
    for place, one in enumerate(kept):
        text = bytes_of(one)
        own = np.frombuffer(_cut(text, width), np.uint8)
        rows[place, : len(own)] = own
        wholes[place] = print_of(text)
    return Decoded(rows, wholes)


def _cut(text: bytes, width: int) -> bytes:
    """Not within a letter. Of a pair the longer text, or both where each has more than half of the room."""
    if len(text) <= width:
        return text
    first, mark, second = text.partition(bytes([SEPARATOR]))
    room = width - len(mark)
    own = max(room - len(second), room - room // 2) if mark else room
    first = first[:own].decode("utf-8", "ignore").encode()
    return first + mark + second[: room - len(first)].decode("utf-8", "ignore").encode()
