"""Arithmetic of clips that reading files and feeding networks share: rate, length and scale. No torch here."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError

Number = TypeVar("Number", np.int16, np.float32)

FULL = 32768.0  # full scale of 16-bit numbers


def resampled(wave: npt.NDArray[np.float32], rate: int, to: int) -> npt.NDArray[np.float32]:
    """[T] -> [T * to / rate], rounded up"""
    if rate == to:
        return wave
    try:
        import soxr
    except ImportError:
        raise BenchError(f"clips of {rate:,} Hz become {to:,} Hz by the library soxr: "
                         "pip install 'transfer-bench[audio]'") from None
    found: npt.NDArray[np.float32] = soxr.resample(wave, rate, to)
    wanted = -(-len(wave) * to // rate)
    return np.pad(found[:wanted], (0, max(0, wanted - len(found))))


def fitted(wave: npt.NDArray[Number], samples: int) -> npt.NDArray[Number]:
    """[T] -> [samples]: its middle, or zeros around it"""
    left = (len(wave) - samples) // 2
    if left >= 0:
        return wave[left : left + samples]
    before = (samples - len(wave)) // 2
    return np.pad(wave, (before, samples - len(wave) - before))


def to_int16(wave: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    found: npt.NDArray[np.int16] = np.clip(np.rint(wave * np.float32(FULL)), -FULL, FULL - 1).astype(np.int16)
    return found
