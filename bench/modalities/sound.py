"""Sound: mono clips of one length and rate, shown to a network as waves or as log-mel energies. `waves.py` computes."""

from dataclasses import replace
from typing import Any

import numpy as np

from bench.modalities.base import Columns, Handling, Modality
from bench.modalities.glimpse import of_waves
from bench.spec.refs import Mel, SoundPipeline

# Mean and spread of log-mel energies over spoken digits with silence around them: pictures are of order 1.
PICTURE = SoundPipeline(least=15_600, mel=Mel(), mean=-4.4, std=2.9, channels=3)


def _check(columns: Columns) -> None:
    wave, rate = columns["wave"], columns["rate"]
    assert wave.dtype == np.int16
    assert wave.ndim == 2
    assert rate.dtype == np.int32
    assert rate.ndim == 1
    assert len(rate) == 0 or (rate == rate[0]).all()


def _pipeline_for(spec: Any, facts: Any, data: Any) -> SoundPipeline:
    """`data.image_size` is how long the set's clips are, in milliseconds."""
    takes = facts.takes
    assert isinstance(takes, SoundPipeline)
    if takes.samples:
        return takes
    samples = -(-takes.rate * data.image_size // 1000)
    return replace(takes, samples=max(samples, takes.least))


def _in_words(pipeline: SoundPipeline) -> str:
    seconds, mel = pipeline.samples / pipeline.rate, pipeline.mel
    clip = f"{seconds:.3g} s at {pipeline.rate:,} Hz"
    if mel is None:
        return f"the wave, {clip}"
    as_picture = f", resized to {pipeline.side} × {pipeline.side} pixels" if pipeline.side else ""
    step = 1000 * mel.hop / pipeline.rate
    return f"log-mel energies of {clip}: {mel.bands} bands every {step:g} ms{as_picture}"


def _handling() -> Handling:
    from bench.modalities.waves import SoundHandling

    return SoundHandling()


MODALITY = Modality(
    name="sound",
    summary="clips, int16 [N, samples], and their rate",
    columns=("wave", "rate"),
    check=_check,
    pipeline=SoundPipeline,
    handling=_handling,
    pipeline_for=_pipeline_for,
    example="clip",
    in_words=_in_words,
    glimpse=lambda columns: of_waves(columns["wave"]),
)
