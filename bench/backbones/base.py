"""What a backbone is to the rest of the house before any tensor exists. No torch here: `plan` and `list` read this."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.catalogue import Options

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class BackboneFacts:
    """What planning needs to know: the freezable units in forward order, and what the weights expect to see."""

    unit_names: tuple[str, ...]  # stem first, head last
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of pictures
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    image_size: int | None = None  # pixels; None takes images as they come
    is_size_fixed: bool = False  # takes images of no other size
    has_hub_weights: bool = False
    has_batchnorm: bool = True
    interpolation: str = "bicubic"  # or bilinear, as the weights were evaluated
    is_depthwise: bool = False  # has convolutions with one channel in each group
    modality: str = "image"  # what it takes in
    takes: Any = None  # its pipeline, where that does not depend on the data; None: pictures


@dataclass(frozen=True)
class Found:
    """A network of an entry that stands for many, as its files tell."""

    options: dict[str, Any]  # as they stand in the key: no place, but the content of what lies there
    short: str  # its name in tables
    weights: Path | None  # the file of its weights
    files: dict[str, Path]  # what it needs beside them, by digest
    on_hub: str = ""  # its name on a hub, where these files are a copy of the hub's


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
    # Where an entry stands for many networks, `ENTRY:NAME`: options, the suite's folder and what makes a file's digest
    # -> the one that is meant; and the pipeline of its options. Its `facts` lack the units then.
    found: Callable[[Any, Path, Callable[[Path], str]], Found] | None = None
    takes: Callable[[dict[str, Any]], Any] | None = None
    libraries: tuple[str, ...] = ()  # whose code runs in the network, beside torch and timm
    # Options -> the units, where options decide how many there are.
    units: Callable[[Any], tuple[str, ...]] | None = None

    def facts_of(self, options: dict[str, Any]) -> BackboneFacts:
        """Of the network with these options, as they stand in the key."""
        if self.units is None or self.takes is None:
            return self.facts
        names = self.units(self.options.model_validate(options))
        return replace(self.facts, unit_names=names, takes=self.takes(options))
