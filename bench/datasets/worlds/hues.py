"""Hues: the label is the colour of all that is drawn, which no class of any other world depends on."""

from dataclasses import replace

from bench.datasets.worlds import shapes
from bench.datasets.worlds.canvas import Ink
from bench.datasets.worlds.streams import Streams
from bench.datasets.worlds.style import Style

HUES: dict[str, float] = {  # in turns of the colour circle, red and green opposite, yellow and blue
    "red": 0.0, "orange": 0.125, "yellow": 0.25, "lime": 0.375, "green": 0.5, "azure": 0.625, "blue": 0.75,
    "purple": 0.875,
}  # fmt: skip
SPAN = 0.06  # turns; half of the distance between two classes


def coloured(name: str, style: Style) -> Style:
    """Backdrop and drawing have hues of one class. No image is inverted: that would show the opposite hue."""
    return replace(style, hue=(HUES[name] - SPAN / 2, SPAN), negative=0.0)


def draw(name: str, streams: Streams, num_images: int, style: Style) -> Ink:
    del name  # all classes show the same thing
    return shapes.draw("disc", streams, num_images, style)
