"""Coordinates and edges. Drawings are laid out on a grid twice as fine as the image and averaged down."""

import math
from dataclasses import dataclass

import numpy as np

from bench.datasets.worlds.streams import Floats, Streams
from bench.datasets.worlds.style import Style

SIDE = 32  # pixels
FINE = 2 * SIDE
EDGE = 1.5  # width of an edge's ramp in fine pixels


def _centres(count: int) -> Floats:
    """Pixel centres between -1 and 1."""
    return ((np.arange(count) + 0.5) * (2 / count) - 1).astype(np.float32)


ACROSS, DOWN = _centres(FINE)[None, None, :], _centres(FINE)[None, :, None]
ACROSS_COARSE, DOWN_COARSE = _centres(SIDE)[None, None, :], _centres(SIDE)[None, :, None]


@dataclass(frozen=True)
class Frame:
    """A drawing's own coordinates, [N, FINE, FINE]: it fills about -1 .. 1 in each, y pointing down."""

    x: Floats
    y: Floats
    scale: Floats  # [N, 1, 1], image units in one drawing unit


@dataclass(frozen=True)
class Ink:
    """How much of each pixel a drawing covers, [N, SIDE, SIDE] in 0 .. 1: with its first and its second colour."""

    first: Floats
    second: Floats | None = None


def place(streams: Streams, num_images: int, style: Style) -> Frame:
    """Turn, resize, stretch and move the drawing; it never leaves the canvas by much."""
    turn, size, stretch, across, down = streams.uniform("pose", num_images, 5) * 2 - 1
    angle = turn * math.radians(style.turn)
    low, high = style.size
    scale = ((low + high) / 2) + size * ((high - low) / 2)
    ratio = np.exp(stretch * style.stretch)
    room = np.clip(1.05 - scale, 0.02, style.shift)
    cos, sin = np.cos(angle), np.sin(angle)
    right, below = ACROSS - across * room, DOWN - down * room
    wide, tall = 1 / (scale * ratio), ratio / scale
    x = (cos * wide) * right + (sin * wide) * below
    y = (cos * tall) * below - (sin * tall) * right
    return Frame(x, y, scale)


def inside(distance: Floats) -> Floats:
    """Signed distance in image units, negative inside -> coverage with a soft edge."""
    covered = 0.5 - distance * (FINE / 2 / EDGE)
    return np.clip(covered, 0, 1, out=covered)


def shrink(fine: Floats) -> Floats:
    """[N, FINE, FINE] -> [N, SIDE, SIDE], the mean of each two by two."""
    rows = fine[:, ::2] + fine[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) * 0.25


def outlined(streams: Streams, distance: Floats, style: Style, width: float = 0.16) -> Floats:
    """Some drawings keep only a line of `width` image units along their edge."""
    hollow = streams.uniform("hollow", len(distance), 1)[0, :, 0, 0] < style.hollow
    if hollow.any():
        distance[hollow] = np.abs(distance[hollow]) - (width / 2)
    return distance
