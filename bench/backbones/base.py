"""What a backbone is to the rest of the house before any tensor exists. No torch here: `plan` and `list` read this."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bench.catalogue import Options

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class BackboneFacts:
    """What planning needs to know: the freezable units in forward order, and what the weights expect to see."""

    unit_names: tuple[str, ...]  # stem first, head last
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_size: int | None = None  # pixels; None takes images as they come
    is_size_fixed: bool = False  # takes images of no other size
    has_hub_weights: bool = False
    has_batchnorm: bool = True
    interpolation: str = "bicubic"  # or bilinear, as the weights were evaluated
    is_depthwise: bool = False  # has convolutions with one channel in each group
    modality: str = "image"  # what it takes in


@dataclass(frozen=True)
class BackboneEntry:
    """One line of the catalogue. `build` returns a module with timm's `group_matcher` and `get_classifier`."""

    name: str
    summary: str
    facts: BackboneFacts
    build: Callable[[int, Any], Any]  # number of classes, options -> torch.nn.Module; imports torch itself
    options: type[Options] = Options
    # Names in a public checkpoint, options -> the network's names; raises BenchError where it needs other options.
    translate: Callable[[Iterable[str], Any], dict[str, str]] | None = None
