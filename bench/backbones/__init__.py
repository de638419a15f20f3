"""The backbone catalogue: what is built in, third parties' entry points `bench.backbones`, and every timm model."""

from bench import catalogue
from bench.backbones import small_resnet, timm_names
from bench.backbones.base import BackboneEntry, BackboneFacts
from bench.errors import BenchError, unknown

BACKBONES: dict[str, BackboneEntry] = {
    "small_resnet": small_resnet.BACKBONE,
}


def find(name: str) -> BackboneEntry | None:
    """The catalogue's entry, or None for a timm model; an unknown name is an error with the nearest known ones."""
    if name in catalogue.names("backbone", BACKBONES):
        return catalogue.find("backbone", BACKBONES, name)
    architecture, _, tag = name.partition(".")
    index = timm_names.index()
    if architecture not in index:
        known = [*catalogue.names("backbone", BACKBONES), *index]
        raise BenchError(unknown("backbone", name, known, listing="`python -m bench list backbones --timm '*'`"))
    # Some tags are made in loops that no reader of source text sees; where none was seen, timm itself decides later.
    if tag and index[architecture] and tag not in index[architecture]:
        tags = [f"{architecture}.{known}" for known in index[architecture]]
        raise BenchError(unknown("pretrained weights", name, tags))
    return None


def full_name(name: str) -> str:
    """A timm name with its weights tag; the default one where none was given."""
    architecture, _, tag = name.partition(".")
    tags = timm_names.index()[architecture]
    return name if tag or not tags else f"{architecture}.{tags[0]}"


def names() -> list[str]:
    return catalogue.names("backbone", BACKBONES)


__all__ = ["BACKBONES", "BackboneEntry", "BackboneFacts", "find", "full_name", "names"]
