"""The families of encoders, one line each, and what a suite may set on them; no torch here."""

import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from bench.catalogue import Options
from bench.errors import BenchError

Pooling = Literal["first", "mean", "last"]
LONGEST = 128  # tokens, where a suite does not say
POSITIONS = ("max_position_embeddings", "n_positions")  # of a configuration


@dataclass(frozen=True)
class Family:
    """One line for all networks of a kind, by `model_type` of their configuration."""

    layers: str  # the list of its layers
    pooling: Pooling  # how its last layer's output becomes one row
    # Which tokens each one sees: all, those before it, or as the network finds out from a mask of its own.
    sees: Literal["all", "before", "own"] = "all"
    before_first: int = 0  # positions of its table that no token takes
    # What it takes of sound: `wave`, or log-mel energies as `whisper` or the `spectrogram` transformer; "": it is text.
    sound: Literal["", "wave", "whisper", "spectrogram"] = ""
    behind: tuple[str, ...] | None = None  # what it applies behind its layers; None: what it defines behind them
    counts: bool = False  # whether a token's place is its number among those seen, unless places are given
    types: bool = False  # whether it was trained to know the second text of a pair by a type of token
    firsts: int = 1  # tokens before those of the clip, whose mean is the row where `first` is asked for


BERT = Family("encoder.layer", "first", types=True)
ROBERTA = Family("encoder.layer", "first", before_first=2, counts=True)
OPT_BEHIND = ("decoder.final_layer_norm", "decoder.project_out")
WAVE = Family("encoder.layers", "mean", sound="wave")
FAMILIES = {
    "bert": BERT,
    "electra": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "mpnet": Family("encoder.layer", "first", "own", 2, counts=True),
    "deberta-v2": Family("encoder.layer", "first", "own"),
    "distilbert": Family("transformer.layer", "first"),
    "modernbert": Family("layers", "first", "own"),
    "gpt2": Family("h", "last", "before"),
    "gpt_neox": Family("layers", "last", "before"),
    "llama": Family("layers", "last", "before"),
    "qwen2": Family("layers", "last", "before"),
    "opt": Family("decoder.layers", "last", "own", behind=OPT_BEHIND, counts=True),
    "t5": Family("block", "mean"),
    "bart": Family("layers", "mean", behind=()),
    "wav2vec2": WAVE,
    "hubert": WAVE,
    "wavlm": WAVE,
    "data2vec-audio": WAVE,
    "whisper": Family("layers", "mean", sound="whisper"),
    "audio-spectrogram-transformer": Family("layers", "first", sound="spectrogram", firsts=2),
}


class EncoderOptions(Options):
    path: str = ""
    """The network's name on the hub, or a folder with its files; `hf:NAME` as the backbone's name is the same."""
    pooling: Pooling | None = None
    """How a text or a clip becomes one row: the `first` token, the `mean` over its tokens, or the `last` token. Unset:
    as the network was trained."""
    max_length: Annotated[int, Field(ge=1)] = LONGEST
    """Tokens of a text; what follows is cut off."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Everywhere in the network while it learns. Unset: as its configuration says."""
    config: dict[str, Any] = {}
    """Its configuration; read from its files."""
    tokenizer: str = ""
    """Digest of its tokenizer; read from its files."""
    front: dict[str, Any] = {}
    """How its weights take sound; read from its files."""
    mask: int | None = None
    """Number of its mask token; read from its files."""
    separator: int | None = None
    """Number of the token between the texts of a pair, where its tokenizer gives them types; read from its files."""


def positions_of(config: dict[str, Any], family: Family | None, name: str) -> int:
    """Tokens that a network has positions for. `name`: for messages."""
    given = {one: config[one] for one in POSITIONS if one in config}
    before = family.before_first if family is not None else 0
    for one, number in given.items():
        if type(number) is not int or number <= before:
            raise BenchError(f"{name}: config.json: {one}: expected a whole number above {before}, got {number!r}")
    return min(given.values(), default=sys.maxsize) - before
