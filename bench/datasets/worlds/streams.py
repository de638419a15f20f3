"""Random numbers of one class in one split, drawn from a stream per purpose.

Purposes have streams of their own so that a new factor, or a style that draws differently, leaves the others alone.
Each image takes a fixed count of numbers from each stream, so asking for more images only appends.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.keys import seed_for

# Always float32. A plain number does not widen an array, a 64-bit numpy scalar does: constants come from `math`.
Floats = npt.NDArray[np.floating[Any]]


class Streams:
    """Built on raw PCG64 words: numpy promises those across releases, and `Generator.normal` and its kin not."""

    def __init__(self, *owner: str | int) -> None:
        self._owner = owner
        self._bits: dict[str, np.random.PCG64] = {}

    def _words(self, purpose: str, count: int) -> npt.NDArray[np.uint64]:
        if purpose not in self._bits:
            self._bits[purpose] = np.random.PCG64(seed_for("render", *self._owner, purpose))
        words: npt.NDArray[np.uint64] = self._bits[purpose].random_raw(count)
        return words

    def uniform(self, purpose: str, num_images: int, width: int) -> Floats:
        """[width, num_images, 1, 1] in [0, 1): one row per factor, ready to meet a stack of images."""
        top = self._words(purpose, num_images * width) >> np.uint64(40)
        columns = top.reshape(num_images, width).T.astype(np.float32) * 2.0**-24
        return columns[:, :, None, None]

    def grain(self, num_images: int, size: int) -> Floats:
        """[num_images, size], about normal with mean 0 and deviation 1: each value is the sum of four random bytes."""
        assert size % 2 == 0
        pairs = self._words("grain", num_images * size // 2)
        # Two neighbouring bytes are added in every 16-bit lane, then two lanes in every 32-bit one.
        pairs = (pairs & np.uint64(0x00FF00FF00FF00FF)) + ((pairs >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF))
        pairs = (pairs & np.uint64(0x0000FFFF0000FFFF)) + ((pairs >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF))
        sums = pairs.astype("<u8", copy=False).view("<u4").reshape(num_images, size).astype(np.float32)
        deviation = math.sqrt(4 * (256**2 - 1) / 12)
        return (sums - 510) * (1 / deviation)
