"""Encoders of the library transformers as networks of one input, with a classifier of ours: those of texts take numbers
of tokens. `sound_encoder_net.py` has those of sound."""

import re
import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.backbones.encoder_families import FAMILIES, EncoderOptions, Family, positions_of
from bench.errors import BenchError

LAST = (99999,)  # timm's number for what follows the numbered parts
# Of LayerNorm, in the first checkpoints of BERT; of weight norm, in those of wav2vec 2.0 and its kin.
OLD = {"gamma": "weight", "beta": "bias", "weight_g": "parametrizations.weight.original0",
       "weight_v": "parametrizations.weight.original1"}  # fmt: skip
# Of parts of names, in order, in public checkpoints of the audio spectrogram transformer.
OLDER = {
    "encoder.layer.": "layers.", "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj", "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj", "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2",
}  # fmt: skip
# Parts of names in public checkpoints that stand for heads of other tasks, or for what is computed and not learned.
OTHERS = re.compile(
    r"cls|pooler|head|heads|score|projector|quantizer|project_(?:q|hid)|proj_out|final_proj|vocab_\w+|qa_outputs"
    r"|layer_weights|lm_loss|final_logits_bias|masked_spec_embed|label_embs_concat|version|position_ids|inv_freq|masked_bias"
    r"|(?:\w+_)?(?:predictions|lm_head|classifier|classification_head)"
)
# Of a configuration, what would change networks and clips at random in ways of the library's own.
NOT_RANDOM = {"layerdrop": 0.0, "encoder_layerdrop": 0.0, "apply_spec_augment": False}
EMBEDDED = "embed_tokens.weight"
# Of a configuration: rates of dropout by any name, but not of a head that is not used or of layers left out whole.
DROPOUT, NO_DROPOUT = ("dropout", "pdrop"), ("classifier", "layerdrop", "summary", "final")


class Encoder(nn.Module):
    """What encoders of texts and of sound have in common."""

    def __init__(self, num_classes: int, options: EncoderOptions) -> None:
        super().__init__()
        self.encoder, config = _encoder(options)
        self.family = FAMILIES.get(options.config["model_type"]) or _told_by(self.encoder)
        self.pooling = options.pooling or self.family.pooling
        self.blank = int(getattr(config, "pad_token_id", None) or 0)
        # Wav2vec 2.0 and its kin have a norm before their layers, or behind them.
        self.later = [r"encoder\.layer_norm(?:\.|$)"] if getattr(config, "do_stable_layer_norm", False) else []
        self.head = nn.Linear(_width(self.encoder, config), num_classes)
        names = [name for name, _ in self.encoder.get_submodule(self.family.layers).named_children()]
        self.unit_names = ("stem", *(f"layer.{number}" for number in range(len(names))), "head")

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Its layers, however finely units are wanted."""
        layers = self.family.layers.replace(".", r"\.")
        # What the encoder applies behind its layers goes with the last one.
        behind = "|".join([*_behind(self.encoder, self.family), *self.later]) or "$^"
        return {
            "stem": rf"^(?:prompts$|encoder\.(?!{layers}\.)(?!{behind}))",
            "blocks": [(rf"^encoder\.{layers}\.(\d+)", None), (rf"^encoder\.(?:{behind})", LAST)],
        }

    @property
    def first_layer(self) -> nn.Module:
        return next(self.encoder.get_submodule(self.family.layers).children())

    def get_classifier(self) -> nn.Module:
        return self.head

    @staticmethod
    def named_here(names: Iterable[str], options: EncoderOptions) -> dict[str, str]:
        """What belongs to other heads becomes part of the old head, which is never loaded. A name that is unknown
        stays as it is, so that whoever loads it refuses the file."""
        with torch.device("meta"):
            encoder = _encoder(options)[0]
        wanted, family = set(encoder.state_dict()), FAMILIES.get(options.config["model_type"])
        has_decoder = not any("decoder" in name.split(".") for name in wanted)  # a half that is of no use here
        found: dict[str, str] = {}
        taken: dict[str, str] = {}
        for name in names:
            is_decoder = has_decoder and "decoder" in name.split(".")
            own = None if is_decoder else _own(name, wanted, family)
            if own is not None and own in taken:
                raise BenchError(f"{taken[own]!r} and {name!r} both come to {own!r}, and only one of them can be meant")
            if own is not None:
                taken[own], found[name] = name, f"encoder.{own}"
            else:
                found[name] = f"head.{name}" if is_decoder or _is_other(name, encoder) else name
        # Of T5 and BART, for both halves; some files have the encoder's own copy beside it.
        for name in [name for name in found if f".{name}".endswith(".shared.weight")]:
            is_needed = EMBEDDED in wanted and EMBEDDED not in taken
            found[name] = f"encoder.{EMBEDDED}" if is_needed else f"head.{name}"
        return found


class TextEncoder(Encoder):
    """Takes tokens int64 [B, L], each its number in the tokenizer and 1; 0 is padding, which changes nothing."""

    prompts: nn.Parameter | None  # [num, D], learned vectors before the embedded tokens; who adds them sets them

    def __init__(self, num_classes: int, options: EncoderOptions) -> None:
        super().__init__(num_classes, options)
        self.register_parameter("prompts", None)
        self.places_left = positions_of(options.config, self.family, "hf") - options.max_length
        self.first_place = _first_place(self.encoder) if self.family.counts else None
        has_types = self.family.types and getattr(self.encoder.config, "type_vocab_size", 0) > 1
        self.separator = options.separator if has_types else None

    def hidden(self, tokens: Tensor) -> Tensor:
        """[B, L, D]: what stands for each token in the end."""
        keep = tokens > 0
        ids = torch.where(keep, tokens - 1, self.blank)
        if self.prompts is not None:
            return self._behind_prompts(ids, keep, self.prompts)
        found: Tensor = self.encoder(
            input_ids=ids, attention_mask=self._mask(keep), **self._beside(ids, keep, 0)
        ).last_hidden_state
        return found

    def _behind_prompts(self, ids: Tensor, keep: Tensor, prompts: Tensor) -> Tensor:
        embedded = self.word_table()(ids)
        first = prompts.to(embedded.dtype).expand(len(embedded), -1, -1)
        mask = self._mask(F.pad(keep, (len(prompts), 0), value=True))
        given = torch.cat([first, embedded], 1)
        beside = self._beside(ids, keep, len(prompts))
        found: Tensor = self.encoder(inputs_embeds=given, attention_mask=mask, **beside).last_hidden_state
        return found[:, len(prompts) :]

    def _beside(self, ids: Tensor, keep: Tensor, before: int) -> dict[str, Tensor]:
        """Places and types of tokens, where the library would count the tokens that it sees, or take all for the first
        text. `before`: so many learned vectors stand before them."""
        found = {}
        if self.first_place is not None:
            places = torch.arange(before + ids.shape[1], device=ids.device) + self.first_place
            found["position_ids"] = places.expand(len(ids), -1)
        if self.separator is not None:
            ends = ids == self.separator
            is_second = (ends.long().cumsum(1) > ends.long()) & keep  # behind the first separator
            found["token_type_ids"] = F.pad(is_second.long(), (before, 0))
        return found

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.head(pooled(self.hidden(tokens), tokens > 0, self.pooling))
        return logits

    def word_table(self) -> nn.Embedding:
        table: nn.Embedding = self.encoder.get_input_embeddings()  # type: ignore[operator]
        return table

    def _mask(self, keep: Tensor) -> Tensor:
        if self.family.sees == "own":
            return keep.long()
        seen = keep[:, None, None, :]
        if self.family.sees == "all":
            return seen
        length = keep.shape[1]
        return seen & torch.ones(length, length, dtype=torch.bool, device=keep.device).tril()


def pooled(hidden: Tensor, keep: Tensor, how: str) -> Tensor:
    """[B, L, D] -> [B, D]"""
    if how == "first":
        return hidden[:, 0]
    if how == "mean":
        weights = keep.unsqueeze(2).to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1).clamp_min(1)
    places = torch.arange(1, keep.shape[1] + 1, device=keep.device) * keep
    last = places.argmax(1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


def _encoder(options: EncoderOptions) -> tuple[nn.Module, Any]:
    """With random weights, drawn as the library draws them."""
    try:
        from transformers import AutoConfig, AutoModel
    except ImportError:
        what, extra = ("sound", "audio") if options.front else ("text", "text")
        problem = f"{what} encoders need the library transformers: pip install 'transfer-bench[{extra}]'"
        raise BenchError(problem) from None
    told = dict(options.config)
    if options.dropout is not None:
        told |= {name: options.dropout for name in told if _is_dropout(name)}
    kind = told.pop("model_type")
    try:
        config: Any = AutoConfig.for_model(kind, **told)
        if options.dropout is not None:
            for name in config.to_dict():
                if _is_dropout(name):
                    setattr(config, name, options.dropout)
        for name, value in NOT_RANDOM.items():
            setattr(config, name, value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model: Any = AutoModel.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever a configuration makes the library raise
        why = next(iter(str(error).splitlines()), "")
        raise BenchError(f"a {kind!r} network cannot be built: {why}") from error
    encoder = model.get_encoder() if config.is_encoder_decoder else model
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # a layer for another task; rows are pooled here
    if getattr(encoder, "masked_spec_embed", None) is not None:
        encoder.masked_spec_embed = None  # stands where the library masks clips, which it does not here
    for module in encoder.modules():
        for name, tensor in list(module.named_parameters(recurse=False)):
            if not tensor.requires_grad:  # a table of sines, say: never learned
                delattr(module, name)
                module.register_buffer(name, tensor.detach())
    return encoder, config


def _renamed(name: str) -> str:
    for old, new in OLDER.items():
        name = name.replace(old, new)
    return name


def _is_dropout(name: str) -> bool:
    return any(part in name for part in DROPOUT) and not any(part in name for part in NO_DROPOUT)


def _own(name: str, wanted: set[str], family: Family | None) -> str | None:
    """The encoder's name for it, less what a checkpoint puts before."""
    parts = (_renamed(name) if family is not None and family.sound == "spectrogram" else name).split(".")
    parts[-1] = OLD.get(parts[-1], parts[-1])
    return next((one for skip in range(3) if (one := ".".join(parts[skip:])) in wanted), None)


def _is_other(name: str, encoder: nn.Module) -> bool:
    """Of a head for another task, or what the library itself leaves out."""
    known: Any = getattr(encoder, "_keys_to_ignore_on_load_unexpected", None) or ()
    return any(map(OTHERS.fullmatch, name.split("."))) or any(re.search(one, name) for one in known)


def _first_place(encoder: nn.Module) -> int:
    """Of a text, in the network's table of places: some begin behind the place of padding."""
    tables = (module for name, module in encoder.named_modules() if name.endswith("position_embeddings"))
    padding = getattr(next(tables, None), "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def _width(encoder: nn.Module, config: Any) -> int:
    """Of what it puts out, which some OPT networks make as narrow as their table of words."""
    told = getattr(config, "word_embed_proj_dim", None) or getattr(config, "hidden_size", None)
    return int(told or encoder.get_input_embeddings().embedding_dim)  # type: ignore[operator]


def _told_by(encoder: nn.Module) -> Family:
    """Of a network that is in no table: its layers are the list that holds most parameters, the outermost such."""
    lists = [(name, sum(p.numel() for p in child.parameters()))
             for name, child in encoder.named_modules() if isinstance(child, nn.ModuleList)]  # fmt: skip
    if not lists:
        raise BenchError(f"{type(encoder).__name__}: no list of layers was found in it")
    return Family(max(lists, key=lambda one: one[1])[0], "mean", "own")


def _behind(encoder: nn.Module, family: Family) -> list[str]:
    """Parts of the encoder that are applied behind its layers and have weights."""
    names, later = [name for name, _ in encoder.named_children()], family.behind
    if later is None:
        place, _, _ = family.layers.partition(".")
        later = tuple(names[names.index(place) + 1 :])
    known = dict(encoder.named_modules())
    found = [name for name in later if name in known and any(True for _ in known[name].parameters())]
    return [rf"{re.escape(name)}(?:\.|$)" for name in found]
