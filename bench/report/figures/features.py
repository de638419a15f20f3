"""Examples on two axes of their features, a mark for each, in the colour and the shape of its class."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from bench.analysis.projections import OnPlane
from bench.report.palette import SENTINELS, SHAPES
from bench.report.svg import inline, new_panel
from bench.report.view import Look

EDGE = 140  # places go from -127 to 127


def features_panel(plane: OnPlane, labels: npt.NDArray[np.uint8], looks: Mapping[int, Look], name: str) -> Markup:
    """`looks`: of each class."""
    figure, axes = new_panel(400, 330)
    for number, look in looks.items():
        mine = plane.places[labels == number]
        axes.plot(mine[:, 0], mine[:, 1], linestyle="none", marker=SHAPES[look.marker][0], markersize=5.5,
                  markerfacecolor=SENTINELS[look.color], markeredgewidth=0, alpha=0.75)  # fmt: skip
    axes.set_ylim(-EDGE, EDGE)
    axes.set_aspect("equal", adjustable="datalim")  # both axes have one scale
    axes.set_xticks([])
    axes.set_yticks([])
    first, second = (f"{100 * share:.0f} % of the variance" for share in plane.shares)
    axes.set_xlabel(f"first axis, {first}", fontsize=12)
    axes.set_ylabel(f"second axis, {second}", fontsize=12, color=SENTINELS["muted"])
    said = "Test examples on the two axes along which their features vary most, marked by class"
    return inline(figure, name, said)
