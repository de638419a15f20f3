"""Where the inputs of a network, or of the part of it that trains, come from: stored examples, or kept features.

A supply is asked for whole batches of several streams at once; each stream is some images in some order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from bench import modalities
from bench.engine.train.examples import Examples
from bench.engine.train.precision import arithmetic
from bench.modalities.base import Handling, Variation
from bench.modalities.sending import sent

Inputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Share:
    """One stream's share of a batch."""

    images: Examples
    index: Tensor  # int64 [B] into `images`, on the host
    generator: torch.Generator | None = None  # for random changes of the images; lives on the CPU


class Supply(Protocol):
    def batches(self, parts: Sequence[Share]) -> Inputs:
        """What the network takes in, each [S, B, ...] for S parts of B images."""
        ...


def split(batches: Tensor, num: int) -> Tensor:
    """[S * B, ...] -> [S, B, ...]"""
    return torch.unflatten(batches, 0, (num, -1)) if num > 1 else batches[None]


def trimmed(values: Inputs) -> Inputs:
    """Padded rows [B, L], the last of these values, cut to the longest of them; and with them what has a value for each
    place of a row [B, L, ...]."""
    rows = values[-1]
    if rows.ndim != 2 or rows.is_floating_point():
        return values  # rows are not among them
    longest = int((rows != 0).any(0).nonzero().max()) + 1
    return tuple(
        value[:, :longest] if value is rows or (value.ndim > 2 and value.shape[1] == rows.shape[1]) else value
        for value in values
    )


@dataclass(frozen=True)
class Direct:
    """Straight from the stored examples."""

    pipeline: Any
    how: Variation | None = None  # None: nothing changes

    @property
    def handling(self) -> Handling:
        return modalities.of(self.pipeline).handling()

    def batches(self, parts: Sequence[Share]) -> Inputs:
        x = self.handling.inputs([self._varied(part) for part in parts], self.pipeline)
        if self.handling.is_padded:
            (x,) = trimmed((x,))
        return (split(x, len(parts)),)

    def _varied(self, part: Share) -> Any:
        examples = part.images.take(part.index)
        if part.generator is None or self.how is None or not self.how.is_random:
            return examples.values
        rows = part.index if examples.rows is None else examples.rows
        return self.handling.vary(examples.values, self.how, part.generator, rows)


@dataclass(frozen=True)
class Through:
    """Inputs through the static part, again in each step: where keeping its values would cost more than it saves."""

    direct: Direct
    static: Callable[[Tensor], Inputs]
    precision: str

    @torch.no_grad()
    def batches(self, parts: Sequence[Share]) -> Inputs:
        (x,) = self.direct.batches(parts)
        with arithmetic(x.device, self.precision):
            values = self.static(x.flatten(0, 1))
        return tuple(split(value, len(parts)) for value in values)


@dataclass(frozen=True)
class FeatureTable:
    """Kept values for some rows of one split, one block of rows per view."""

    values: Inputs  # each [V * n, ...]
    where: Tensor  # int64 [N]: row of the split -> row of a block, -1 where nothing is kept
    num_rows: int  # n


@dataclass
class Tables:
    """Values that were computed before, found by the images' origin."""

    by_origin: dict[str, FeatureTable]
    handling: Handling
    how: Variation

    def batches(self, parts: Sequence[Share]) -> Inputs:
        table = self.by_origin[parts[0].images.origin]
        assert all(part.images.origin == parts[0].images.origin for part in parts)
        found = [self._rows(part, table) for part in parts]
        rows = found[0] if len(found) == 1 else torch.cat(found)
        values = tuple(value.index_select(0, rows) for value in table.values)
        values = trimmed(values) if self.handling.is_padded else values
        return tuple(split(value, len(parts)) for value in values)

    def _rows(self, part: Share, table: FeatureTable) -> Tensor:
        images = part.images
        rows = part.index if images.rows is None else images.rows[part.index]
        kept = table.where[sent(rows, table.where.device)]
        if part.generator is None or not self.how.is_random:
            return kept
        views = self.handling.choose_views(len(part.index), self.how, part.generator)
        return kept + sent(views, kept.device) * table.num_rows
