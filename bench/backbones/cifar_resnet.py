"""The residual networks for CIFAR of He et al. 2016, section 4.2, with shortcuts of option A: 6 n + 2 layers.

Named as in the checkpoints that circulate (`layer1.0.conv1`, `linear`), so that published weights load.
"""

from typing import Annotated, Any

from pydantic import Field

from bench.backbones.base import IMAGENET_MEAN, IMAGENET_STD, BackboneEntry, BackboneFacts
from bench.catalogue import Options

WIDTHS = (16, 32, 64)


class CifarResnetOptions(Options):
    blocks: Annotated[int, Field(ge=1, le=200)] = 3
    """Blocks in each of three stages: 3 makes ResNet-20, 5 ResNet-32, 9 ResNet-56."""


def build(num_classes: int, options: CifarResnetOptions) -> Any:
    from bench.backbones.cifar_resnet_net import CifarResnet

    return CifarResnet(options.blocks, num_classes)


BACKBONE = BackboneEntry(
    name="cifar_resnet",
    summary="ResNet-20, 32, 56 ... for 32x32 images (He et al. 2016, option A); 5 units",
    facts=BackboneFacts(
        unit_names=("stem", "layer1", "layer2", "layer3", "head"),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        image_size=32,
    ),
    build=build,
    options=CifarResnetOptions,
)
