"""`hf:NAME` and `hf:FOLDER`: encoders of the library transformers, by their configuration and weights. No torch here:
`encoder_net.py` builds the network.

A network is named by what is in its files, never by where they lie: its configuration stands in its options, its
tokenizer and its weights are named by digest. No code comes with it: what the library does not know itself is refused.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.backbones import hub
from bench.backbones.base import BackboneEntry, BackboneFacts, Found
from bench.backbones.encoder_families import FAMILIES, EncoderOptions, Family, Pooling, positions_of
from bench.backbones.sound_fronts import FILE, front_of, pipeline_of
from bench.errors import BenchError, Missing
from bench.places import find_file
from bench.spec.refs import SoundPipeline, TextPipeline

PREFIX = "hf:"
CONFIG, TOKENIZER, POOLING = "config.json", "tokenizer.json", "1_Pooling/config.json"
READ = (CONFIG, TOKENIZER, POOLING, FILE)
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# Of a configuration, what says nothing of the network's numbers.
SILENT = {"_name_or_path", "architectures", "transformers_version", "torch_dtype", "dtype", "id2label", "label2id",
          "use_cache", "gradient_checkpointing", "auto_map", "finetuning_task", "problem_type"}  # fmt: skip
MASKS = ("[MASK]", "<mask>")  # of BERT and its like, of RoBERTa and its like


def found(options: EncoderOptions, beside: Path, digest_of: Any) -> Found:
    """What its files tell. Raises Missing, and BenchError where they cannot be used."""
    folder = _folder(options.path, beside)
    config = _config(folder, options.path)
    family = FAMILIES.get(config["model_type"])
    if family is not None and family.sound:
        return _of_sound(options, (folder, config), family)
    tokenizer = folder / TOKENIZER
    if not tokenizer.is_file():
        raise BenchError(f"hf:{_short(options.path)}: no {TOKENIZER} beside its {CONFIG}; save one with "
                         "`AutoTokenizer.from_pretrained(...).save_pretrained(...)`")
    most = positions_of(config, family)
    if options.max_length > most and "max_length" in options.model_fields_set:
        raise BenchError(f"hf:{_short(options.path)} takes {most} tokens at most, and `max_length` is "
                         f"{options.max_length}")
    full = options.model_copy(update={
        "path": "", "config": config, "pooling": options.pooling or _pooling(folder, family),
        "max_length": min(options.max_length, most), "tokenizer": digest_of(tokenizer),
        "mask": _mask(tokenizer),
    })  # fmt: skip
    return Found(full.model_dump(mode="json", exclude={"path", "front"}), _short(options.path), _weights(folder),
                 {full.tokenizer: tokenizer})  # fmt: skip


def _of_sound(options: EncoderOptions, files: tuple[Path, dict[str, Any]], family: Family) -> Found:
    """`files`: their folder, and the configuration among them."""
    folder, config = files
    if "max_length" in options.model_fields_set:
        raise BenchError(f"hf:{_short(options.path)} takes sound, and `max_length` counts tokens of texts; the length "
                         "of clips is an option of their data set, `seconds`")
    front = front_of(family.sound, folder, f"hf:{_short(options.path)}")
    pooling = options.pooling or family.pooling
    full = options.model_copy(update={"path": "", "config": config, "pooling": pooling, "front": front})
    of_texts = {"path", "max_length", "tokenizer", "mask"}
    return Found(full.model_dump(mode="json", exclude=of_texts), _short(options.path), _weights(folder), {})


def _weights(folder: Path) -> Path | None:
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def takes(options: dict[str, Any]) -> TextPipeline | SoundPipeline:
    if options.get("front"):
        return pipeline_of(options["front"])
    return TextPipeline(options["tokenizer"], options["max_length"], options["mask"])


def _folder(path: str, beside: Path) -> Path:
    own = find_file(path, beside)
    folder = own if own is not None and own.is_dir() else hub.snapshot_of(path)
    if folder is None or not (folder / CONFIG).is_file():
        raise Missing("weights", f"hf:{path}", "it is read from the hub's own cache, or from a folder of this name "
                      f"with {CONFIG}, {TOKENIZER} (of sound {FILE}) and {WEIGHTS[0]}", can_fetch=own is None)
    return folder


def _short(path: str) -> str:
    return Path(path).name or path


def _config(folder: Path, path: str) -> dict[str, Any]:
    try:
        read = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind = str(read["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"hf:{_short(path)}: {CONFIG} is no configuration of the library transformers "
                         f"({type(error).__name__}: {error})") from error
    if "auto_map" in read and kind not in FAMILIES:
        raise BenchError(f"hf:{_short(path)}: a {kind!r} network needs code that comes with it, and none is run here")
    return {name: value for name, value in sorted(read.items()) if name not in SILENT}


def _mask(tokenizer: Path) -> int | None:
    """The number of its mask token; None: it has none."""
    try:
        read = json.loads(tokenizer.read_text(encoding="utf-8"))
        own = read["model"]["vocab"]  # a list of pairs in some
        added = {one["content"]: one["id"] for one in read["added_tokens"]}
        known = {**(own if isinstance(own, dict) else {}), **added}
        return next((int(known[name]) for name in MASKS if name in known), None)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # the library says what is wrong with it


def _pooling(folder: Path, family: Family | None) -> Pooling:
    """As networks for sentences say beside their weights, else as their family is used."""
    try:
        told = json.loads((folder / POOLING).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return family.pooling if family is not None else "mean"
    return "first" if told.get("pooling_mode_cls_token") else "last" if told.get("pooling_mode_lasttoken") else "mean"


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
)
