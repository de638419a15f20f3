"""Images from stored (uint8) to input (float, resized, normalised), and their random changes.

Everything random is decided per image, for whole batches at once. `crops.py` draws and shows rectangles of images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.keys import seed_for
from bench.modalities.base import Columns, Handling
from bench.modalities.crops import NUM_DRAWS, boxes_of, resized
from bench.modalities.sending import sent
from bench.spec.refs import Pipeline, Training

PASS_PIXELS = 256 * 64 * 64  # of one pass without learning


@dataclass(frozen=True)
class Augment:
    flip: bool = False
    shift: int = 0  # pixels of the stored image
    views: int = 0  # so many changed views of each image, drawn once; 0: changed anew each time
    crop: float = 0.0  # smallest share of the area that is shown; 0: all of it

    @property
    def is_random(self) -> bool:
        return self.flip or self.shift > 0 or self.crop > 0

    @property
    def num_views(self) -> int | None:
        """How many different images one image can become; None: too many to keep. Flipping alone makes two."""
        if not self.is_random:
            return 1
        if self.views:
            return self.views
        return None if self.shift or self.crop else 2


class Changed(NamedTuple):
    """Images of a batch after their random changes, and what of each is to be shown."""

    pixels: Tensor  # uint8 [B, 3, H, W]
    boxes: Tensor | None = None  # int64 [B, 4], as `crops.boxes_of` draws them; None: all of each image


def prepare(pixels: Tensor, pipeline: Pipeline, boxes: Tensor | None = None) -> Tensor:
    """uint8 [B, 3, H, W] -> float [B, 3, S, S], channels last in memory. A box is shown whole: the pipeline's own crop
    is for images as they are."""
    x = pixels.to(torch.get_default_dtype()).div_(255)  # in place from here on: a fresh tensor costs more than a pass
    side = pipeline.image_size
    if boxes is not None:
        x = resized(x, boxes, side, pipeline.interpolation).clamp_(0, 1)
    else:
        x = _middle(x, side, pipeline)
    if pipeline.shrunk is not None:
        x = _sized(_sized(x, pipeline.shrunk, pipeline), side, pipeline)
    if pipeline.channels == "bgr":
        x = x.flip(1)
    mean, std = (_by_channel(values, x.device, x.dtype) for values in (pipeline.mean, pipeline.std))
    return x.sub_(mean).div_(std).contiguous(memory_format=torch.channels_last)


@lru_cache(maxsize=64)
def _by_channel(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Made once: each copy to a device waits for it."""
    return torch.tensor(values, device=device, dtype=dtype).view(1, 3, 1, 1)


def _middle(x: Tensor, side: int, pipeline: Pipeline) -> Tensor:
    whole = round(side / pipeline.crop)
    if x.shape[-2:] != (whole, whole):
        x = _sized(x, whole, pipeline)
    if whole != side:
        edge = (whole - side) // 2
        x = x[:, :, edge : edge + side, edge : edge + side]
    return x


def _sized(x: Tensor, side: int, pipeline: Pipeline) -> Tensor:
    mode = pipeline.interpolation
    return F.interpolate(x, size=(side, side), mode=mode, antialias=True, align_corners=False).clamp_(0, 1)


def augment(pixels: Tensor, how: Augment, generator: torch.Generator, rows: Tensor | None = None) -> Changed:
    """Mirror, move and crop each image on its own. The generator lives on the CPU, so devices draw alike.

    `rows`: the images' places in their split; needed where views are drawn once.
    """
    if how.views:
        assert rows is not None
        return view_of(pixels, rows, choose_views(len(pixels), how, generator), how)
    batch = len(pixels)
    mirrored = torch.rand(batch, generator=generator) < 0.5 if how.flip else None
    offsets = _draw_offsets(batch, how, generator) if how.shift else None
    boxes = None
    if how.crop:
        draws = torch.rand(batch, NUM_DRAWS, generator=generator, dtype=torch.float64)
        boxes = boxes_of(draws, how.crop, (pixels.shape[2], pixels.shape[3]))
    return _changed(pixels, mirrored, offsets, boxes)


def choose_views(batch: int, how: Augment, generator: torch.Generator) -> Tensor:
    """int64 [B]: which view each image of a batch is seen in."""
    if how.views:
        return torch.randint(0, how.views, (batch,), generator=generator)
    return (torch.rand(batch, generator=generator) < 0.5).long()  # as `augment` draws flips


def view_of(pixels: Tensor, rows: Tensor, views: Tensor, how: Augment) -> Changed:
    """Each image in its own view, which depends on its place in the split and on nothing else."""
    if not how.views:
        return _changed(pixels, views.bool(), None)
    height, width = pixels.shape[2:]
    places = (views, rows, 1 << int(rows.max()).bit_length())  # seldom another number, so that draws are kept
    moves = _by_view(places, _drawn_moves)
    mirrored = moves[:, 0] < 0.5 if how.flip else None
    offsets = None
    if how.shift:
        # Uniform on -shift .. shift, from the same draws whatever the shift.
        span = 2 * how.shift + 1
        offsets = (moves[:, 1:].T * span).floor().long().clamp_(max=span - 1).unsqueeze(2) - how.shift
    boxes = _by_view(places, lambda *which: _drawn_boxes(*which, how.crop, (height, width))) if how.crop else None
    return _changed(pixels, mirrored, offsets, boxes)


def _by_view(places: tuple[Tensor, Tensor, int], drawn: Callable[[int, int], Tensor]) -> Tensor:
    """`places`: view and row of each image, and how many rows there may be. `drawn`: of a view, for all rows."""
    views, rows, num_rows = places
    tables = {view: drawn(view, num_rows) for view in set(views.tolist())}
    one = next(iter(tables.values()))
    found = torch.empty(len(rows), one.shape[1], dtype=one.dtype)
    for view, table in tables.items():
        chosen = (views == view).nonzero().flatten()
        found[chosen] = table[rows[chosen]]
    return found


@lru_cache(maxsize=64)
def _drawn_moves(view: int, num_rows: int) -> Tensor:
    """[N, 3] uniform numbers: flip, rows, columns. Drawn image by image, so that a longer split begins alike."""
    generator = torch.Generator().manual_seed(seed_for("view", view))
    return torch.rand(num_rows, 3, generator=generator, dtype=torch.float64)


@lru_cache(maxsize=64)
def _drawn_boxes(view: int, num_rows: int, share: float, size: tuple[int, int]) -> Tensor:
    """int64 [N, 4], drawn image by image likewise."""
    generator = torch.Generator().manual_seed(seed_for("view crop", view))
    return boxes_of(torch.rand(num_rows, NUM_DRAWS, generator=generator, dtype=torch.float64), share, size)


def _draw_offsets(batch: int, how: Augment, generator: torch.Generator) -> Tensor:
    return torch.randint(-how.shift, how.shift + 1, (2, batch, 1), generator=generator)


def _changed(
    pixels: Tensor, mirrored: Tensor | None, offsets: Tensor | None, boxes: Tensor | None = None
) -> Changed:
    batch, _, height, width = pixels.shape
    if mirrored is not None:
        pixels = torch.where(sent(mirrored, pixels.device).view(-1, 1, 1, 1), pixels.flip(3), pixels)
    if offsets is not None:
        # Moving reads beyond the border; the nearest pixel is repeated there.
        offsets = sent(offsets, pixels.device)
        rows = (torch.arange(height, device=pixels.device) + offsets[0]).clamp(0, height - 1)
        columns = (torch.arange(width, device=pixels.device) + offsets[1]).clamp(0, width - 1)
        which = torch.arange(batch, device=pixels.device).view(-1, 1, 1, 1)
        channel = torch.arange(3, device=pixels.device).view(1, -1, 1, 1)
        pixels = pixels[which, channel, rows.view(batch, 1, height, 1), columns.view(batch, 1, 1, width)]
    return Changed(pixels, boxes)


class ImageHandling(Handling):
    """`modalities.base.Handling` of pictures."""

    def stored(self, columns: Columns) -> tuple[Tensor, ...]:
        return (torch.from_numpy(columns["images"]).permute(0, 3, 1, 2),)

    def variation(self, training: Training) -> Augment:
        return Augment(training.flip, training.shift, training.views, training.crop)

    def still(self) -> Augment:
        return Augment()

    def vary(
        self, values: tuple[Tensor, ...], how: Augment, generator: torch.Generator, rows: Tensor | None
    ) -> Changed:
        return augment(values[0], how, generator, rows)

    def choose_views(self, num: int, how: Augment, generator: torch.Generator) -> Tensor:
        return choose_views(num, how, generator)

    def view(self, values: tuple[Tensor, ...], how: Augment, rows: Tensor, views: Tensor) -> Changed:
        return view_of(values[0], rows, views, how)

    def inputs(self, parts: Sequence[Changed | tuple[Tensor, ...]], pipeline: Pipeline) -> Tensor:
        seen = [part if isinstance(part, Changed) else Changed(part[0]) for part in parts]
        pixels = torch.cat([one.pixels for one in seen]) if len(seen) > 1 else seen[0].pixels
        boxes = [one.boxes for one in seen if one.boxes is not None]
        return prepare(pixels, pipeline, torch.cat(boxes) if boxes else None)

    def blank(self, pipeline: Pipeline, num: int, device: str) -> Tensor:
        return torch.zeros(num, 3, pipeline.image_size, pipeline.image_size, device=device)

    def per_pass(self, pipeline: Pipeline) -> int:
        return max(1, PASS_PIXELS // pipeline.image_size**2)
