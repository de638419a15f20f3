"""Style: how an image is taken, apart from what it shows. One number moves every factor along a straight line."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Style:
    turn: float  # largest rotation, degrees either way
    size: tuple[float, float]  # half the drawing's side, the canvas reaching from -1 to 1
    shift: float  # largest move of its centre
    stretch: float  # logarithm of the largest ratio of width to height
    hollow: float  # share of the drawings of which only the outline is seen
    fade: float  # how much of a texture's second colour is lost
    saturation: float
    hue: tuple[float, float]  # first hue and span, in turns of the colour circle
    gap: float  # least difference in lightness of drawing and backdrop
    clutter: float  # amplitude of the cloudy backdrop
    strokes: float  # expected stray lines
    grain: float  # deviation of the pixel noise
    blur: float  # share of the images that are blurred
    negative: float  # share of the images that are inverted


SOURCE = Style(turn=35, size=(0.55, 0.9), shift=0.25, stretch=0.125, hollow=0.0, fade=0.0, saturation=0.8,
               hue=(0.0, 1.0), gap=0.5, clutter=0.3, strokes=0.6, grain=0.03, blur=0.2, negative=0.0)
STRANGE = Style(turn=90, size=(0.35, 0.65), shift=0.4, stretch=0.25, hollow=0.9, fade=0.35, saturation=0.1,
                hue=(0.5, 0.2), gap=0.3, clutter=0.5, strokes=1.8, grain=0.1, blur=0.7, negative=0.5)


def _between(start: object, end: object, position: float) -> object:
    if isinstance(start, tuple) and isinstance(end, tuple):
        return tuple(_between(a, b, position) for a, b in zip(start, end, strict=True))
    assert isinstance(start, float | int)
    assert isinstance(end, float | int)
    return (1 - position) * start + position * end


def style_at(position: float) -> Style:
    """0 is the source world's style, 1 the strangest."""
    moved = {f.name: _between(getattr(SOURCE, f.name), getattr(STRANGE, f.name), position) for f in fields(Style)}
    return Style(**moved)  # type: ignore[arg-type]
