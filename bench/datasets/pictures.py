"""One picture -> one square of uint8 RGB. What cannot be shown in 8 bits of red, green and blue is converted by a
rule, never clipped; what cannot be read is an error that names the file."""

import io
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from bench.datasets.base import Prints, Split, print_of
from bench.datasets.files import THREADS, DataError, listed, shown
from bench.datasets.foreign import CONVERT, HEAD, RAW, is_raw, said_of
from bench.datasets.whole import draft, lacks_rows, lacks_tiles, may_lack_rows

if TYPE_CHECKING:  # imported where it is used
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

Fit = Literal["crop", "squash"]
LARGEST = 100_000_000  # pixels; larger ones are refused before they are decoded
SMALLEST = 2  # pixels of a side
AT_ONCE = LARGEST  # pixels that are decoded at the same time: each takes 8 to 20 bytes meanwhile
JPEGS = ("JPEG", "MPO")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF", "PPM")  # whatever else Pillow may have been built with
BLOCK = 1 << 20  # numbers that are scaled at once

Pixels = npt.NDArray[np.uint8]
Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Packed:
    """A picture inside some larger file: as `read` gives its bytes."""

    name: str
    read: Callable[[], bytes]


Kept = Path | Packed


def sizes_of(kept: Sequence[Kept]) -> list[tuple[int, int]]:
    """(width, height) from the files' heads, after the turn that a camera noted."""
    return of_each(kept, _size)


# Whoever wants to show how far decoding is puts a function here: done, of how many.
watcher: ContextVar[Callable[[int, int], None]] = ContextVar("watcher", default=lambda done, total: None)


@dataclass(frozen=True)
class Decoded:
    """Pictures as squares, and prints of what they were before."""

    pixels: Pixels  # [N, side, side, 3]
    wholes: Prints  # [N]

    @staticmethod
    def blank(num: int, side: int) -> "Decoded":
        return Decoded(np.empty((num, side, side, 3), np.uint8), np.empty(num, np.uint64))

    def split(self, labels: npt.NDArray[np.int64], rows: npt.NDArray[np.int64] | None = None) -> Split:
        """Of all images, or of some. `labels`: of all."""
        if rows is None:
            return Split.of_images(self.pixels, labels, self.wholes)
        return Split.of_images(self.pixels[rows], labels[rows], self.wholes[rows])


class Allowance:
    """Of memory, in pixels: small pictures are decoded side by side, the largest one by one."""

    def __init__(self, pixels: int) -> None:
        self._left = pixels
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: pixels <= self._left)
            self._left -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._left += pixels
                self._changed.notify_all()


def decode(kept: Sequence[Kept], side: int, fit: Fit) -> Decoded:
    out = Decoded.blank(len(kept), side)
    allowance = Allowance(AT_ONCE)

    def fill(number: int) -> None:
        out.pixels[number], out.wholes[number] = _decoded(kept[number], side, fit, allowance)

    of_each(range(len(kept)), fill, watcher.get())
    return out


def of_each(
    items: Sequence[Item],
    do: Callable[[Item], Found],
    watch: Callable[[int, int], None] = lambda done, total: None,
    word: str = "images",
) -> list[Found]:
    """In threads. What is wrong with the images is said of all of them at once."""
    found: list[Found] = []
    problems: list[str] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for number, waiting in enumerate([pool.submit(do, item) for item in items]):
            try:
                found.append(waiting.result())
            except DataError as error:
                problems.append(str(error))
            watch(number + 1, len(items))
    if problems:
        raise DataError(f"{len(problems)} of {len(items)} {word} cannot be used: {listed(problems)}")
    return found


def _name(kept: Kept) -> str:
    return shown(kept) if isinstance(kept, Path) else kept.name


def _opened(kept: Kept) -> "ImageFile":
    from PIL import Image as pil

    name = _name(kept)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures: they are measured below
            image = pil.open(kept if isinstance(kept, Path) else io.BytesIO(kept.read()), formats=FORMATS)
    except pil.DecompressionBombError as error:
        raise DataError(f"{name}: too large to be a picture ({str(error).partition(',')[0]})") from error
    except Exception as error:  # readers of heads fail in many ways
        raise DataError(f"{name}: {_why(kept, error)}") from error
    problem = _problem(image)
    if problem:
        image.close()
        raise DataError(f"{name}: {problem}")
    return image


def _problem(image: "ImageFile") -> str:
    """What its head says against it."""
    width, height = image.size
    if width * height > LARGEST:
        return f"{width}x{height} pixels, over {LARGEST // 1_000_000} million"
    if min(width, height) < SMALLEST:
        return f"{width}x{height} pixels"
    if is_raw(image):
        return RAW + CONVERT
    return "damaged (strips of it are missing)" if lacks_tiles(image) else ""


def _why(kept: Kept, error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(kept, Path):
        with kept.open("rb") as file:
            head = file.read(HEAD)
    else:
        head = kept.read()[:HEAD]
    if not head:
        return "an empty file"
    return said_of(head) or "damaged, or not a picture"


def _size(kept: Kept) -> tuple[int, int]:
    with _opened(kept) as image:
        width, height = image.size
        try:
            is_turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        except Exception as error:
            raise DataError(f"{_name(kept)}: damaged ({error})") from error
    return (height, width) if is_turned else (width, height)


def _decoded(kept: Kept, side: int, fit: Fit, allowance: Allowance) -> tuple[Pixels, int]:
    """And a print of the whole picture: of its pixels, or of its file where it may not be decoded in full."""
    with _opened(kept) as image, allowance.taken(image.width * image.height):
        # A draft takes less, unless its file is progressive: then the decoder holds all of it.
        draft(image, side)
        picture = _upright(kept, image, side)
        whole = _content(kept) if image.format in JPEGS else np.asarray(picture, np.uint8)
        return squared(picture, side, fit), print_of(whole)


def _upright(kept: Kept, image: "ImageFile", side: int) -> "Image":
    from PIL import ImageOps

    try:
        image.load()
        if may_lack_rows(image) and lacks_rows(_content(kept), image, side):
            raise ValueError("rows of it are missing")
        ImageOps.exif_transpose(image, in_place=True)
        return to_rgb(image)
    except Exception as error:  # decoders fail in many ways
        raise DataError(f"{_name(kept)}: damaged ({' '.join(str(error).split()) or type(error).__name__})") from error


def _content(kept: Kept) -> bytes:
    return kept.read_bytes() if isinstance(kept, Path) else kept.read()


def squared(picture: "Image", side: int, fit: Fit) -> Pixels:
    from PIL import Image as pil

    width, height = picture.size
    box = None
    if fit == "crop":  # the largest square in the middle
        least = min(width, height)
        left, top = (width - least) / 2, (height - least) / 2
        box = (left, top, left + least, top + least)
    if (width, height) != (side, side):
        picture = picture.resize((side, side), pil.Resampling.BICUBIC, box=box)
    return np.asarray(picture, np.uint8)


def to_rgb(image: "Image") -> "Image":
    """Whole numbers of more than 8 bits have 16, fractions lie in 0 .. 1: by a rule for all, not by what an image
    happens to hold. What is transparent shows white."""
    from PIL import Image as pil

    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return pil.fromarray(_to_bytes(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = pil.new("RGBA", image.size, "white")
        return pil.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_bytes(values: npt.NDArray[np.generic]) -> Pixels:
    most = 65535 if values.dtype.kind in "iu" else 1
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= most):  # NaN fails too
        raise ValueError(f"values from {low:g} to {high:g}, expected 0 to {most}")
    return scaled(values, most)


def scaled(values: npt.NDArray[np.generic], most: float) -> Pixels:
    """0 .. most -> 0 .. 255, a block at a time: in double precision all of them would take eight times their memory."""
    out = np.empty(values.shape, np.uint8)
    length = max(1, BLOCK * len(values) // max(values.size, 1))
    for rows in (slice(start, start + length) for start in range(0, len(values), length)):
        out[rows] = np.rint(values[rows].astype(np.float64) * (255 / most))
    return out
