"""Clips from stored samples to inputs, and their random changes. `mel.py` has the arithmetic of log-mel energies.

Resampling, length and log-mel energies come once for each clip and are kept: waves in 16-bit numbers, energies in half
precision. Random changes act on what is kept, each example's from a stream of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.keys import seed_for
from bench.modalities.base import Columns, Handling
from bench.modalities.clips import FULL, fitted, resampled, to_int16
from bench.modalities.mel import log_mel, num_frames
from bench.modalities.sending import sent
from bench.spec.refs import SoundChanges, SoundPipeline, Training

TINY = 1e-7  # is added to a variance, as the wave2vec feature extractor does
AT_ONCE = 64  # clips whose energies are computed at the same time
PASS_VALUES = 256 * 64 * 64 * 3  # of one pass without learning
SEEDS = 2**62


@dataclass(frozen=True)
class Changes:
    of: SoundChanges = SoundChanges()
    views: int = 0

    @property
    def is_random(self) -> bool:
        return self.of.is_random

    @property
    def num_views(self) -> int | None:
        return (self.views or None) if self.is_random else 1


class SoundHandling(Handling):
    """`modalities.base.Handling` of clips."""

    libraries = ("soxr", "torch")

    def stored(self, columns: Columns) -> tuple[Tensor, ...]:
        return tuple(torch.from_numpy(columns[name]) for name in ("wave", "rate"))

    def preparation(self, pipeline: SoundPipeline) -> SoundPipeline:
        """Without what `inputs` does."""
        return replace(pipeline, mean=0.0, std=1.0, channels=0, side=0)

    def prepared(self, columns: Columns, pipeline: SoundPipeline, files: Mapping[str, Path]) -> Tensor:
        """int16 [N, samples], float16 where each clip is normalised, or float16 [N, frames, bands]."""
        wave, rates = columns["wave"], columns["rate"]
        rate = int(rates[0]) if len(rates) else pipeline.rate
        parts = [_prepared(wave[start : start + AT_ONCE], rate, pipeline) for start in range(0, len(wave), AT_ONCE)]
        return torch.cat(parts) if parts else self._kept(pipeline, 0)

    def variation(self, training: Training) -> Changes:
        return Changes(training.sound or SoundChanges(), training.views)

    def still(self) -> Changes:
        return Changes()

    def vary(
        self, values: tuple[Tensor, ...], how: Changes, generator: torch.Generator, rows: Tensor | None
    ) -> tuple[Tensor, ...]:
        num = len(values[0])
        if how.views:
            assert rows is not None
            return self.view(values, how, rows, self.choose_views(num, how, generator))
        seeds: list[int] = torch.randint(SEEDS, (num,), generator=generator).tolist()
        return (_changed(values[0], how.of, seeds),)

    def choose_views(self, num: int, how: Changes, generator: torch.Generator) -> Tensor:
        return torch.randint(0, max(1, how.views), (num,), generator=generator)

    def view(self, values: tuple[Tensor, ...], how: Changes, rows: Tensor, views: Tensor) -> tuple[Tensor, ...]:
        """Each clip's view depends on its place in the split and on nothing else."""
        pairs = zip(rows.tolist(), views.tolist(), strict=True)
        return (_changed(values[0], how.of, [seed_for("view of a clip", row, view) for row, view in pairs]),)

    def inputs(self, parts: Sequence[tuple[Tensor, ...]], pipeline: SoundPipeline) -> Tensor:
        """[B, samples], [B, frames, bands], or pictures [B, channels, frames, bands]."""
        values = [part[0].to(torch.get_default_dtype()) for part in parts]
        x = torch.cat(values) if len(values) > 1 else values[0]
        if pipeline.mel is None and not pipeline.each:
            x = x / FULL
        x = (x - pipeline.mean) / pipeline.std
        return _pictures(x, pipeline) if pipeline.channels else x

    def blank(self, pipeline: SoundPipeline, num: int, device: str) -> Tensor:
        """What is computed of noise: silence of equal parts has no variance that a layer could divide by."""
        kept = torch.rand(self._kept(pipeline, num).shape, generator=torch.Generator().manual_seed(0))
        return self.inputs([(kept,)], pipeline).to(device)

    def per_pass(self, pipeline: SoundPipeline) -> int:
        return max(1, PASS_VALUES // self.blank(pipeline, 1, "cpu").numel())

    def _kept(self, pipeline: SoundPipeline, num: int) -> Tensor:
        if pipeline.mel is None:
            return torch.zeros(num, pipeline.samples, dtype=torch.float16 if pipeline.each else torch.int16)
        frames = num_frames(pipeline.samples, pipeline.mel)
        return torch.zeros(num, frames, pipeline.mel.bands, dtype=torch.float16)


def _pictures(x: Tensor, pipeline: SoundPipeline) -> Tensor:
    x = x[:, None]
    if pipeline.side:
        x = F.interpolate(x, size=(pipeline.side, pipeline.side), mode="bilinear", antialias=True)
    return x.expand(-1, pipeline.channels, -1, -1).contiguous()


def _prepared(wave: npt.NDArray[np.int16], rate: int, pipeline: SoundPipeline) -> Tensor:
    if pipeline.each:
        return torch.from_numpy(np.stack([_normalised(one, rate, pipeline) for one in wave])).half()
    if rate != pipeline.rate:
        scaled = wave.astype(np.float32) / np.float32(FULL)
        wave = np.stack([to_int16(resampled(one, rate, pipeline.rate)) for one in scaled])
    kept = torch.from_numpy(np.stack([fitted(one, pipeline.samples) for one in wave]))
    if pipeline.mel is None:
        return kept
    return log_mel(kept.float() / FULL, pipeline.rate, pipeline.mel).half()


def _normalised(wave: npt.NDArray[np.int16], rate: int, pipeline: SoundPipeline) -> npt.NDArray[np.float32]:
    """Mean 0 and variance 1 of the clip itself, as its extractor does it before it pads. Zeros at both ends alike are
    what made it as long as its set's clips."""
    some = np.flatnonzero(wave)
    if len(some):
        before = min(some[0], len(wave) - 1 - some[-1])
        after = min(before + 1, len(wave) - 1 - some[-1])  # one more of an odd number
        wave = wave[before : len(wave) - after]
    clip = resampled(wave.astype(np.float32) / np.float32(FULL), rate, pipeline.rate)
    clip = (clip - clip.mean()) / np.sqrt(clip.var() + np.float32(TINY))
    return fitted(clip, pipeline.samples)


def _changed(values: Tensor, how: SoundChanges, seeds: Sequence[int]) -> Tensor:
    """[B, T] or [B, frames, bands], each example changed by a stream of its own. Waves have no bands to mask."""
    return torch.stack([_one(value, how, torch.Generator().manual_seed(seed))
                        for value, seed in zip(values, seeds, strict=True)])  # fmt: skip


def _one(value: Tensor, how: SoundChanges, draw: torch.Generator) -> Tensor:
    x = value.to(torch.get_default_dtype())
    silence = x.min() if x.ndim > 1 else x.new_zeros(())
    if how.shift:
        most = round(how.shift * len(x))
        x = _moved(x, int(torch.randint(-most, most + 1, (), generator=draw)), silence)
    if how.noise:
        share = how.noise * float(torch.rand((), generator=draw))
        x = x + share * x.std() * sent(torch.randn(x.shape, generator=draw).to(x.dtype), x.device)
    for axis, count in ((0, how.time_masks), (1, how.mel_masks if x.ndim > 1 else 0)):
        for _ in range(count):
            x = _masked(x, axis, how.widest, draw)
    return x


def _moved(x: Tensor, by: int, silence: Tensor) -> Tensor:
    """Along the first axis; what comes in is silence."""
    gap = silence.expand(abs(by), *x.shape[1:])
    return torch.cat([gap, x[:-by]]) if by > 0 else torch.cat([x[-by:], gap]) if by < 0 else x


def _masked(x: Tensor, axis: int, widest: float, draw: torch.Generator) -> Tensor:
    """SpecAugment (Park et al. 2019): a stretch of any width up to the widest becomes the clip's mean."""
    length = x.shape[axis]
    width = int(torch.randint(0, round(widest * length) + 1, (), generator=draw))
    start = int(torch.randint(0, length - width + 1, (), generator=draw))
    places = torch.arange(length, device=x.device)
    inside = (places >= start) & (places < start + width)
    if x.ndim > 1:
        inside = inside[:, None] if axis == 0 else inside[None]
    return torch.where(inside, x.mean(), x)
