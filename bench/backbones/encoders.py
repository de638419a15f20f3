"""`hf:NAME` and `hf:FOLDER`: encoders of the library transformers, by their configuration and weights. No torch here:
`encoder_net.py` builds the network.

A network is named by what is in its files, never by where they lie: its configuration stands in its options, its
tokenizer and its weights are named by digest. No code comes with it: what the library does not know itself is refused.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.backbones import hub
from bench.backbones.base import BackboneEntry, BackboneFacts, Found
from bench.backbones.encoder_families import FAMILIES, EncoderOptions, Family, Pooling, positions_of
from bench.backbones.sound_fronts import FILE, front_of, pipeline_of
from bench.backbones.tokenizer_files import facts_of
from bench.errors import BenchError, Missing
from bench.places import find_file
from bench.spec.refs import SoundPipeline, TextPipeline

PREFIX = "hf:"
CONFIG, TOKENIZER, POOLING = "config.json", "tokenizer.json", "1_Pooling/config.json"
READ = (CONFIG, TOKENIZER, POOLING, FILE)
# How networks for sentences pool, as their file says it.
MODE = "pooling_mode_"
POOLED: dict[str, Pooling] = {"cls_token": "first", "mean_tokens": "mean", "lasttoken": "last"}
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# Of a configuration, what says nothing of the network's numbers.
SILENT = {"_name_or_path", "architectures", "transformers_version", "torch_dtype", "dtype", "id2label", "label2id",
          "use_cache", "gradient_checkpointing", "auto_map", "finetuning_task", "problem_type"}  # fmt: skip


def found(options: EncoderOptions, beside: Path, digest_of: Any) -> Found:
    """What its files tell. Raises Missing, and BenchError where they cannot be used."""
    folder, on_hub = _folder(options.path, beside)
    config = _config(folder, options.path)
    family = FAMILIES.get(config["model_type"])
    needed = FILE if family is not None and family.sound else TOKENIZER
    if on_hub and not (folder / needed).is_file():  # some other program asked the hub for a part
        raise lacking(options.path, can_fetch=True)
    if family is not None and family.sound:
        return replace(_of_sound(options, (folder, config), family), on_hub=on_hub)
    name, tokenizer = f"hf:{_short(options.path)}", folder / TOKENIZER
    if not tokenizer.is_file():
        raise BenchError(f"{name}: no {TOKENIZER} beside its {CONFIG}; save one with "
                         "`AutoTokenizer.from_pretrained(...).save_pretrained(...)`")
    told, most = facts_of(tokenizer, name), positions_of(config, family, name)
    if options.max_length > most and "max_length" in options.model_fields_set:
        raise BenchError(f"{name} takes {most} tokens at most, and `max_length` is {options.max_length}")
    if min(options.max_length, most) <= told.around:
        raise BenchError(f"{name}: its tokenizer puts {told.around} tokens around a text, and `max_length` is "
                         f"{min(options.max_length, most)}; nothing of a text would be left")
    if isinstance(config.get("vocab_size"), int) and told.size > config["vocab_size"]:
        raise BenchError(f"{name}: its tokenizer has {told.size:,} tokens, and its {CONFIG} a vocabulary of "
                         f"{config['vocab_size']:,}; they do not belong together")
    full = options.model_copy(update={
        "path": "", "config": config, "pooling": options.pooling or _pooling(folder, family, name),
        "max_length": min(options.max_length, most), "tokenizer": digest_of(tokenizer),
        "mask": told.mask, "separator": told.separator,
    })  # fmt: skip
    return Found(full.model_dump(mode="json", exclude={"path", "front"}), _short(options.path), _weights(folder),
                 {full.tokenizer: tokenizer}, on_hub)  # fmt: skip


def _of_sound(options: EncoderOptions, files: tuple[Path, dict[str, Any]], family: Family) -> Found:
    """`files`: their folder, and the configuration among them."""
    folder, config = files
    if "max_length" in options.model_fields_set:
        raise BenchError(f"hf:{_short(options.path)} takes sound, and `max_length` counts tokens of texts; the length "
                         "of clips is an option of their data set, `seconds`")
    front = front_of(family.sound, folder, f"hf:{_short(options.path)}")
    pooling = options.pooling or family.pooling
    full = options.model_copy(update={"path": "", "config": config, "pooling": pooling, "front": front})
    of_texts = {"path", "max_length", "tokenizer", "mask", "separator"}
    return Found(full.model_dump(mode="json", exclude=of_texts), _short(options.path), _weights(folder), {})


def _weights(folder: Path) -> Path | None:
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def takes(options: dict[str, Any]) -> TextPipeline | SoundPipeline:
    if options.get("front"):
        return pipeline_of(options["front"])
    return TextPipeline(options["tokenizer"], options["max_length"], options["mask"])


def _folder(path: str, beside: Path) -> tuple[Path, str]:
    """And its name on the hub, where the files are a copy of the hub's."""
    own = find_file(path, beside)
    folder = own if own is not None and own.is_dir() else hub.snapshot_of(path)
    if folder is None or not (folder / CONFIG).is_file():
        raise lacking(path, can_fetch=own is None)
    return folder, path if folder != own else ""


def lacking(path: str, can_fetch: bool) -> Missing:
    return Missing("weights", f"hf:{path}", "it is read from the hub's own cache, or from a folder of this name "
                   f"with {CONFIG}, {TOKENIZER} (of sound {FILE}) and {WEIGHTS[0]}", can_fetch=can_fetch)  # fmt: skip


def _short(path: str) -> str:
    return Path(path).name or path


def _config(folder: Path, path: str) -> dict[str, Any]:
    try:
        read = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind = str(read["model_type"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BenchError(f"hf:{_short(path)}: {CONFIG} is no configuration of the library transformers "
                         f"({type(error).__name__}: {error})") from error
    if "auto_map" in read and kind not in FAMILIES:
        raise BenchError(f"hf:{_short(path)}: a {kind!r} network needs code that comes with it, and none is run here")
    kept: dict[str, Any] = _telling(read)
    return kept


def _telling(value: Any) -> Any:
    """Without what is silent, in configurations within a configuration too."""
    if not isinstance(value, dict):
        return value
    return {name: _telling(one) for name, one in sorted(value.items()) if name not in SILENT}


def _pooling(folder: Path, family: Family | None, name: str) -> Pooling:
    """As networks for sentences say beside their weights, else as their family is used."""
    if not (folder / POOLING).is_file():
        return family.pooling if family is not None else "mean"
    try:
        told = json.loads((folder / POOLING).read_text(encoding="utf-8"))
        modes = [one.removeprefix(MODE) for one, is_on in told.items() if one.startswith(MODE) and is_on]
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise BenchError(f"{name}: {POOLING} does not say how texts are pooled ({type(error).__name__})") from error
    if len(modes) > 1 or not POOLED.keys() >= set(modes):
        raise BenchError(f"{name}: {POOLING} pools by {' and '.join(modes)}, which is not built here; choose with "
                         "`options: {pooling: ...}`: first, mean or last")
    return POOLED[modes[0]] if modes else "mean"


def build(num_classes: int, options: EncoderOptions) -> Any:
    from bench.backbones.encoder_net import TextEncoder
    from bench.backbones.sound_encoder_net import SoundEncoder

    return (SoundEncoder if options.front else TextEncoder)(num_classes, options)


def as_named_here(names: Iterable[str], options: EncoderOptions) -> dict[str, str]:
    """Names of a public checkpoint -> those of the network; what belongs to other heads is left out."""
    from bench.backbones.encoder_net import Encoder

    return Encoder.named_here(names, options)


BACKBONE = BackboneEntry(
    name="hf",
    summary="`hf:NAME` or `hf:FOLDER`: transformers' encoders of texts and of sound (extras `text`, `audio`)",
    facts=BackboneFacts(unit_names=(), has_batchnorm=False, modality="text", has_hub_weights=True),
    build=build,
    options=EncoderOptions,
    translate=as_named_here,
    found=found,
    takes=takes,
    libraries=("transformers",),
)
