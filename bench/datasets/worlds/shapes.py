"""Shapes: the label is the silhouette. Each is a function of the drawing's coordinates, negative inside."""

import math
from collections.abc import Callable

import numpy as np

from bench.datasets.worlds.canvas import Ink, inside, outlined, place, shrink
from bench.datasets.worlds.streams import Floats, Streams
from bench.datasets.worlds.style import Style

Outline = Callable[[Floats, Floats], Floats]


def _radius(x: Floats, y: Floats) -> Floats:
    radius: Floats = np.sqrt(x * x + y * y)  # numpy's hypot takes ten times as long
    return radius


def _disc(radius: float, at: tuple[float, float] = (0, 0)) -> Outline:
    return lambda x, y: _radius(x - at[0], y - at[1]) - radius


def _bar(left: float, top: float, right: float, bottom: float) -> Outline:
    middle = ((left + right) / 2), ((top + bottom) / 2)
    half = ((right - left) / 2), ((bottom - top) / 2)
    return lambda x, y: np.maximum(np.abs(x - middle[0]) - half[0], np.abs(y - middle[1]) - half[1])


def _half_plane(direction: float, offset: float) -> Outline:
    """What lies behind a line that is `offset` from the centre; `direction` in degrees, 90 pointing down."""
    cos, sin = math.cos(math.radians(direction)), math.sin(math.radians(direction))
    return lambda x, y: cos * x + sin * y - offset


def _any_of(*parts: Outline) -> Outline:
    def outline(x: Floats, y: Floats) -> Floats:
        nearest = parts[0](x, y)
        for part in parts[1:]:
            nearest = np.minimum(nearest, part(x, y))
        return nearest

    return outline


def _all_of(*parts: Outline) -> Outline:
    def outline(x: Floats, y: Floats) -> Floats:
        farthest = parts[0](x, y)
        for part in parts[1:]:
            farthest = np.maximum(farthest, part(x, y))
        return farthest

    return outline


def _without(body: Outline, hole: Outline) -> Outline:
    return lambda x, y: np.maximum(body(x, y), -hole(x, y))


def _polygon(corners: int, inner: float, direction: float) -> Outline:
    """Regular; `inner` is the distance of a side from the centre, `direction` the one in which a side faces."""
    return _all_of(*(_half_plane(direction + k * 360 / corners, inner) for k in range(corners)))


def _star(points: int, inner: float, direction: float) -> Outline:
    """What at most one of the long lines between its points cuts off is still inside: the second worst decides."""
    lines = [_half_plane(direction + k * 360 / points, inner) for k in range(points)]

    def outline(x: Floats, y: Floats) -> Floats:
        worst, second = lines[0](x, y), np.full_like(x, -9)
        for line in lines[1:]:
            value = line(x, y)
            second = np.maximum(second, np.minimum(worst, value))
            worst = np.maximum(worst, value)
        return second

    return outline


def _ripple(mean: float, depth: float, petals_log2: int, triple: bool) -> Outline:
    """A disc whose radius swings `2**petals_log2` times (three times that with `triple`) round the circle."""

    def outline(x: Floats, y: Floats) -> Floats:
        radius = _radius(x, y) + 1e-6
        cos, sin = x / radius, y / radius
        if triple:
            cos, sin = cos * (4 * cos * cos - 3), sin * (3 - 4 * sin * sin)
        for _ in range(petals_log2):
            cos, sin = 2 * cos * cos - 1, 2 * sin * cos
        return radius - mean - depth * cos

    return outline


def _slanted(x: Floats, y: Floats) -> Floats:
    """Two wedges that meet at the centre."""
    distance: Floats = np.maximum(np.abs(y) - np.abs(x) * 0.85 - 0.06, np.abs(x) - 0.85)
    return distance


def _astroid(x: Floats, y: Floats) -> Floats:
    distance: Floats = (np.sqrt(np.abs(x)) + np.sqrt(np.abs(y)) - 1) * 0.55
    return distance


SHAPES: dict[str, Outline] = {
    "disc": _disc(0.84),
    "ring": _without(_disc(0.9), _disc(0.48)),
    "square": _bar(-0.75, -0.75, 0.75, 0.75),
    "triangle": _polygon(3, 0.48, 90),
    "lens": _all_of(_disc(1.3, (0, -0.92)), _disc(1.3, (0, 0.92))),
    "pentagram": _star(5, 0.36, 90),
    "astroid": _astroid,
    "flower": _ripple(0.7, 0.24, 1, triple=True),
    "cross": _any_of(_bar(-0.86, -0.26, 0.86, 0.26), _bar(-0.26, -0.86, 0.26, 0.86)),
    "dome": _all_of(_disc(0.94, (0, 0.4)), _half_plane(90, 0.4)),
    "crescent": _without(_disc(0.9), _disc(0.74, (0.42, -0.08))),
    "corner": _any_of(_bar(-0.8, -0.85, -0.25, 0.85), _bar(-0.8, 0.3, 0.85, 0.85)),
    "hammer": _any_of(_bar(-0.85, -0.85, 0.85, -0.3), _bar(-0.27, -0.6, 0.27, 0.87)),
    "arrow": _any_of(_all_of(_half_plane(-38, 0.55), _half_plane(218, 0.55), _half_plane(90, 0.05)),
                     _bar(-0.24, 0, 0.24, 0.9)),
    "ladder": _any_of(_bar(-0.75, -0.88, -0.35, 0.88), _bar(0.35, -0.88, 0.75, 0.88),
                      _bar(-0.4, -0.56, 0.4, -0.2), _bar(-0.4, 0.2, 0.4, 0.56)),
    "bow": _slanted,
    # From here on: unseen by the source world.
    "heart": _any_of(_disc(0.5, (-0.42, -0.38)), _disc(0.5, (0.42, -0.38)),
                     _all_of(_half_plane(45, 0.53), _half_plane(135, 0.53), _half_plane(-90, 0.03))),
    "cup": _any_of(_bar(-0.85, -0.8, -0.36, 0.85), _bar(0.36, -0.8, 0.85, 0.85), _bar(-0.85, 0.36, 0.85, 0.85)),
    "cogwheel": _without(_ripple(0.74, 0.18, 3, triple=False), _disc(0.26)),
    "mouth": _without(_disc(0.88), _all_of(_half_plane(-125, 0), _half_plane(125, 0))),
    "nut": _without(_polygon(6, 0.8, 90), _polygon(6, 0.42, 90)),
}


def draw(name: str, streams: Streams, num_images: int, style: Style) -> Ink:
    frame = place(streams, num_images, style)
    distance = SHAPES[name](frame.x, frame.y) * frame.scale
    return Ink(shrink(inside(outlined(streams, distance, style))))
