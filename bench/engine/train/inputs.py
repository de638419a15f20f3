"""Where the inputs of a network, or of the part of it that trains, come from: pixels on their way, or kept features.

A supply is asked for whole batches of several streams at once; each stream is some images in some order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from bench.engine.train.images import Augment, Changed, Images, augment, choose_views, prepare
from bench.engine.train.precision import arithmetic
from bench.spec.refs import Pipeline

Inputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Part:
    """One stream's share of a batch."""

    images: Images
    index: Tensor  # int64 [B] into `images`
    generator: torch.Generator | None = None  # for random changes of the images; lives on the CPU


class Supply(Protocol):
    def batches(self, parts: Sequence[Part]) -> Inputs:
        """What the network takes in, each [S, B, ...] for S parts of B images."""
        ...


def split(batches: Tensor, num: int) -> Tensor:
    """[S * B, ...] -> [S, B, ...]"""
    return batches.view(num, -1, *batches.shape[1:]) if num > 1 else batches[None]


@dataclass(frozen=True)
class Pixels:
    """Straight from the stored images."""

    pipeline: Pipeline
    how: Augment = field(default_factory=Augment)

    def batches(self, parts: Sequence[Part]) -> Inputs:
        seen = [self._changed(part) for part in parts]
        pixels = torch.cat([one.pixels for one in seen]) if len(seen) > 1 else seen[0].pixels
        boxes = [one.boxes for one in seen if one.boxes is not None]
        x = prepare(pixels, self.pipeline, torch.cat(boxes) if boxes else None)
        return (split(x, len(parts)),)

    def _changed(self, part: Part) -> Changed:
        images = part.images.take(part.index)
        if part.generator is None or not self.how.changes_pixels:
            return Changed(images.pixels)
        rows = part.index if images.rows is None else images.rows
        return augment(images.pixels, self.how, part.generator, rows)


@dataclass(frozen=True)
class Through:
    """Pixels through the static part, again in each step: where keeping its values would cost more than it saves."""

    pixels: Pixels
    static: Callable[[Tensor], Inputs]
    precision: str

    @torch.no_grad()
    def batches(self, parts: Sequence[Part]) -> Inputs:
        (x,) = self.pixels.batches(parts)
        with arithmetic(x.device, self.precision):
            values = self.static(x.flatten(0, 1))
        return tuple(split(value, len(parts)) for value in values)


@dataclass(frozen=True)
class Table:
    """Kept values for some rows of one split, one block of rows per view."""

    values: Inputs  # each [V * n, ...]
    where: Tensor  # int64 [N]: row of the split -> row of a block, -1 where nothing is kept
    num_rows: int  # n


@dataclass
class Tables:
    """Values that were computed before, found by the images' origin."""

    by_origin: dict[str, Table]
    how: Augment = field(default_factory=Augment)

    def batches(self, parts: Sequence[Part]) -> Inputs:
        table = self.by_origin[parts[0].images.origin]
        assert all(part.images.origin == parts[0].images.origin for part in parts)
        found = [self._rows(part, table) for part in parts]
        rows = found[0] if len(found) == 1 else torch.cat(found)
        return tuple(split(value.index_select(0, rows), len(parts)) for value in table.values)

    def _rows(self, part: Part, table: Table) -> Tensor:
        images = part.images
        rows = part.index if images.rows is None else images.rows[part.index]
        kept = table.where[rows]
        if part.generator is None or not self.how.changes_pixels:
            return kept
        views = choose_views(len(part.index), self.how, part.generator).to(kept.device)
        return kept + views * table.num_rows
