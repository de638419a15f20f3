"""Examples of the data as they stand on the page: pictures inside the file, and beginnings of texts."""

from markupsafe import Markup

from bench.store.samples import Shown


def glimpse(shown: Shown, said: str) -> Markup:
    """`said`: what a screen reader says of a picture."""
    if shown.picture is not None:
        return Markup('<img class="glimpse" src="data:{}" alt="{}">').format(shown.picture, said)
    lines = [Markup('<span class="glimpse" dir="auto">{}</span>').format(text) for text in shown.texts]
    return Markup("").join(lines)
