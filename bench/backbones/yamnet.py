"""YAMNet (Google, trained on AudioSet): MobileNetV1 on log-mel energies of 96 frames of 10 ms and more, 64 bands.

3.2 million parameters below its head. A checkpoint with its BatchNorms folded into the convolutions, under its own
names (`layer1` to `layer14`, `head`), loads by `weights: PATH`. Clips shorter than 0.975 s stand amid silence; longer
ones are seen whole, where the published network takes means over pieces.
"""

from typing import Any

from bench.backbones.base import BackboneEntry, BackboneFacts
from bench.catalogue import Options
from bench.spec.refs import Mel, SoundPipeline

LAYERS = 14


def build(num_classes: int, options: Options) -> Any:
    from bench.backbones.yamnet_net import YamNet

    return YamNet(num_classes)


BACKBONE = BackboneEntry(
    name="yamnet",
    summary="YAMNet, MobileNetV1 on log-mel energies of sound, 3.2 M parameters, 15 units; weights from a file",
    facts=BackboneFacts(
        unit_names=("stem", *(f"layer{number}" for number in range(2, LAYERS + 1)), "head"),
        has_batchnorm=False,
        is_depthwise=True,
        modality="sound",
        takes=SoundPipeline(rate=16_000, least=15_600, mel=Mel(), channels=1),
    ),
    build=build,
)
