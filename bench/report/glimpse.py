"""Examples of the data as they stand on the page: pictures inside the file, beginnings of texts, waves as bars."""

from markupsafe import Markup, escape

from bench.store.samples import Shown

BAR, HEIGHT = 2, 32  # pixels of a clip's drawing


def glimpse(shown: Shown, said: str) -> Markup:
    """`said`: what a screen reader says of a picture or a drawing."""
    if shown.picture is not None:
        return Markup('<img class="glimpse" src="data:{}" alt="{}">').format(shown.picture, said)
    if shown.texts:
        lines = [Markup('<span class="glimpse" dir="auto">{}</span>').format(text) for text in shown.texts]
        return Markup("").join(lines)
    return Markup("").join(_wave(wave, said) for wave in shown.waves)


def _wave(wave: list[int], said: str) -> Markup:
    """Bars around the middle, as high as the clip is loud there."""
    width, middle = BAR * len(wave), HEIGHT / 2
    bars = "".join(f"M{BAR * place + 1} {middle - high:g}v{2 * high:g}"
                   for place, high in enumerate(max(0.5, one / 100 * middle) for one in wave))  # fmt: skip
    return Markup(
        f'<svg class="glimpse wave" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" role="img" '
        f'aria-label="{escape(said)}"><path d="{bars}"/></svg>'
    )
