"""Counts: the label is how many discs there are, which no class of the source world depends on."""

import numpy as np

from bench.datasets.worlds.canvas import ACROSS, DOWN, Ink, inside, shrink
from bench.datasets.worlds.streams import Streams
from bench.datasets.worlds.style import Style

COUNTS: dict[str, int] = {
    name: number + 1
    for number, name in enumerate(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"])
}
ROWS = 4
STEP = 0.46  # between the cells of the grid on which discs lie, so that no two touch
MOST = ROWS * ROWS


def draw(name: str, streams: Streams, num_images: int, style: Style) -> Ink:
    """Every image draws the places and sizes of all cells, used or not, so that each takes as many random numbers."""
    del style  # discs are too small to be hollow, and their layout is turned by nothing
    cells = np.argsort(streams.uniform("cells", num_images, MOST)[:, :, 0, 0], axis=0, kind="stable")
    across, down, size = streams.uniform("discs", num_images, 3 * MOST).reshape(3, MOST, num_images, 1, 1)
    base = 0.12 + 0.06 * streams.uniform("size", num_images, 1)[0]
    nearest = None
    for k in range(COUNTS[name]):
        column = (cells[k] % ROWS).astype(np.float32)[:, None, None] - (ROWS - 1) / 2
        row = (cells[k] // ROWS).astype(np.float32)[:, None, None] - (ROWS - 1) / 2
        right = column * STEP + (across[k] - 0.5) * 0.1
        below = row * STEP + (down[k] - 0.5) * 0.1
        radius = base * (0.85 + 0.3 * size[k])
        # (d^2 - r^2) / 2r is the distance near the edge, without a root for every pixel.
        half = 1 / (2 * radius)
        distance = (ACROSS - right) ** 2 * half + ((DOWN - below) ** 2 * half - radius / 2)
        nearest = distance if nearest is None else np.minimum(nearest, distance)
    assert nearest is not None
    return Ink(shrink(inside(nearest)))
