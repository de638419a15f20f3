"""Examples on two axes of their features, a mark for each, in the colour and the shape of its class. Written by hand:
matplotlib says the style of each of hundreds of marks anew, which is three times as long."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from bench.analysis.projections import OnPlane
from bench.report.view import Look

WIDTH, HEIGHT, LEFT, BOTTOM = 400, 330, 30, 30  # pixels; of the margins too
EDGE = 135  # places go from -127 to 127, and a mark has some width
SCALE = (HEIGHT - BOTTOM) / (2 * EDGE)  # of both axes, so that distances keep their proportions


def features_panel(plane: OnPlane, labels: npt.NDArray[np.uint8], looks: Mapping[int, Look]) -> Markup:
    """`looks`: of each class."""
    middle = (LEFT + (WIDTH - LEFT) / 2, (HEIGHT - BOTTOM) / 2)
    marks = []
    for number, look in looks.items():
        uses = [f'<use href="#dot-{look.marker}" x="{middle[0] + SCALE * x:.0f}" y="{middle[1] - SCALE * y:.0f}"/>'
                for x, y in plane.places[labels == number].tolist()]  # fmt: skip
        marks.append(f'<g class="c-{look.color}">{"".join(uses)}</g>')
    first, second = (f"{100 * share:.0f} % of the variance" for share in plane.shares)
    bottom = HEIGHT - BOTTOM
    said = "Test examples on the two axes along which their features vary most, marked by class"
    return Markup(
        f'<svg class="plot dots" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">'
        f'<path class="axes" d="M{LEFT} 0V{bottom}H{WIDTH}"/>{"".join(marks)}'
        f'<text x="{middle[0]:g}" y="{HEIGHT - 10}">first axis, {first}</text>'
        f'<text transform="translate(16 {middle[1]:g}) rotate(-90)">second axis, {second}</text></svg>'
    )
