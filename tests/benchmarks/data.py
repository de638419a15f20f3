"""Drawn images that a network can learn, and small residual networks, as catalogue entries for the benchmarks."""

import numpy as np
from torch import nn
from torch.nn import functional as F

from bench.backbones.base import BackboneEntry, BackboneFacts
from bench.catalogue import Options
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Split

HALF = (0.5, 0.5, 0.5)


class BlobOptions(Options):
    side: int
    classes: int
    train: int
    test: int = 64
    seed: int = 0


def facts(options):
    return DatasetFacts(
        options.classes, options.side, options.train, options.test, options.train // options.classes,
        "blobs-2:" + options.model_dump_json(),
    )


def load(options):
    """A class is a tint, and the place and colour of a soft blob; noise and other blobs lie over it."""
    draw = np.random.default_rng(options.seed)
    angles = np.arange(options.classes) * 2 * np.pi / options.classes
    centres = 0.5 + 0.28 * np.stack([np.sin(angles), np.cos(angles)], 1)
    colours = np.random.default_rng(7).uniform(0.2, 1, (options.classes, 3))
    grid = (np.arange(options.side) + 0.5) / options.side

    def blob(centre, width):
        rows = np.exp(-((grid - centre[0]) ** 2) / width)
        return rows[:, None] * np.exp(-((grid - centre[1]) ** 2) / width)

    def split(num):
        labels = draw.permutation(np.arange(num) % options.classes)
        images = draw.normal(90, 45, (num, options.side, options.side, 3))
        images += 40 * (colours[labels] - 0.6)[:, None, None]
        for image, label in zip(images, labels, strict=True):
            image += 110 * blob(centres[label] + draw.normal(0, 0.06, 2), 0.02)[..., None] * colours[label]
            image += 90 * blob(draw.uniform(0, 1, 2), 0.02)[..., None] * draw.uniform(0, 1, 3)
        return Split.of_images(images.clip(0, 255).astype(np.uint8), labels.astype(np.int64))

    return Dataset(tuple(map(str, range(options.classes))), split(options.train), split(options.test))


BLOBS = DatasetEntry("blobs", "coloured blobs under noise", facts, load, BlobOptions)


class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        shortcut = [nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)]
        self.shortcut = nn.Sequential(*shortcut) if stride > 1 or before != after else nn.Identity()

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))


class ProjectedResnet(nn.Module):
    """He et al. 2016, section 4.2: 6 n + 2 layers, of 16, 32 and 64 channels; shortcuts that change the size are
    projected (option B).
    """

    def __init__(self, num_blocks, num_classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        widths = (16, 16, 32, 64)
        for stage in (1, 2, 3):
            first = Block(widths[stage - 1], widths[stage], 1 if stage == 1 else 2)
            others = [Block(widths[stage], widths[stage], 1) for _ in range(num_blocks - 1)]
            setattr(self, f"stage{stage}", nn.Sequential(first, *others))
        self.head = nn.Linear(64, num_classes)

    def forward(self, x):
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        return self.head(x.mean((2, 3)))

    def group_matcher(self, coarse=False):
        return {"stem": r"^stem", "blocks": r"^stage(\d+)"}

    def get_classifier(self):
        return self.head


class DepthOptions(Options):
    blocks: int = 1  # per stage


PROJECTED = BackboneEntry(
    "projected_resnet", "ResNet-8, -14, -20", BackboneFacts(("stem", "stage1", "stage2", "stage3", "head"), HALF, HALF),
    lambda num_classes, options: ProjectedResnet(options.blocks, num_classes), DepthOptions,
)  # fmt: skip


def register():
    """In every process that trains."""
    from bench.backbones import BACKBONES
    from bench.datasets import DATASETS

    DATASETS["blobs"] = BLOBS
    BACKBONES["projected_resnet"] = PROJECTED
