"""torchvision's classification networks, given what the rest of the house asks of a network: where its head is, and how
it divides into freezable units. Parameters keep their names, so checkpoints load."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from bench.backbones.base import IMAGENET_MEAN, IMAGENET_STD
from bench.backbones.torchvision_names import PREFIX

LAST = (99999,)  # timm's number for what follows the numbered parts


@dataclass(frozen=True)
class Parts:
    """How a family of networks is numbered, in timm's patterns."""

    told_by: str  # a module that only this family has
    stem: str
    blocks: str
    tail: str = r"^(?:norm|classifier|pre_classifier)"


FAMILIES = (
    Parts("features.denseblock1", r"^features\.(?:conv0|norm0|relu0|pool0)",
          r"^features\.(?:denseblock|transition)(\d+)", r"^features\.norm5"),
    # AlexNet, VGG, SqueezeNet, MobileNet, EfficientNet, ConvNeXt, Swin
    Parts("features.0", r"^features\.0(?:\.|$)", r"^features\.(\d+)"),
    Parts("layer1", r"^(?:conv1|bn1|relu|maxpool)", r"^layer(\d+)"),  # ResNet
    Parts("trunk_output", r"^stem", r"^trunk_output\.block(\d+)"),  # RegNet
    Parts("encoder.layers", r"^(?:class_token|conv_proj|encoder\.pos_embedding|encoder\.dropout)",
          r"^encoder\.layers\.encoder_layer_(\d+)", r"^encoder\.ln"),  # ViT
    Parts("blocks", r"^stem", r"^blocks\.(\d+)"),  # MaxViT
    Parts("stage2", r"^(?:conv1|maxpool)", r"^stage(\d+)", r"^conv5"),  # ShuffleNet
    Parts("layers", r"^layers\.[0-7](?:\.|$)", r"^layers\.(\d+)"),  # MNASNet
)


def build(name: str, num_classes: int, options: dict[str, Any]) -> nn.Module:
    from torchvision import models

    architecture, _, _ = name.removeprefix(PREFIX).partition(".")
    if architecture.startswith("vit_"):  # made for one size, which is the weights'
        options = {"image_size": config_of(name)["image_size"], **options}
    module: nn.Module = models.get_model(architecture, weights=None, num_classes=num_classes, **options)
    return adapted(module, num_classes)


def adapted(module: nn.Module, num_classes: int) -> nn.Module:
    head = _head_of(module, num_classes)
    names = {name for name, _ in module.named_modules()}
    parts = next((parts for parts in FAMILIES if parts.told_by in names), None)
    if head is None or parts is None:
        raise ValueError(f"{type(module).__name__}: no head, or no numbered parts, were found in it")
    # As fine as they are numbered, whichever is asked for: inside these parts every network is numbered otherwise.
    matcher = {"stem": parts.stem, "blocks": [(parts.blocks, None), (parts.tail, LAST)]}
    module.group_matcher = lambda coarse=False: matcher  # type: ignore[assignment]
    module.get_classifier = lambda: head  # type: ignore[assignment]
    return module


def _head_of(module: nn.Module, num_classes: int) -> nn.Module | None:
    """The last layer that has as many outputs as there are classes."""
    outputs = [
        child for child in module.modules()
        if getattr(child, "out_features", getattr(child, "out_channels", None)) == num_classes
    ]
    return outputs[-1] if outputs else None


def config_of(name: str) -> dict[str, Any]:
    """mean, std and image size of its weights; of its default ones where no tag is given."""
    from torchvision import models

    architecture, _, tag = name.removeprefix(PREFIX).partition(".")
    weights = models.get_model_weights(architecture)
    made = weights[tag or "DEFAULT"].transforms() if len(weights) else None
    if made is None:
        return {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, "image_size": 224}
    return {"mean": tuple(made.mean), "std": tuple(made.std), "image_size": int(made.crop_size[0]),
            "interpolation": "bicubic" if made.interpolation.value == "bicubic" else "bilinear",
            "is_size_fixed": architecture.startswith(("vit_", "maxvit"))}


def hub_state(name: str) -> dict[str, Any]:
    """Downloaded, with its checksum, and under the names that the network has today."""
    from torchvision import models

    architecture, _, tag = name.removeprefix(PREFIX).partition(".")
    state: dict[str, Any] = models.get_model(architecture, weights=tag or "DEFAULT").state_dict()
    return state
