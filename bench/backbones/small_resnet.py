"""A residual network for 32x32 images that two cores pretrain in a minute: timm's ByobNet, configured.

A 3x3 stem of stride 2 and four stages of one basic block: 311,664 parameters with 32 classes, six freezable units.
"""

from typing import Annotated, Any

from pydantic import Field

from bench.backbones.base import BackboneEntry, BackboneFacts
from bench.catalogue import Options


class SmallResnetOptions(Options):
    width: Annotated[int, Field(ge=4, le=256)] = 16
    """Channels of the stem and the first stage; each later stage has twice as many."""
    blocks: Annotated[int, Field(ge=1, le=20)] = 1
    """Residual blocks per stage."""


def build(num_classes: int, options: SmallResnetOptions) -> Any:
    from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg

    stages = tuple(
        ByoBlockCfg(type="basic", d=options.blocks, c=options.width * 2**stage, s=1 if stage == 0 else 2, gs=0, br=1.0)
        for stage in range(4)
    )
    config = ByoModelCfg(
        blocks=stages, stem_type="3x3", stem_chs=options.width, stem_pool="", act_layer="relu"
    )
    # Short budgets: residual branches that start at zero (timm's default) leave scratch little time to wake them.
    return ByobNet(config, num_classes=num_classes, zero_init_last=False)


BACKBONE = BackboneEntry(
    name="small_resnet",
    summary="residual network for small images, 0.3 M parameters, 6 units; meant for `pretrain:`",
    facts=BackboneFacts(
        unit_names=("stem", "stage1", "stage2", "stage3", "stage4", "head"),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    ),
    build=build,
    options=SmallResnetOptions,
)
