"""Random resized crops: a rectangle of each image, drawn for it alone, resized to the network's input.

Boxes are whole pixels and drawn as torchvision's RandomResizedCrop draws them. Resizing is antialiased, as everywhere
here; since each image has a box of its own, it is two matrix products with weights of its own.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from bench.modalities.sending import sent

ATTEMPTS = 10  # boxes that are drawn of each image; the first one that fits is taken
NUM_DRAWS = 2 * ATTEMPTS + 2  # uniform numbers of each image: areas, ratios, and where the box lies
RATIO = (3 / 4, 4 / 3)  # width to height
CUBIC = -0.5  # Keys's parameter, as in antialiased resizing of torch and of PIL


def boxes_of(draws: Tensor, share: float, size: tuple[int, int]) -> Tensor:
    """float64 [B, NUM_DRAWS] in 0 .. 1 -> int64 [B, 4]: top, left, height, width. `share`: of the area, at least."""
    height, width = size
    areas = height * width * (share + (1 - share) * draws[:, :ATTEMPTS])
    low, high = map(math.log, RATIO)
    ratios = torch.exp(low + (high - low) * draws[:, ATTEMPTS : 2 * ATTEMPTS])
    wide, tall = (areas * ratios).sqrt().round().long(), (areas / ratios).sqrt().round().long()
    fits = (wide > 0) & (wide <= width) & (tall > 0) & (tall <= height)
    first = fits.int().argmax(1, keepdim=True)
    some = fits.any(1)
    middle = _middle(height, width)
    tall = torch.where(some, tall.gather(1, first).squeeze(1), middle[0])
    wide = torch.where(some, wide.gather(1, first).squeeze(1), middle[1])
    room = torch.stack([height - tall, width - wide], 1)
    corner = (draws[:, -2:] * (room + 1)).floor().long().minimum(room)
    corner = torch.where(some.unsqueeze(1), corner, room // 2)
    return torch.cat([corner, tall.unsqueeze(1), wide.unsqueeze(1)], 1)


def _middle(height: int, width: int) -> tuple[int, int]:
    """Where no box fitted: the largest of a ratio that is allowed, in the middle."""
    low, high = RATIO
    if width < low * height:
        return round(width / low), width
    if width > high * height:
        return height, round(height * high)
    return height, width


def resized(x: Tensor, boxes: Tensor, side: int, mode: Literal["bilinear", "bicubic"]) -> Tensor:
    """float [B, C, H, W] -> [B, C, side, side]: what lies in each image's box. A cubic may overshoot."""
    height, width = x.shape[-2:]
    boxes = sent(boxes, x.device).to(x.dtype)
    rows = _weights((boxes[:, 0], boxes[:, 2]), height, side, mode)
    columns = _weights((boxes[:, 1], boxes[:, 3]), width, side, mode)
    return rows.unsqueeze(1) @ (x @ columns.transpose(1, 2).unsqueeze(1))


def _weights(part: tuple[Tensor, Tensor], length: int, side: int, mode: Literal["bilinear", "bicubic"]) -> Tensor:
    """[B, side, length]: how much of each pixel goes into each new one. `part`: where it begins, and how long it is;
    nothing outside it is seen."""
    begin, long = (one.view(-1, 1, 1) for one in part)
    scale = long / side
    stretch = scale.clamp_min(1.0)  # a kernel grows where an image shrinks
    centre = scale * (torch.arange(side, device=begin.device, dtype=begin.dtype).view(1, -1, 1) + 0.5)
    place = torch.arange(length, device=begin.device, dtype=begin.dtype).view(1, 1, -1) - begin
    weights = _kernel((place - centre + 0.5) / stretch, mode) * ((place >= 0) & (place < long))
    return weights / weights.sum(2, keepdim=True)


def _kernel(x: Tensor, mode: Literal["bilinear", "bicubic"]) -> Tensor:
    x = x.abs()
    if mode == "bilinear":
        return (1 - x).clamp_min(0)
    near = ((CUBIC + 2) * x - (CUBIC + 3)) * x**2 + 1
    far = CUBIC * (((x - 5) * x + 8) * x - 4)
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
