"""From ink to images: colours, backdrop, stray lines, and what a camera does. Arrays are [N, channel, row, column]."""

import math

import numpy as np
import numpy.typing as npt

from bench.datasets.worlds.canvas import ACROSS_COARSE, DOWN_COARSE, SIDE, Ink
from bench.datasets.worlds.streams import Floats, Streams
from bench.datasets.worlds.style import Style

WAVES = 4  # sines that make one cloud
MOST_STROKES = 5
STROKE = 0.035  # half the width of a stray line

# Two directions in colour space, at right angles, that leave the lightness .299 R + .587 G + .114 B as it is:
# per channel, the share of each.
_TINTS = ((0.891, 0.077), (-0.454, 0.152), (0.0, -0.985))


def _colour(lightness: Floats, hue: Floats, saturation: Floats) -> Floats:
    """[N, 1, 1] each -> [N, 3, 1, 1]. A hue and its opposite are mirror images, so hues average to grey exactly."""
    turn = hue * (2 * math.pi)
    tint = np.stack([np.cos(turn) * warm + np.sin(turn) * cool for warm, cool in _TINTS], axis=1)
    tint = tint / np.abs(tint).max(axis=1, keepdims=True)
    room = np.minimum(lightness, 1 - lightness) * saturation
    colour: Floats = lightness[:, None] + room[:, None] * tint
    return colour


def _palette(streams: Streams, num_images: int, style: Style) -> tuple[Floats, Floats, Floats]:
    """Backdrop, first and second ink. Which of the first two is the lighter is chance, and both come from one range of
    hues: so the mean colour of an image tells nothing of how much of it is inked, and thereby nothing of its class."""
    draws = streams.uniform("colour", num_images, 9)
    gap = style.gap + (1 - style.gap) * draws[0] * draws[0]
    dark = draws[1] * (1 - gap)
    swapped = draws[2] < 0.5
    backdrop, first = np.where(swapped, dark + gap, dark), np.where(swapped, dark, dark + gap)
    second = first + 0.5
    second -= np.floor(second)  # half the range away from the first, whichever side has room
    start, span = style.hue[0], style.hue[1]
    hues = start + span * draws[3:6]
    saturations = np.clip(style.saturation + 0.8 * (draws[6:9] - 0.5), 0, 1)
    return (_colour(backdrop, hues[0], saturations[0]), _colour(first, hues[1], saturations[1]),
            _colour(second, hues[2], saturations[2]))


def _cloud(streams: Streams, purpose: str, num_images: int, fastest: float) -> Floats:
    """[N, SIDE, SIDE], smooth, about -1 .. 1; `fastest` in half-waves per canvas side."""
    draws = streams.uniform(purpose, num_images, 3 * WAVES)
    right, below, phase = (draws * 2 - 1).reshape(3, WAVES, num_images, 1, 1) * math.pi
    right, below = right * fastest, below * fastest
    cloud = np.zeros((num_images, SIDE, SIDE), np.float32)
    for k in range(WAVES):
        cloud += np.sin(right[k] * ACROSS_COARSE + (below[k] * DOWN_COARSE + phase[k]))
    return cloud * (1 / (1.4 * math.sqrt(WAVES)))


def _backdrop(streams: Streams, colour: Floats, style: Style) -> Floats:
    num_images = len(colour)
    tint = streams.uniform("cloud_tint", num_images, 3)[:, :, 0, 0].T[:, :, None, None] * 2 - 1
    cloud = _cloud(streams, "cloud", num_images, 2.0) * (style.clutter / 2)
    return colour + cloud[:, None] * tint


def _scratch(streams: Streams, images: Floats, style: Style) -> None:
    """Stray lines, in place. Each of the few possible ones is there or not by its own number."""
    draws = streams.uniform("strokes", len(images), 6 * MOST_STROKES)[:, :, 0, 0].reshape(MOST_STROKES, 6, -1)
    for there, angle, offset, *colour in draws:
        on = np.flatnonzero(there < style.strokes / MOST_STROKES)
        if not len(on):
            continue
        turn = (angle[on] * math.pi)[:, None, None]
        away = (offset[on] * 1.8 - 0.9)[:, None, None]
        distance = np.abs(np.cos(turn) * ACROSS_COARSE + (np.sin(turn) * DOWN_COARSE - away)) - STROKE
        cover = np.clip(0.5 - distance * (SIDE / 3), 0, 1)[:, None]
        tone = np.stack([c[on] for c in colour], axis=1)[:, :, None, None]
        images[on] += cover * (tone - images[on])


def _photograph(streams: Streams, images: Floats, style: Style) -> npt.NDArray[np.uint8]:
    """Blur, negative, exposure, grain, 8 bits; channels go last."""
    num_images = len(images)
    blur, negative, gain, offset_a, offset_b = streams.uniform("camera", num_images, 5)
    soft = np.flatnonzero(blur[:, 0, 0] < style.blur)
    if len(soft):
        wide = np.pad(images[soft], ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
        rows = (wide[:, :, :-2] + 2 * wide[:, :, 1:-1] + wide[:, :, 2:]) * 0.25
        images[soft] = (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) * 0.25
    gain = 0.8 + 0.4 * gain
    contrast = np.where(negative < style.negative, -gain, gain)
    brightness = 0.5 + 0.2 * (offset_a + offset_b - 1)
    images = (images - 0.5) * contrast[:, None] + brightness[:, None]
    images += (streams.grain(num_images, 3 * SIDE * SIDE) * style.grain).reshape(images.shape)
    images *= 255
    images += 0.5
    np.clip(images, 0, 255, out=images)
    return np.ascontiguousarray(images.astype(np.uint8).transpose(0, 2, 3, 1))


def paint(streams: Streams, ink: Ink, style: Style) -> npt.NDArray[np.uint8]:
    """[N, SIDE, SIDE, 3]"""
    num_images = len(ink.first)
    colour, first, second = _palette(streams, num_images, style)
    images = _backdrop(streams, colour, style)
    _scratch(streams, images, style)
    shade = _cloud(streams, "shade", num_images, 1.2) * 0.12
    covered = ink.first if ink.second is None else ink.first + ink.second
    images *= (1 - covered)[:, None]
    images += (ink.first * shade)[:, None]
    images += ink.first[:, None] * first
    if ink.second is not None:
        images += ink.second[:, None] * second
    return _photograph(streams, images, style)
