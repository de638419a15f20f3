"""What a page shows of examples of each modality: small, and made without torch."""

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bench.spec.refs import SEPARATOR

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 48  # pixels of the longer side, at most
CHARACTERS = 120  # of a text
BARS = 48  # of a clip
LOUDEST = 100  # height of a clip's highest bar
QUALITY = 60  # of JPEG


@dataclass(frozen=True)
class Glimpse:
    """Some examples together; one of the three is filled."""

    picture: str = ""  # side by side, what follows `data:` in an address
    texts: tuple[str, ...] = ()  # their beginnings
    waves: tuple[tuple[int, ...], ...] = ()  # how loud each stretch of a clip is, 0 .. LOUDEST


def of_pictures(images: npt.NDArray[np.uint8]) -> Glimpse:
    """[n, H, W, 3]; of pictures smaller than a thumbnail each pixel becomes a square of several."""
    from PIL import Image as pil

    row = np.concatenate([np.asarray(_thumbnail(image)) for image in images], axis=1)
    found = [_encoded(pil.fromarray(row), kind) for kind in ("png", "jpeg")]
    return Glimpse(picture=min(found, key=len))


def of_texts(stored: npt.NDArray[np.uint8]) -> Glimpse:
    """[n, bytes], zeros behind the end. Both texts of a pair, with a stroke between."""
    return Glimpse(texts=tuple(_beginning(bytes(row).rstrip(b"\0")) for row in stored))


def of_waves(waves: npt.NDArray[np.int16]) -> Glimpse:
    """[n, samples]"""
    return Glimpse(waves=tuple(_bars(wave) for wave in waves))


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


def _bars(wave: npt.NDArray[np.int16]) -> tuple[int, ...]:
    """The highest amplitude of each stretch, as a share of the clip's own highest."""
    peaks = [int(np.abs(part.astype(np.int32)).max(initial=0)) for part in np.array_split(wave, BARS)]
    return tuple(round(LOUDEST * peak / max(1, *peaks)) for peak in peaks)
