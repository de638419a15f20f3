"""Text for tests that train: a small tokenizer, a data set of sentences, encoders drawn from a configuration."""

import json

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from bench.backbones import encoders
from bench.backbones.encoder_families import EncoderOptions
from bench.datasets import DATASETS
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts
from bench.datasets.files import digests_of
from bench.datasets.pictures import Packed
from bench.datasets.texts import decode, joined
from bench.modalities.tokens import TextHandling
from bench.spec.refs import BackboneRef, DataRef, Weights
from tests.engine import toys

WORDS = [f"w{number}" for number in range(40)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CLASSES = 3
SMALL = {"vocab_size": 45, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
         "max_position_embeddings": 64, "pad_token_id": 0}  # fmt: skip
CONFIGS = {
    "bert": SMALL,
    "roberta": {**SMALL, "bos_token_id": 2, "eos_token_id": 3},
    "electra": {**SMALL, "embedding_size": 8},
    "distilbert": {"vocab_size": 45, "dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32, "pad_token_id": 0,
                   "max_position_embeddings": 64},
    "modernbert": {**SMALL, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3},
    "mpnet": {**SMALL, "bos_token_id": 2, "eos_token_id": 3},
    "deberta-v2": SMALL,
    "gpt2": {"vocab_size": 45, "n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 64, "bos_token_id": 2,
             "eos_token_id": 3},
    "opt": {"vocab_size": 45, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "ffn_dim": 32,
            "max_position_embeddings": 64, "word_embed_proj_dim": 16, "pad_token_id": 1, "bos_token_id": 2,
            "eos_token_id": 3},
    "llama": {**SMALL, "bos_token_id": 2, "eos_token_id": 3},
    "t5": {"vocab_size": 45, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 3, "num_heads": 2},
    "bart": {"vocab_size": 45, "d_model": 16, "encoder_layers": 3, "decoder_layers": 1, "encoder_attention_heads": 2,
             "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 64,
             "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3},
}  # fmt: skip


def tokenizer_file(folder):
    """A word a token; [CLS] before a text and [SEP] behind each."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(SPECIAL + WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def encoder_folder(folder, kind="bert", **changes):
    """As a hub would give it, without weights."""
    tokenizer_file(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": kind, **CONFIGS[kind], **changes}))
    return folder


def encoder(folder, kind="bert", options=None, **changes):
    """Reference and pipeline of an encoder, and the files that a context needs."""
    encoder_folder(folder, kind, **changes)
    asked = EncoderOptions(path=str(folder), **(options or {}))
    found = encoders.found(asked, folder, lambda path: digests_of([path])[0])
    ref = BackboneRef("hf", found.options, "coarse", Weights("random"))
    return ref, encoders.takes(found.options), found.files


def sentences(num, seed):
    """Which word stands first decides, and nothing else: 2 to 11 words."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, CLASSES, num)
    texts = [" ".join([WORDS[label], *draw.choice(WORDS[CLASSES:], draw.integers(1, 11))]) for label in labels]
    return texts, labels.astype(np.int64)


def split(num, seed):
    texts, labels = sentences(num, seed)
    kept = [Packed(str(place), lambda text=text: joined(text)) for place, text in enumerate(texts)]
    return decode(kept, max(len(text) for text in texts)).split(labels)


def rows(pipeline, files, num=8, seed=3):
    """Tokens int64 [num, L] of texts of different lengths."""
    return TextHandling().prepared(split(num, seed).columns, pipeline, files).long()


FACTS = DatasetFacts(CLASSES, 50, 48, 70, 10, "sentences-0", modality="text")
DATA = DataRef("toy_texts", {}, "sentences-0", CLASSES)


def put_in_place(monkeypatch):
    """The data set `toy_texts` exists."""
    load = lambda options: Dataset(("a", "b", "c"), split(48, 0), split(70, 1))  # noqa: E731
    entry = DatasetEntry("toy_texts", "sentences", lambda options: FACTS, load, modality="text")
    monkeypatch.setitem(DATASETS, "toy_texts", entry)


def fit_spec(ref, pipeline, strategy="full_finetune", num_units=5, options=None, **fields):
    recipe = toys.recipe(strategy, num_units, **(options or {}))
    given = {"data": DATA, "backbone": ref, "pipeline": pipeline, "recipe": recipe, **fields}
    return toys.fit_spec(**given)
