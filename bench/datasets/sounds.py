"""Files of sound -> mono clips of one rate and length, in 16-bit numbers. What cannot be read is an error that names
the file; what is silent, mixed, resampled or clipped is told.

Of a long file only the middle is read. A file's head is never believed: what it declares and does not hold is damage,
and no memory is taken by its word.
"""

import hashlib
import io
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bench.datasets.base import Prints, Split, print_of
from bench.datasets.files import DataError, shown
from bench.datasets.pictures import Kept, of_each, watcher
from bench.modalities.base import Columns
from bench.modalities.clips import fitted, resampled, to_int16

SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au")
RATE = 16_000  # Hz, where a suite says nothing else: what most networks for sound were trained at
LONGEST = 10.0  # seconds that clips are kept of, where a suite does not say
WHOLE = 60.0  # seconds; longer files are known by their bytes, not by their samples
LARGEST = 1 << 26  # numbers that are read of one file
RATES = 1_000, 768_000  # Hz
LOUDEST = 8.0  # times full scale; more is another unit
SILENT = 1e-4  # of full scale: up to three steps of 16-bit numbers are no sound
BLOCK = 1 << 20  # bytes
ENDLESS = 0x7FFFF000  # bytes of sound and more: what writers put down that do not know the length
CHUNKS = 500  # that are looked through for a file's sound
WAVES = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<", b"BW64": "<", b"FORM": ">"}  # files of chunks, and their byte order
UNIX = {b".snd": ">", b"dns.": "<"}  # the same of AU files

Wave = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Decoded:
    """Clips, and prints of what they were before they were cut."""

    wave: npt.NDArray[np.int16]  # [N, T]
    rate: int
    wholes: Prints  # [N]

    def split(self, labels: npt.NDArray[np.int64], rows: npt.NDArray[np.int64] | None = None) -> Split:
        chosen = slice(None) if rows is None else rows
        wave = self.wave[chosen]
        columns: Columns = {"wave": wave, "rate": np.full(len(wave), self.rate, np.int32)}
        return Split(columns, labels[chosen], self.wholes[chosen], modality="sound")


@dataclass(frozen=True)
class _Head:
    """What a file says of itself."""

    rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


@dataclass(frozen=True)
class _Heard:
    head: _Head
    loudest: float  # of full scale


def milliseconds_of(kept: Sequence[Kept], seconds: float | None) -> int:
    """Of the clips, as they are kept."""
    if seconds is not None:
        return round(seconds * 1000)
    _library()
    longest = max((-(-head.frames * 1000 // head.rate) for head in of_each(kept, _head, word="clips")), default=1)
    return min(longest, round(LONGEST * 1000))


def notes_of(kept: Sequence[Kept], milliseconds: int, rate: int) -> tuple[str, ...]:
    """What a reader of the results should know. Every clip is read for it, once."""
    _library()
    heard = of_each(kept, lambda one: _heard(one, milliseconds), watcher.get(), "clips")
    num = len(heard)
    counted = {
        "are silent": sum(one.loudest < SILENT for one in heard),
        f"are longer than {milliseconds / 1000:g} s and are cut to their middle":
            sum(one.head.seconds * 1000 > milliseconds + 1 for one in heard),
        "have several channels and are mixed to one": sum(one.head.channels > 1 for one in heard),
        "are louder than full scale and are clipped": sum(one.loudest > 1 for one in heard),
    }  # fmt: skip
    others = Counter(one.head.rate for one in heard if one.head.rate != rate)
    rates = [f"{count} of {num} clips have {own:,} Hz and are brought to {rate:,} Hz" for own, count in
             sorted(others.items())[:3]]  # fmt: skip
    return tuple(f"{count} of {num} clips {what}" for what, count in counted.items() if count) + tuple(rates)


def decode(kept: Sequence[Kept], milliseconds: int, rate: int) -> Decoded:
    _library()
    samples = -(-rate * milliseconds // 1000)
    out = Decoded(np.empty((len(kept), samples), np.int16), rate, np.empty(len(kept), np.uint64))

    def fill(number: int) -> None:
        wave, own, whole = _read(kept[number], milliseconds)
        out.wave[number] = fitted(to_int16(resampled(wave, own, rate)), samples)
        out.wholes[number] = whole

    of_each(range(len(kept)), fill, watcher.get(), "clips")
    return out


def _heard(one: Kept, milliseconds: int) -> _Heard:
    with _opened(one) as (file, head):
        wave = _middle(one, file, head, milliseconds)
        return _Heard(head, float(np.abs(wave).max(initial=0)))


def _head(one: Kept) -> _Head:
    with _opened(one) as (_, head):
        return head


def _read(one: Kept, milliseconds: int) -> tuple[Wave, int, int]:
    """The middle of it in mono, its rate, and a print of the whole: of its samples, so that the same clip in another
    form of file is the same; of a long file's bytes."""
    with _opened(one) as (file, head):
        if head.seconds > WHOLE:
            return _middle(one, file, head, milliseconds), head.rate, _print_of_file(one)
        wave = _samples(one, file, head.frames)
    middle = _middle_of(len(wave), head.rate, milliseconds)
    return wave[middle], head.rate, print_of(np.array(head.rate), to_int16(wave))


def _middle(one: Kept, file: Any, head: _Head, milliseconds: int) -> Wave:
    part = _middle_of(head.frames, head.rate, milliseconds)
    if part.start:
        try:
            file.seek(part.start)
        except Exception as error:
            raise DataError(f"{_name(one)}: damaged (it ends before its middle)") from error
    return _samples(one, file, part.stop - part.start)


def _middle_of(frames: int, rate: int, milliseconds: int) -> slice:
    wanted = min(frames, -(-rate * milliseconds // 1000))
    start = (frames - wanted) // 2
    return slice(start, start + wanted)


def _samples(one: Kept, file: Any, frames: int) -> Wave:
    """So many from where the file stands, mono. Memory is taken as samples come, not by what the head declares."""
    blocks: list[Wave] = []
    left = frames
    while left > 0:
        try:
            block = file.read(min(left, BLOCK // file.channels), dtype="float32", always_2d=True)
        except Exception as error:  # the library's own, and what its callbacks meet
            raise DataError(f"{_name(one)}: damaged ({' '.join(str(error).split())[:120]})") from error
        if not len(block):
            break
        blocks.append(block.mean(1, dtype=np.float32) if file.channels > 1 else block[:, 0])
        left -= len(block)
    if left > 0:
        raise DataError(f"{_name(one)}: damaged ({frames - left:,} of {frames:,} samples are there)")
    wave = np.concatenate(blocks)
    loudest = float(np.abs(wave).max())
    if not loudest <= LOUDEST:  # NaN fails too
        raise DataError(f"{_name(one)}: values up to {loudest:g}, expected -1 to 1")
    return wave


@contextmanager
def _opened(one: Kept) -> Iterator[tuple[Any, _Head]]:
    soundfile, name = _library(), _name(one)
    with _bytes_of(one) as raw:
        if not raw.read(1):
            raise DataError(f"{name}: an empty file")
        lacking = _lacking(raw)
        raw.seek(0)
        if lacking:
            raise DataError(f"{name}: damaged ({lacking:,} bytes of its sound are missing)")
        try:
            file = soundfile.SoundFile(raw)
        except Exception as error:
            raise DataError(f"{name}: damaged, or no sound that can be read") from error
        with file:
            head = _Head(file.samplerate, file.channels, file.frames)
            problem = _problem(head)
            if problem:
                raise DataError(f"{name}: {problem}")
            yield file, head


def _problem(head: _Head) -> str:
    if not RATES[0] <= head.rate <= RATES[1]:
        return f"{head.rate:,} samples a second, expected {RATES[0]:,} to {RATES[1]:,}"
    if head.frames < 1:
        return "no samples in it"
    read = min(head.frames, round(head.rate * WHOLE)) * head.channels
    return f"{head.channels} channels of {head.rate:,} Hz, more than is read at once" if read > LARGEST else ""


def _lacking(raw: BinaryIO) -> int:
    """Bytes that a WAVE, AIFF or AU file declares and lacks: its library passes over that without a word."""
    size = raw.seek(0, io.SEEK_END)
    raw.seek(0)
    head = raw.read(12)
    kind = head[:4]
    if kind in UNIX and len(head) == 12:
        start, length = struct.unpack(f"{UNIX[kind]}II", head[4:])
        return 0 if length >= ENDLESS else max(0, start + length - size)
    return _lacking_of_chunks(raw, size, WAVES[kind]) if kind in WAVES else 0


def _lacking_of_chunks(raw: BinaryIO, size: int, order: str) -> int:
    place, large = 12, 0
    for _ in range(CHUNKS):
        if place + 8 > size:
            break
        raw.seek(place)
        name, length = struct.unpack(f"{order}4sI", raw.read(8))
        if name == b"ds64" and place + 24 <= size:  # of RF64: lengths that need 64 bits
            large = struct.unpack("<8xQ", raw.read(16))[0]
        if name in (b"data", b"SSND"):
            length = large or (0 if length >= ENDLESS else length)
            return max(0, place + 8 + length - size)
        place += 8 + length + length % 2
    return 0


def _bytes_of(one: Kept) -> BinaryIO:
    if not isinstance(one, Path):
        return io.BytesIO(one.read())
    try:
        return one.open("rb")
    except OSError as error:
        raise DataError(f"{shown(one)}: cannot be read ({error.strerror})") from error


def _print_of_file(one: Kept) -> int:
    found = hashlib.blake2b(digest_size=8)
    with _bytes_of(one) as raw:
        for block in iter(partial(raw.read, BLOCK), b""):
            found.update(block)
    return int.from_bytes(found.digest(), "little")


def _library() -> Any:
    try:
        import soundfile
    except ImportError:
        raise DataError("clips are read by the library soundfile: pip install 'transfer-bench[audio]'") from None
    return soundfile


def _name(one: Kept) -> str:
    return shown(one) if isinstance(one, Path) else one.name
