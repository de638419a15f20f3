"""Classify pictures with the network beside this file:

    python use.py picture.jpg another.png ...

Needs torch, timm, safetensors and Pillow. It prints the class of each file, and its
probability where the network tells any.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

BATCH = 256


def build(network: dict[str, Any]) -> nn.Module:
    """With weights of no meaning."""
    model: Any = timm.create_model(
        network["name"], pretrained=False, num_classes=network["num_classes"], **network["options"]
    )
    if network["classifier"] == "computed":  # from the features, in float64
        classifier = model.get_classifier().double()
        classifier.register_forward_pre_hook(lambda module, inputs: inputs[0].double())
    return model  # type: ignore[no-any-return]


def load(folder: Path) -> nn.Module:
    model = build(_read(folder / "network.json"))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval().to(memory_format=torch.channels_last)


def picture(path: Path, how: dict[str, Any]) -> Tensor:
    """uint8 [3, H, W], as the training set's pictures are kept: upright, on white, its middle or squashed."""
    size = how["stored"]["width"], how["stored"]["height"]
    with Image.open(path) as file:
        if file.mode == "RGB":
            file.draft("RGB", (2 * size[0], 2 * size[1]))  # a JPEG is decoded at a smaller size, as in training
        if file.mode.startswith("I") or file.mode == "F":
            sys.exit(f"{path}: has more than 8 bits a colour; convert it first")
        image: Image.Image = ImageOps.exif_transpose(file)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
    if image.size != size:
        width, height = image.size
        least = min(width, height)
        left, top = (width - least) / 2, (height - least) / 2
        box = (left, top, left + least, top + least) if how["stored"]["fit"] == "crop" else None
        image = image.resize(size, Image.Resampling.BICUBIC, box=box)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def inputs(pixels: Tensor, how: dict[str, Any]) -> Tensor:
    """uint8 [B, 3, H, W] -> float [B, 3, S, S], resized and normalised as the network learned to see."""
    x = pixels.float().div(255)
    side, whole = how["image_size"], round(how["image_size"] / how["crop"])
    if x.shape[-2:] != (whole, whole):
        x = F.interpolate(x, size=(whole, whole), mode=how["interpolation"], antialias=True, align_corners=False)
        x = x.clamp(0, 1)
    edge = (whole - side) // 2
    x = x[:, :, edge : edge + side, edge : edge + side]
    mean, std = (torch.tensor(how[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def logits(model: nn.Module, paths: list[Path], folder: Path) -> Tensor:
    """[N, classes]"""
    how, network = _read(folder / "preprocessing.json"), _read(folder / "network.json")
    found = []
    for start in range(0, len(paths), BATCH):
        pixels = torch.stack([picture(path, how) for path in paths[start : start + BATCH]])
        with torch.autocast("cpu", torch.bfloat16, enabled=network["precision"] == "bf16"):
            found.append(model(inputs(pixels, how)).float())
    return torch.cat(found)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    folder, paths = Path(__file__).parent, [Path(name) for name in sys.argv[1:]]
    if not paths:
        sys.exit(f"usage: python {Path(__file__).name} picture.jpg ...")
    labels, network = _read(folder / "labels.json"), _read(folder / "network.json")
    likely, number = logits(load(folder), paths, folder).softmax(1).max(1)
    for path, share, place in zip(paths, likely.tolist(), number.tolist(), strict=True):
        shown = f"\t{share:.4f}" if network["are_likelihoods"] else ""
        print(f"{path}\t{labels[place]}{shown}")  # noqa: T201  a script of its own


if __name__ == "__main__":
    main()
