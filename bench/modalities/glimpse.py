"""What a page shows of examples of each modality: small, and made without torch."""

import base64
import io
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bench.spec.refs import SEPARATOR

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 48  # pixels of the longer side, at most
CHARACTERS = 120  # of a text
WINDOW = 1024  # samples of a clip that make one column
DECIBELS = 60.0  # below the loudest are black
GAP, GREY = 2, 160  # pixels between pictures, and their brightness
QUALITY = 60  # of JPEG


@dataclass(frozen=True)
class Glimpse:
    """Some examples together, in one of two ways."""

    picture: str = ""  # side by side, what follows `data:` in an address
    texts: tuple[str, ...] = ()  # their beginnings


def of_pictures(images: npt.NDArray[np.uint8]) -> Glimpse:
    """[n, H, W, 3]; of pictures smaller than a thumbnail each pixel becomes a square of several."""
    return _side_by_side([np.asarray(_thumbnail(image)) for image in images])


def of_texts(stored: npt.NDArray[np.uint8]) -> Glimpse:
    """[n, bytes], zeros behind the end. Both texts of a pair, with a stroke between."""
    return Glimpse(texts=tuple(_beginning(bytes(row).rstrip(b"\0")) for row in stored))


def of_waves(waves: npt.NDArray[np.int16]) -> Glimpse:
    """[n, samples]. How loud each pitch is at each moment: time to the right, pitch upwards, by octaves."""
    return _side_by_side([_spectrum(wave) for wave in waves])


def _side_by_side(pictures: list[npt.NDArray[np.uint8]]) -> Glimpse:
    """[H, W, 3] or [H, W]; whichever of the two forms is shorter."""
    from PIL import Image as pil

    gap = np.full((pictures[0].shape[0], GAP, *pictures[0].shape[2:]), GREY, np.uint8)
    row = np.concatenate([part for picture in pictures for part in (gap, picture)][1:], axis=1)
    return Glimpse(picture=min((_encoded(pil.fromarray(row), kind) for kind in ("png", "jpeg")), key=len))


def _thumbnail(image: npt.NDArray[np.uint8]) -> "Image":
    from PIL import Image as pil

    picture = pil.fromarray(image)
    longest = max(picture.size)
    if longest <= SIDE:
        times = SIDE // longest
        return picture.resize((times * picture.width, times * picture.height), pil.Resampling.NEAREST)
    width, height = (max(1, round(SIDE * side / longest)) for side in picture.size)
    return picture.resize((width, height), pil.Resampling.LANCZOS)


def _encoded(picture: "Image", kind: str) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, optimize=True, **({"quality": QUALITY} if kind == "jpeg" else {}))
    return f"image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _beginning(text: bytes) -> str:
    words = " ".join(text.replace(bytes([SEPARATOR]), b" / ").decode("utf-8", "replace").split())
    return words if len(words) <= CHARACTERS else words[: CHARACTERS - 1] + "…"


def _spectrum(wave: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """[SIDE, SIDE], each clip as bright as its own loudest moment allows."""
    padded = np.pad(wave.astype(np.float64), (0, max(0, WINDOW - len(wave))))
    starts = np.linspace(0, len(padded) - WINDOW, SIDE).astype(np.int64)
    columns = padded[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW)
    loudness = np.abs(np.fft.rfft(columns))
    edges = np.geomspace(2, loudness.shape[1], SIDE + 1).astype(np.int64)
    bands = np.stack([loudness[:, low : max(low + 1, high)].max(1) for low, high in itertools.pairwise(edges)])
    shares = bands[::-1] / max(float(bands.max()), 1.0)
    decibels = 20 * np.log10(shares.clip(10 ** (-DECIBELS / 20)))
    return np.asarray((1 + decibels / DECIBELS) * 255).round().astype(np.uint8)
