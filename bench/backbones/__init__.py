"""The backbone catalogue: what is built in, third parties' entry points `bench.backbones`, and every timm model."""

from collections.abc import Mapping

from bench import catalogue
from bench.backbones import (
    cifar_resnet,
    encoders,
    small_resnet,
    small_transformer,
    timm_names,
    torchvision_names,
    yamnet,
)
from bench.backbones.base import BackboneEntry, BackboneFacts
from bench.errors import BenchError, unknown

BACKBONES: dict[str, BackboneEntry] = {
    "small_resnet": small_resnet.BACKBONE,
    "cifar_resnet": cifar_resnet.BACKBONE,
    "small_transformer": small_transformer.BACKBONE,
    "yamnet": yamnet.BACKBONE,
    "hf": encoders.BACKBONE,
}


def find(name: str) -> BackboneEntry | None:
    """The catalogue's entry, or None for a model of timm or torchvision; an unknown name is an error with the nearest
    known ones."""
    own, _ = split_name(name)
    if own in catalogue.names("backbone", BACKBONES):
        return catalogue.find("backbone", BACKBONES, own)
    prefix, architecture, tag = _parts(name)
    index = _index(prefix)
    if architecture not in index:
        known = [*catalogue.names("backbone", BACKBONES), *index] if not prefix else [prefix + one for one in index]
        if meant := _without_its_dot(name, prefix, index):
            raise BenchError(f"unknown backbone {name!r}; did you mean {meant!r}? A dot stands before the weights' tag")
        raise BenchError(unknown("backbone", name, known, listing="`python -m bench list backbones --timm '*'`"))
    # Some tags are made in loops that no reader of source text sees; where none was seen, timm itself decides later.
    if tag and index[architecture] and tag not in index[architecture]:
        tags = [f"{prefix}{architecture}.{known}" for known in index[architecture]]
        raise BenchError(unknown("pretrained weights", name, tags))
    return None


def _without_its_dot(name: str, prefix: str, index: Mapping[str, tuple[str, ...]]) -> str | None:
    """`resnet18a1_in1k` -> `resnet18.a1_in1k`"""
    flat = name.removeprefix(prefix).replace(".", "").replace("_", "")
    tagged = (f"{one}.{tag}" for one, tags in index.items() for tag in tags if flat.startswith(one.replace("_", "")))
    return next((prefix + one for one in tagged if one.replace(".", "").replace("_", "") == flat), None)


def split_name(name: str) -> tuple[str, dict[str, str]]:
    """`hf:gpt2` -> ("hf", {"path": "gpt2"}); any other name as it is."""
    own, colon, rest = name.partition(":")
    return (own, {"path": rest}) if colon and own in BACKBONES else (name, {})


def full_name(name: str) -> str:
    """The name of a model of timm or torchvision with its weights tag; the default one where none was given."""
    prefix, architecture, tag = _parts(name)
    tags = _index(prefix)[architecture]
    return name if tag or not tags else f"{prefix}{architecture}.{tags[0]}"


def _parts(name: str) -> tuple[str, str, str]:
    prefix = torchvision_names.PREFIX if name.startswith(torchvision_names.PREFIX) else ""
    architecture, _, tag = name.removeprefix(prefix).partition(".")
    return prefix, architecture, tag


def _index(prefix: str) -> dict[str, tuple[str, ...]]:
    return torchvision_names.index() if prefix else timm_names.index()


def names() -> list[str]:
    return catalogue.names("backbone", BACKBONES)


__all__ = ["BACKBONES", "BackboneEntry", "BackboneFacts", "find", "full_name", "names", "split_name"]
