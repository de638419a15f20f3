"""What encoders of sound were trained to see, by the `preprocessor_config.json` beside their weights. No torch here."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.spec.refs import Mel, SoundPipeline

FILE = "preprocessor_config.json"
# What a file may ask for at most: Hz, samples, seconds, bands and frames.
MOST = {"sampling_rate": 384_000, "hop_length": 1 << 16, "n_fft": 1 << 16, "chunk_length": 600, "feature_size": 1024,
        "num_mel_bins": 1024, "max_length": 1 << 16}  # fmt: skip


def front_of(kind: str, folder: Path, name: str) -> dict[str, Any]:
    """As it stands in a backbone's options. `kind`: as families tell it."""
    try:
        told = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise TypeError(type(told).__name__)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise BenchError(f"{name}: no {FILE} of a feature extractor beside its configuration, and without it nobody "
                         f"knows what its weights expect ({type(error).__name__})") from error
    try:
        return asdict(FRONTS[kind](told))
    except ValueError as error:
        raise BenchError(f"{name}: {FILE}: {error}") from error


def pipeline_of(front: dict[str, Any]) -> SoundPipeline:
    return SoundPipeline(**{**front, "mel": Mel(**front["mel"]) if front["mel"] is not None else None})


def _whole(told: dict[str, Any], name: str, default: int) -> int:
    number = told.get(name, default)
    if type(number) is not int or not 1 <= number <= MOST[name]:
        raise ValueError(f"{name}: expected a whole number in 1 .. {MOST[name]}, got {number!r}")
    return number


def _number(told: dict[str, Any], name: str, default: float) -> float:
    number = told.get(name, default)
    if type(number) not in (int, float) or not math.isfinite(number) or (name == "std" and number <= 0):
        raise ValueError(f"{name}: expected a finite number{' above 0' * (name == 'std')}, got {number!r}")
    return float(number)


def _wave(told: dict[str, Any]) -> SoundPipeline:
    return SoundPipeline(_whole(told, "sampling_rate", 16_000), each=bool(told.get("do_normalize", True)))


def _whisper(told: dict[str, Any]) -> SoundPipeline:
    """Always as long as the weights were trained with: silence stands around a clip."""
    rate, hop, fft = _whole(told, "sampling_rate", 16_000), _whole(told, "hop_length", 160), _whole(told, "n_fft", 400)
    samples = _whole(told, "chunk_length", 30) * rate
    mel = Mel(fft, hop, fft, _whole(told, "feature_size", 80), 0.0, 8000.0, "slaney", 2, offset=0.0, floor=1e-10,
              log="10", centred=True, span=8.0, frames=samples // hop)  # fmt: skip
    return SoundPipeline(rate, samples, mel=mel, mean=-4.0, std=4.0)


def _spectrogram(told: dict[str, Any]) -> SoundPipeline:
    """The audio spectrogram transformer's, by Kaldi's arithmetic."""
    rate = _whole(told, "sampling_rate", 16_000)
    mel = Mel(bands=_whole(told, "num_mel_bins", 128), low=20.0, high=rate / 2, power=2, offset=0.0,
              floor=1.192092955078125e-07, emphasis=0.97, frames=_whole(told, "max_length", 1024))  # fmt: skip
    if not told.get("do_normalize", True):
        return SoundPipeline(rate, mel=mel)
    mean, std = _number(told, "mean", -4.2677393), _number(told, "std", 4.5689974)
    return SoundPipeline(rate, mel=mel, mean=mean, std=2 * std)


FRONTS: dict[str, Callable[[dict[str, Any]], SoundPipeline]] = {
    "wave": _wave,
    "whisper": _whisper,
    "spectrogram": _spectrogram,
}
