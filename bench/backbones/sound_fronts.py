"""What encoders of sound were trained to see, by the `preprocessor_config.json` beside their weights. No torch here."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.spec.refs import Mel, SoundPipeline

FILE = "preprocessor_config.json"


def front_of(kind: str, folder: Path, name: str) -> dict[str, Any]:
    """As it stands in a backbone's options. `kind`: as families tell it."""
    try:
        told = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return asdict(FRONTS[kind](told))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BenchError(f"{name}: no {FILE} of a feature extractor beside its configuration, and without it nobody "
                         f"knows what its weights expect ({type(error).__name__})") from error


def pipeline_of(front: dict[str, Any]) -> SoundPipeline:
    return SoundPipeline(**{**front, "mel": Mel(**front["mel"]) if front["mel"] is not None else None})


def _wave(told: dict[str, Any]) -> SoundPipeline:
    return SoundPipeline(rate=told.get("sampling_rate", 16_000), each=told.get("do_normalize", True))


def _whisper(told: dict[str, Any]) -> SoundPipeline:
    """Always as long as the weights were trained with: silence stands around a clip."""
    rate, hop, fft = told.get("sampling_rate", 16_000), told.get("hop_length", 160), told.get("n_fft", 400)
    samples = told.get("chunk_length", 30) * rate
    mel = Mel(fft, hop, fft, told.get("feature_size", 80), 0.0, 8000.0, "slaney", 2, offset=0.0, floor=1e-10, log="10",
              centred=True, span=8.0, frames=samples // hop)  # fmt: skip
    return SoundPipeline(rate, samples, mel=mel, mean=-4.0, std=4.0)


def _spectrogram(told: dict[str, Any]) -> SoundPipeline:
    """The audio spectrogram transformer's, by Kaldi's arithmetic."""
    rate = told.get("sampling_rate", 16_000)
    mel = Mel(bands=told.get("num_mel_bins", 128), low=20.0, high=rate / 2, power=2, offset=0.0,
              floor=1.192092955078125e-07, emphasis=0.97, frames=told.get("max_length", 1024))  # fmt: skip
    if not told.get("do_normalize", True):
        return SoundPipeline(rate, mel=mel)
    return SoundPipeline(rate, mel=mel, mean=told.get("mean", -4.2677393), std=2 * told.get("std", 4.5689974))


FRONTS: dict[str, Callable[[dict[str, Any]], SoundPipeline]] = {
    "wave": _wave,
    "whisper": _whisper,
    "spectrogram": _spectrogram,
}
