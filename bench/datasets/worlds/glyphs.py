"""Glyphs: the label is how a few strokes are put together. Points lie on -1 .. 1, y pointing down."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from bench.datasets.worlds.canvas import Frame, Ink, inside, outlined, place, shrink
from bench.datasets.worlds.streams import Floats, Streams
from bench.datasets.worlds.style import Style

Line = tuple[tuple[float, float], ...]
PEN = 0.2  # half the width of a stroke

GLYPHS: dict[str, tuple[Line, ...]] = {
    "A": (((-0.7, 0.9), (0, -0.9), (0.7, 0.9)), ((-0.4, 0.25), (0.4, 0.25))),
    "E": (((0.6, -0.9), (-0.6, -0.9), (-0.6, 0.9), (0.6, 0.9)), ((-0.6, 0), (0.4, 0))),
    "H": (((-0.65, -0.9), (-0.65, 0.9)), ((0.65, -0.9), (0.65, 0.9)), ((-0.65, 0), (0.65, 0))),
    "K": (((-0.6, -0.9), (-0.6, 0.9)), ((0.65, -0.9), (-0.6, 0.1)), ((-0.15, -0.2), (0.65, 0.9))),
    "M": (((-0.8, 0.9), (-0.8, -0.9), (0, 0.2), (0.8, -0.9), (0.8, 0.9)),),
    "R": (((-0.6, 0.9), (-0.6, -0.9), (0.35, -0.9), (0.6, -0.5), (0.35, -0.05), (-0.6, -0.05)),
          ((0, -0.05), (0.6, 0.9))),
    "S": (((0.6, -0.75), (0.25, -0.9), (-0.35, -0.85), (-0.55, -0.45),
           (0.5, 0.25), (0.4, 0.8), (-0.1, 0.9), (-0.6, 0.75)),),
    "W": (((-0.8, -0.9), (-0.45, 0.9), (0, -0.2), (0.45, 0.9), (0.8, -0.9)),),
    "4": (((0.35, 0.9), (0.35, -0.9), (-0.65, 0.35), (0.75, 0.35)),),
    "5": (((0.6, -0.9), (-0.5, -0.9), (-0.5, -0.15), (0.35, -0.15), (0.6, 0.35), (0.3, 0.85), (-0.6, 0.85)),),
}


def _far_from_pen(frame: Frame, lines: tuple[Line, ...]) -> Floats:
    """Distance to the nearest stroke, in drawing units."""
    square = np.full_like(frame.x, 9)
    for line in lines:
        for (x0, y0), (x1, y1) in pairwise(line):
            right, down = (x1 - x0), (y1 - y0)
            x, y = frame.x - x0, frame.y - y0
            along = np.clip((x * right + y * down) / (right * right + down * down), 0, 1)
            x -= along * right
            y -= along * down
            square = np.minimum(square, x * x + y * y)
    distance: Floats = np.sqrt(square)
    return distance


def draw(name: str, streams: Streams, num_images: int, style: Style) -> Ink:
    low, high = style.size
    # Writing stays upright and large enough to be read, however strange the style.
    style = replace(style, turn=min(style.turn, 30), size=(max(low, 0.5), max(high, 0.8)))
    frame = place(streams, num_images, style)
    distance = (_far_from_pen(frame, GLYPHS[name]) - PEN) * frame.scale
    return Ink(shrink(inside(outlined(streams, distance, style))))
