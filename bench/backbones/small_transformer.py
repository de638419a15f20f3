"""A transformer for short texts that two cores pretrain in half a minute; `small_transformer_net.py` is the network.

Its tokenizer needs no file: words by their digest, so whatever a text says has numbers.
"""

from typing import Annotated, Any

from pydantic import Field, model_validator

from bench.backbones.base import BackboneEntry, BackboneFacts
from bench.catalogue import Options
from bench.spec.refs import TextPipeline


class SmallTransformerOptions(Options):
    width: Annotated[int, Field(ge=8, le=1024)] = 64
    """Numbers that stand for a token."""
    layers: Annotated[int, Field(ge=1, le=24)] = 4
    """Each of attention and two matrices; each is a unit."""
    heads: Annotated[int, Field(ge=1, le=32)] = 4
    """Of the attention; they share the width."""
    vocabulary: Annotated[int, Field(ge=16, le=1 << 20)] = 4096
    """Numbers that words are hashed to; two words may share one."""
    max_length: Annotated[int, Field(ge=2, le=512)] = 64
    """Tokens of a text; what follows is cut off."""

    @model_validator(mode="after")
    def _heads_share_evenly(self) -> "SmallTransformerOptions":
        if self.width % self.heads:
            raise ValueError(f"width is shared evenly by the heads, and {self.width} is no multiple of {self.heads}")
        return self


def build(num_classes: int, options: SmallTransformerOptions) -> Any:
    from bench.backbones.small_transformer_net import SmallTransformer

    return SmallTransformer(num_classes, options)


def units(options: SmallTransformerOptions) -> tuple[str, ...]:
    return ("stem", *(f"layer.{number}" for number in range(options.layers)), "head")


def takes(options: dict[str, Any]) -> TextPipeline:
    full = SmallTransformerOptions.model_validate(options)
    return TextPipeline(f"words/{full.vocabulary}", full.max_length)


BACKBONE = BackboneEntry(
    name="small_transformer",
    summary="transformer for short texts, 0.5 M parameters, 6 units; meant for `pretrain:`",
    facts=BackboneFacts(
        unit_names=units(SmallTransformerOptions()), has_batchnorm=False, modality="text", takes=takes({})
    ),
    build=build,
    options=SmallTransformerOptions,
    takes=takes,
    units=units,
)
