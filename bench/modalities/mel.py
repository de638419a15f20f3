"""Log-mel energies of waves, by the numbers that the weights of YAMNet, Whisper and the AST were trained with."""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.spec.refs import Mel


def log_mel(wave: Tensor, rate: int, how: Mel) -> Tensor:
    """float [B, T] in -1 .. 1 -> [B, frames, bands]"""
    if how.centred:
        wave = F.pad(wave[:, None], (how.fft // 2, how.fft // 2), mode="reflect")[:, 0]
    frames = wave.unfold(-1, how.window, how.hop)
    if how.emphasis:
        frames = frames - frames.mean(-1, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], -1)
        frames = frames - how.emphasis * before
    window = torch.hann_window(how.window, periodic=not how.emphasis, dtype=wave.dtype)
    magnitude = torch.fft.rfft(frames * window, how.fft).abs()
    energy = (magnitude**how.power) @ filters(rate, how).to(wave.dtype)
    energy = energy.clamp_min(how.floor) + how.offset
    found = energy.log() if how.log == "e" else energy.log10()
    if how.centred:
        found = found[:, :-1]
    if how.span:
        found = found.maximum(found.amax((1, 2), keepdim=True) - how.span)
    return _of_length(found, how.frames) if how.frames else found


def num_frames(samples: int, how: Mel) -> int:
    if how.frames:
        return how.frames
    return samples // how.hop if how.centred else max(0, (samples - how.window) // how.hop + 1)


def _of_length(found: Tensor, frames: int) -> Tensor:
    return F.pad(found[:, :frames], (0, 0, 0, max(0, frames - found.shape[1])))


@lru_cache(maxsize=8)
def filters(rate: int, how: Mel) -> Tensor:
    """float64 [bins, bands]: triangles, each up from one edge to the next and down to the one behind it."""
    bins = torch.linspace(0, rate / 2, how.fft // 2 + 1, dtype=torch.float64)
    if how.scale == "htk":
        first, last = _htk(torch.tensor([how.low, how.high], dtype=torch.float64))
        edges, bins = torch.linspace(first, last, how.bands + 2, dtype=torch.float64), _htk(bins)
    else:
        first, last = torch.tensor([_slaney(how.low), _slaney(how.high)], dtype=torch.float64)
        edges = _from_slaney(torch.linspace(first, last, how.bands + 2, dtype=torch.float64))
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    bins = bins[:, None]
    found = torch.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clamp_min(0)
    if how.scale == "slaney":
        found = found * 2 / (right - left)
    return found


def _htk(hertz: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(hertz / 700.0)


KNEE, PER_MEL, STEP = 1000.0, 200 / 3, math.log(6.4) / 27  # Slaney's scale: even up to 1 kHz, then in equal ratios


def _slaney(hertz: float) -> float:
    return hertz / PER_MEL if hertz < KNEE else KNEE / PER_MEL + math.log(hertz / KNEE) / STEP


def _from_slaney(mels: Tensor) -> Tensor:
    knee = KNEE / PER_MEL
    return torch.where(mels < knee, mels * PER_MEL, KNEE * torch.exp(STEP * (mels - knee)))
