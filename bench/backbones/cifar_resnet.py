"""The residual networks for CIFAR of He et al. 2016, section 4.2: 6 n + 2 layers. Option A, the paper's own, has
shortcuts without weights; option B has 1x1 convolutions in them.

Both are named as in most of the checkpoints that circulate (`layer1.0.conv1`; `linear`, or `fc` and `downsample`), so
that published weights load; `as_named_here` translates the other names, and says which option a file needs.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from bench.backbones.base import IMAGENET_MEAN, IMAGENET_STD, BackboneEntry, BackboneFacts
from bench.backbones.cifar_layouts import NAMES
from bench.catalogue import Options
from bench.errors import BenchError

HEAD = re.compile(r"^(?:linear|fc|classifier)(?=\.(?:weight|bias)$)")
SHORTCUT = re.compile(r"^(layer\d+\.\d+)\.(?:shortcut|downsample)(?=\.[01]\.)")
BLOCK = re.compile(r"^layer1\.(\d+)\.conv1\.weight$")


class CifarResnetOptions(Options):
    blocks: Annotated[int, Field(ge=1, le=200)] = 3
    """Blocks in each of three stages: 3 makes ResNet-20, 5 ResNet-32, 9 ResNet-56."""
    shortcut: Literal["A", "B"] = "A"
    """Where the size changes: `A`, every second pixel and channels of zeros; `B`, a 1x1 convolution with BatchNorm, as
    in many public checkpoints."""


def build(num_classes: int, options: CifarResnetOptions) -> Any:
    from bench.backbones.cifar_resnet_net import CifarResnet

    return CifarResnet(options.blocks, num_classes, options.shortcut)


def as_named_here(names: Iterable[str], options: CifarResnetOptions) -> dict[str, str]:
    """A file's names -> the network's, where it is a network of this kind at all. Raises BenchError with the options
    that it needs, where these are others."""
    names = list(names)
    numbers = [int(found[1]) for name in names if (found := BLOCK.match(name))]
    if not numbers:
        return {name: name for name in names}
    if any(name.startswith("layer4.") for name in names):
        raise BenchError("this file has a fourth stage, so it is no CIFAR network of He et al.: networks for ImageNet "
                         "have these names, as `torchvision:resnet18`")
    has_weights = any(SHORTCUT.match(name) for name in names)
    wanted: dict[str, object] = {"shortcut": "B" if has_weights else "A", "blocks": max(numbers) + 1}
    if any(getattr(options, name) != value for name, value in wanted.items()):
        kind = "1x1-convolution shortcuts" if has_weights else "shortcuts without weights"
        wanted_options = ", ".join(f"{name}: {value}" for name, value in wanted.items())
        raise BenchError(f"this file has {kind} and {max(numbers) + 1} blocks in each stage: use "
                         f"`options: {{{wanted_options}}}`")
    own = NAMES[options.shortcut]
    return {name: HEAD.sub(own.head, SHORTCUT.sub(rf"\1.{own.shortcut}", name)) for name in names}



BACKBONE = BackboneEntry(
    name="cifar_resnet",
    summary="ResNet-20, 32, 56 ... for 32x32 images (He et al. 2016, shortcuts of option A or B); 5 units",
    facts=BackboneFacts(
        unit_names=("stem", "layer1", "layer2", "layer3", "head"),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        image_size=32,
    ),
    build=build,
    options=CifarResnetOptions,
    translate=as_named_here,
)
