"""Images as they lie on the device (uint8, whole splits) and as the network sees them (float, resized, normalised).

Everything random is decided per image, for whole batches at once.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.plan.spec import Pipeline


@dataclass(frozen=True)
class Images:
    pixels: Tensor  # uint8 [N, 3, H, W]
    labels: Tensor  # int64 [N]

    @staticmethod
    def on_device(
        images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], device: torch.device
    ) -> "Images":
        pixels = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).contiguous()
        return Images(pixels.to(device), torch.from_numpy(np.array(labels)).to(device))

    def __len__(self) -> int:
        return self.labels.shape[0]

    def take(self, index: npt.NDArray[np.int64]) -> "Images":
        chosen = torch.from_numpy(np.ascontiguousarray(index)).to(self.labels.device)
        return Images(self.pixels[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Augment:
    flip: bool
    shift: int  # pixels of the stored image


def prepare(pixels: Tensor, pipeline: Pipeline) -> Tensor:
    """uint8 [B, 3, H, W] -> float [B, 3, S, S], channels last in memory."""
    x = pixels.float() / 255
    side = pipeline.image_size
    if x.shape[-2:] != (side, side):
        x = F.interpolate(x, size=(side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
    mean = torch.tensor(pipeline.mean, device=x.device).view(1, 3, 1, 1)
    std = torch.tensor(pipeline.std, device=x.device).view(1, 3, 1, 1)
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def augment(pixels: Tensor, how: Augment, generator: torch.Generator) -> Tensor:
    """Mirror and move each image on its own. The generator lives on the CPU, so devices draw alike."""
    batch, _, height, width = pixels.shape
    if how.flip:
        mirrored = torch.rand(batch, generator=generator) < 0.5
        pixels = torch.where(mirrored.to(pixels.device).view(-1, 1, 1, 1), pixels.flip(3), pixels)
    if how.shift:
        # Moving reads beyond the border; the nearest pixel is repeated there.
        offsets = torch.randint(-how.shift, how.shift + 1, (2, batch, 1), generator=generator)
        rows = (torch.arange(height) + offsets[0]).clamp(0, height - 1).to(pixels.device)
        columns = (torch.arange(width) + offsets[1]).clamp(0, width - 1).to(pixels.device)
        which = torch.arange(batch, device=pixels.device).view(-1, 1, 1, 1)
        channel = torch.arange(3, device=pixels.device).view(1, -1, 1, 1)
        pixels = pixels[which, channel, rows.view(batch, 1, height, 1), columns.view(batch, 1, 1, width)]
    return pixels


class Order:
    """Batches of indices without end: one shuffled pass after another, cut into batches of equal size.

    A pass may end within a batch, so no image is dropped and no batch is short (one image alone breaks BatchNorm).
    """

    def __init__(self, num_images: int, batch_size: int, seed: int) -> None:
        self.batch_size = min(batch_size, num_images)
        self._num_images = num_images
        self._generator = np.random.default_rng(seed)
        self._left: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def next(self) -> npt.NDArray[np.int64]:
        while len(self._left) < self.batch_size:
            self._left = np.concatenate([self._left, self._generator.permutation(self._num_images)])
        batch, self._left = self._left[: self.batch_size], self._left[self.batch_size :]
        return batch
