"""Examples on two axes of their features, a mark for each, in the colour and the shape of its class."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bench.analysis.projections import OnPlane
from bench.report.figures.lines import style
from bench.report.svg import Picture, inline, name_axes, new_panel
from bench.report.view import Look

EDGE = 135  # places go from -127 to 127, and a mark has some width
SIZE = 6.0  # of a mark: hundreds stand close together


def features_panel(plane: OnPlane, labels: npt.NDArray[np.uint8], looks: Mapping[int, Look], name: str) -> Picture:
    """`looks`: of each class."""
    figure, axes = new_panel(400, 360)
    for number, look in looks.items():
        x, y = plane.places[labels == number].T.astype(float)
        axes.plot(x, y, **{**style(look, SIZE), "linestyle": "none", "alpha": 0.75})  # type: ignore[arg-type]
    axes.set_xlim(-EDGE, EDGE)
    axes.set_ylim(-EDGE, EDGE)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal")  # so that distances keep their proportions
    first, second = (f"{100 * share:.0f} % of the variance" for share in plane.shares)
    name_axes(axes, f"first axis, {first}", f"second axis, {second}")
    return inline(figure, name, "Test examples on the two axes along which their features vary most, marked by class")
