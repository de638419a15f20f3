"""Textures: the label is the pattern, 0 .. 1 from first to second colour, inside a blob whose outline says nothing."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bench.datasets.worlds.canvas import ACROSS, DOWN, Ink, inside, place, shrink
from bench.datasets.worlds.streams import Floats, Streams
from bench.datasets.worlds.style import Style

Pattern = Callable[[Floats, Floats], Floats]
PI = math.pi


def _level(value: Floats, sharpness: float = 3.0) -> Floats:
    """Above zero -> 1, below -> 0, with a soft step."""
    level: Floats = np.clip(0.5 + (sharpness / 2) * value, 0, 1)
    return level


def _lines(phase: Floats) -> Floats:
    return _level(np.sin(phase), 4)


def _saw(value: Floats) -> Floats:
    """The part behind the point; numpy's remainder takes fifty times as long."""
    return value - np.floor(value)


def _radius(x: Floats, y: Floats) -> Floats:
    return np.sqrt(x * x + y * y)


def _bricks(x: Floats, y: Floats) -> Floats:
    row = np.floor(y * 2.6)
    joint = np.cos(PI * (2.6 * x + row))
    course = np.cos(2 * PI * (2.6 * y))
    return _level(np.maximum(np.abs(joint) - 0.86, course - 0.75), 8)


def _fish_scales(x: Floats, y: Floats) -> Floats:
    row = np.floor(y * 2.2)
    across = _saw(x * 2.2 + row / 2) - 0.5
    return _lines(9 * _radius(across, _saw(y * 2.2)))


def _cushions(x: Floats, y: Floats) -> Floats:
    return np.abs(_saw(x * 2.2) - _saw(y * 2.2))


TEXTURES: dict[str, Pattern] = {
    "stripes": lambda x, y: _lines(4 * PI * x),
    "pinstripes": lambda x, y: _lines(9 * PI * x),
    "checks": lambda x, y: _level(np.sin(3.2 * PI * x) * np.sin(3.2 * PI * y), 6),
    "dots": lambda x, y: _level(np.cos(3.4 * PI * x) + np.cos(3.4 * PI * y) - 0.7, 4),
    "mesh": lambda x, y: _level(np.maximum(np.cos(3 * PI * x), np.cos(3 * PI * y)) - 0.8, 6),
    "rings": lambda x, y: _lines(7 * PI * _radius(x, y)),
    "rays": lambda x, y: _lines(5 * np.arctan2(y, x)),
    "swirl": lambda x, y: _lines(2 * np.arctan2(y, x) + 6 * PI * _radius(x, y)),
    "waves": lambda x, y: _lines(3 * PI * x + 1.8 * np.sin(3 * PI * y)),
    "zigzag": lambda x, y: _lines(4 * PI * x + 8 * np.abs(_saw(y) - 0.5)),
    "bricks": _bricks,
    "tartan": lambda x, y: (np.sin(4 * PI * x) + 1) / 4 + _lines(4 * PI * y) / 2,
    "lozenges": lambda x, y: _level(np.cos(4 * PI * (x + y)) * np.cos(4 * PI * (x - y)), 4),
    "quarters": lambda x, y: _level(x * y, 40),
    "slopes": lambda x, y: _saw(x * 2.2),
    "ripples": lambda x, y: (np.sin(30 * (x * x + y * y)) + 1) / 2,
    # From here on: unseen by the source world.
    "cushions": _cushions,
    "fish_scales": _fish_scales,
    "bubbles": lambda x, y: _level(0.3 - np.cos(2.6 * PI * x) - np.cos(2.6 * PI * y), 4),
    "barcode": lambda x, y: 0.6 * _lines(3 * PI * x) + 0.4 * _lines(9 * PI * x),
    "ovals": lambda x, y: _lines(4 * PI * _radius(2.2 * x, y)),
}

POLAR_RADIUS = np.sqrt(ACROSS * ACROSS + DOWN * DOWN)
POLAR_ANGLE = np.arctan2(DOWN, ACROSS)
# Two and three bulges round the circle, ready for the addition theorem: no sine per image.
BULGES = [np.stack([np.sin(k * POLAR_ANGLE), np.cos(k * POLAR_ANGLE)]) for k in (2, 3)]


def _blob(streams: Streams, num_images: int) -> Floats:
    phases = streams.uniform("blob", num_images, 2) * (2 * PI)
    edge = np.full((1, 1, 1), 0.72, np.float32)
    for phase, (sines, cosines), depth in zip(phases, BULGES, (0.12, 0.10), strict=True):
        edge = edge + (depth * np.cos(phase)) * sines + (depth * np.sin(phase)) * cosines
    return inside(POLAR_RADIUS - edge)


def draw(name: str, streams: Streams, num_images: int, style: Style) -> Ink:
    frame = place(streams, num_images, replace(style, size=(0.75, 1.15), shift=0.3))
    pitch = 0.8 + 0.4 * streams.uniform("pitch", num_images, 1)[0]
    share = TEXTURES[name](frame.x * pitch, frame.y * pitch) * (1 - style.fade)
    blob = _blob(streams, num_images)
    second = blob * share
    return Ink(shrink(blob - second), shrink(second))
