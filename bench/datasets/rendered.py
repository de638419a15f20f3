"""Image worlds that are drawn on the spot: a source to pretrain on, and targets near, mid and far from it.

Every class is drawn from its own random streams, so no two classes share a pose, a backdrop or a grain. Colours carry
the label of `hues` and of no other world. The drawing itself is in `worlds/`; its factors and their sizes are in
`README.md`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from bench.catalogue import Options
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Split
from bench.datasets.worlds import counts, glyphs, hues, shapes, textures
from bench.datasets.worlds.canvas import SIDE, Ink
from bench.datasets.worlds.paint import paint
from bench.datasets.worlds.streams import Streams
from bench.datasets.worlds.style import Style, style_at

# Bump when any pixel changes: it is part of every key. tests/datasets/test_rendered_golden.py fails until that is done.
REVISION = 2

CHUNK = 32  # images drawn at once: their planes stay in the processor's cache

Draw = Callable[[str, Streams, int, Style], Ink]
DRAW: dict[str, Draw] = {
    "shape": shapes.draw, "texture": textures.draw, "glyph": glyphs.draw, "count": counts.draw, "hue": hues.draw,
}  # fmt: skip

SEEN = 16  # the first shapes and textures belong to the source world, the rest to the near one


StyleNumber = Annotated[
    float,
    Field(ge=0, le=1, description="0 looks like the source world, 1 least like it; what is shown stays the same."),
]


class RenderedOptions(Options):
    train_per_class: Annotated[int, Field(ge=1, le=20_000)] = 200
    """Training images of each class; more of them extend the set, the first stay as they are."""
    test_per_class: Annotated[int, Field(ge=1, le=20_000)] = 100
    """Test images of each class."""
    style: StyleNumber = 0.0
    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed draws other images of the same classes."""


class MidOptions(RenderedOptions):
    style: StyleNumber = 0.5


class FarOptions(RenderedOptions):
    style: StyleNumber = 0.7


@dataclass(frozen=True)
class World:
    name: str
    summary: str
    classes: tuple[tuple[str, str], ...]  # kind, name
    options: type[RenderedOptions] = RenderedOptions

    def facts(self, options: RenderedOptions) -> DatasetFacts:
        settings = ",".join(f"{name}={value}" for name, value in options.model_dump().items())
        return DatasetFacts(
            num_classes=len(self.classes),
            image_size=SIDE,
            num_train=len(self.classes) * options.train_per_class,
            num_test=len(self.classes) * options.test_per_class,
            smallest_class=options.train_per_class,
            train_sizes=(options.train_per_class,) * len(self.classes),
            test_sizes=(options.test_per_class,) * len(self.classes),
            classes=tuple(name for _, name in self.classes),
            revision=f"rendered-{REVISION}:{self.name}:{settings}",
        )

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """`shapes`, `textures` ..., where there is more than one kind."""
        kinds = dict.fromkeys(kind for kind, _ in self.classes)
        names = {kind: tuple(name for own, name in self.classes if own == kind) for kind in kinds}
        return {f"{kind}s": own for kind, own in names.items()} if len(kinds) > 1 else {}

    def load(self, options: RenderedOptions) -> Dataset:
        return Dataset(
            classes=tuple(name for _, name in self.classes),
            train=self._split("train", options.train_per_class, options),
            test=self._split("test", options.test_per_class, options),
        )

    def _split(self, split: str, per_class: int, options: RenderedOptions) -> Split:
        """Image i of class c stands at i * classes + c, so a smaller set is the beginning of a larger one."""
        num_classes = len(self.classes)
        general = style_at(options.style)
        images = np.empty((per_class, num_classes, SIDE, SIDE, 3), np.uint8)
        for label, (kind, name) in enumerate(self.classes):
            streams = Streams(kind, name, split, options.seed)
            style = hues.coloured(name, general) if kind == "hue" else general
            for start in range(0, per_class, CHUNK):
                count = min(CHUNK, per_class - start)
                images[start : start + count, label] = paint(streams, DRAW[kind](name, streams, count, style), style)
        labels = np.tile(np.arange(num_classes, dtype=np.int64), per_class)
        return Split.of_images(images.reshape(-1, SIDE, SIDE, 3), labels)


def _shapes_and_textures(seen: bool) -> tuple[tuple[str, str], ...]:
    chosen = slice(0, SEEN) if seen else slice(SEEN, None)
    return (*(("shape", name) for name in list(shapes.SHAPES)[chosen]),
            *(("texture", name) for name in list(textures.TEXTURES)[chosen]))


WORLDS = (
    World("source", "16 shapes and 16 textures, drawn on the spot; made to pretrain on", _shapes_and_textures(True)),
    World("near", "5 unseen shapes and 5 unseen textures in the source's style", _shapes_and_textures(False)),
    World("mid", "10 letters and digits in strokes, in a shifted style",
          tuple(("glyph", name) for name in glyphs.GLYPHS), MidOptions),
    World("far", "how many discs, one to ten, in a strange style",
          tuple(("count", name) for name in counts.COUNTS), FarOptions),
    World("hues", "discs in eight hues: the one world whose colours carry the label",
          tuple(("hue", name) for name in hues.HUES)),
)


def entry(world: World) -> DatasetEntry:
    return DatasetEntry(
        world.name, world.summary, world.facts, world.load, world.options, groups=world.groups
    )


RENDERED = {world.name: entry(world) for world in WORLDS}
