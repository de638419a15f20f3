"""What the rows of a hub's classifiers stand for, as timm and torchvision tell."""

from typing import Any

from bench.backbones import torchvision_names

Names = tuple[str, ...]  # of one class


def hub_classes(name: str) -> list[Names] | None:
    """By row: a label and a description of each class. None: its library does not say. `name`: with its tag."""
    if name.startswith(torchvision_names.PREFIX):
        return _torchvision(name)
    import timm
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

    config = timm.get_pretrained_cfg(name)
    subset = infer_imagenet_subset({"num_classes": config.num_classes}) if config is not None else None
    if subset is None:
        return None
    info: Any = ImageNetInfo(subset)
    return list(zip(info.label_names(), info.label_descriptions(), strict=True))


def _torchvision(name: str) -> list[Names] | None:
    from torchvision import models

    architecture, _, tag = name.removeprefix(torchvision_names.PREFIX).partition(".")
    found = models.get_model_weights(architecture)[tag or "DEFAULT"].meta.get("categories")
    return [(str(one),) for one in found] if found else None
