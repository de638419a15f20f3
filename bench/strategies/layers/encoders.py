"""Adapters in encoders of the library transformers: peft's own layers, and bottlenecks in the places that papers name.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import BenchError, NotApplicable
from bench.strategies.layers.beside import Around, replace

Where = Literal["both", "mlp"]

# Queries and values of families that peft has no default for.
QUERY_AND_VALUE = {
    "camembert": ["query", "value"], "distilbert": ["q_lin", "v_lin"], "mpnet": ["attn.q", "attn.v"],
    "modernbert": ["Wqkv"], "wav2vec2": ["q_proj", "v_proj"], "hubert": ["q_proj", "v_proj"],
    "data2vec-audio": ["q_proj", "v_proj"], "whisper": ["q_proj", "v_proj"],
    "audio-spectrogram-transformer": ["q_proj", "v_proj"],
}  # fmt: skip
# What IA3 scales in families that peft has no default for: keys, values, and by its input the last one.
SCALED = {
    **dict.fromkeys(("electra", "xlm-roberta", "camembert"), ["key", "value", "output.dense"]),  # peft's of BERT
    "mpnet": ["attn.k", "attn.v", "output.dense"],
    "distilbert": ["k_lin", "v_lin", "ffn.lin2"],
    "modernbert": ["Wqkv", "mlp.Wo"],
    **dict.fromkeys(("wav2vec2", "hubert", "data2vec-audio"), ["k_proj", "v_proj", "output_dense"]),
    **dict.fromkeys(("whisper", "audio-spectrogram-transformer"), ["k_proj", "v_proj", "fc2"]),
}
READ = ("wavlm",)  # families whose attention reads its layers' weights: beside them peft's layers would do nothing
# What makes queries, keys and values, by the last part of its name.
ATTENTION = {
    *("query", "key", "value"), *("q", "k", "v"), *("q_proj", "k_proj", "v_proj"), *("q_lin", "k_lin", "v_lin"),
    *("query_proj", "key_proj", "value_proj"), "c_attn", "Wqkv", "query_key_value",
}


@dataclass(frozen=True)
class Places:
    """In one layer: what puts out attention's and the MLP's part of the sum, and the norm behind the second sum, unless
    a configuration puts norms before both."""

    attention: str
    mlp: str
    norm: str = ""


OF_BERT = Places("attention.output.dense", "output.dense", "output.LayerNorm")
OF_BART = Places("self_attn.out_proj", "fc2", "final_layer_norm")
OF_LLAMA = Places("self_attn.o_proj", "mlp.down_proj")
OF_WAVES = Places("attention.out_proj", "feed_forward.output_dense", "final_layer_norm")
PLACES = {
    **dict.fromkeys(("bert", "electra", "roberta", "xlm-roberta", "camembert", "deberta-v2"), OF_BERT),
    "mpnet": Places("attention.attn.o", "output.dense", "output.LayerNorm"),
    "distilbert": Places("attention.out_lin", "ffn.lin2", "output_layer_norm"),
    "modernbert": Places("attn.Wo", "mlp.Wo"),
    "gpt2": Places("attn.c_proj", "mlp.c_proj"),
    "gpt_neox": Places("attention.dense", "mlp.dense_4h_to_h"),
    "llama": OF_LLAMA, "qwen2": OF_LLAMA,
    "opt": OF_BART,
    "t5": Places("layer.0.SelfAttention.o", "layer.1.DenseReluDense"),
    "bart": OF_BART,
    **dict.fromkeys(("wav2vec2", "hubert", "wavlm", "data2vec-audio"), OF_WAVES),
    "whisper": Places("self_attn.out_proj", "fc2"),
    "audio-spectrogram-transformer": Places("attention.o_proj", "mlp.fc2"),
}  # fmt: skip


def encoder_of(module: nn.Module) -> Any:
    """The library's network inside one of texts or sound; None: another kind of network."""
    inner = getattr(module, "encoder", None)
    return inner if hasattr(getattr(inner, "config", None), "model_type") else None


def add_low_rank(encoder: Any, rank: int, alpha: float, targets: str, is_dora: bool) -> None:
    _is_called(encoder)
    peft = _peft(encoder)
    names = _low_rank_targets(encoder, targets)
    is_turned = any(type(encoder.get_submodule(name)).__name__ == "Conv1D" for name in names)
    config = peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=names, use_dora=is_dora, fan_in_fan_out=is_turned)
    _inject(config, encoder)


def add_factors(encoder: Any) -> None:
    """IA3 where peft puts it."""
    _is_called(encoder)
    peft = _peft(encoder)
    constants = _peft(encoder, "peft.utils.constants")
    kind = encoder.config.model_type
    known = constants.TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING
    if kind in known:
        scaled, inner = known[kind], constants.TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING[kind]
    elif kind in SCALED:
        scaled, inner = SCALED[kind], SCALED[kind][-1:]
    else:
        raise NotApplicable(f"which layers of a {kind!r} network IA3 scales is not known")
    is_turned = any(type(layer).__name__ == "Conv1D" for layer in encoder.modules())
    _inject(peft.IA3Config(target_modules=scaled, feedforward_modules=inner, fan_in_fan_out=is_turned), encoder)


def add_bottlenecks(module: nn.Module, width: int, where: Where) -> None:
    """`both`: behind what attention and MLP put out, as Houlsby et al. `mlp`: once in each layer, as Pfeiffer et al."""
    encoder = encoder_of(module)
    if encoder.config.model_type not in PLACES:
        raise NotApplicable(f"where attention and MLP of a {encoder.config.model_type!r} network end is not known")
    places = PLACES[encoder.config.model_type]
    is_behind = bool(places.norm) and not _is_before(encoder.config)
    for layer in _layers(module):
        if where == "mlp" and is_behind:
            replace(layer, places.norm, AroundNorm(layer.get_submodule(places.norm), width))
            continue
        for name in (places.attention, places.mlp) if where == "both" else (places.mlp,):
            replace(layer, name, Behind(layer.get_submodule(name), width))


class Added(Around):
    """Holds a bottleneck whose upper layer begins at 0, so that a network starts as it was."""

    def __init__(self, inner: nn.Module, width: int) -> None:
        super().__init__()
        self.inner, dim = inner, _num_outputs(inner)
        self.down, self.up = nn.Linear(dim, width), nn.Linear(width, dim)
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def more(self, y: Tensor) -> Tensor:
        found: Tensor = self.up(F.relu(self.down(y)))
        return found


class Behind(Added):
    """y + up(relu(down(y))), y being what the layer puts out."""

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        return y + self.more(y)


class AroundNorm(Added):
    """norm(x + up(relu(down(norm(x))))), x being the sum that the norm is of."""

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x + self.more(self.inner(x)))
        return y


def _is_before(config: Any) -> bool:
    """Whether norms stand before attention and MLP, in families that have both forms: OPT, and all of waves."""
    return any(getattr(config, name, False) for name in ("do_layer_norm_before", "do_stable_layer_norm"))


def _is_called(encoder: Any) -> None:
    if encoder.config.model_type in READ:
        raise NotApplicable("this network reads the weights of a layer instead of calling it")


def _peft(encoder: Any, name: str = "peft") -> Any:
    try:
        return import_module(name)
    except ImportError:
        extra = "text" if encoder.main_input_name == "input_ids" else "audio"
        problem = f"adapters of encoders need the library peft: pip install 'transfer-bench[{extra}]'"
        raise BenchError(problem) from None


def _inject(config: Any, encoder: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _peft(encoder).inject_adapter_in_model(config, encoder)


def _low_rank_targets(encoder: Any, targets: str) -> list[str]:
    constants = _peft(encoder, "peft.utils.constants")
    kind = encoder.config.model_type
    linear = [name for name, layer in encoder.named_modules() if _is_linear(layer)]
    if targets == "all":
        return linear
    if targets == "attention":
        found = [name for name in linear if name.rpartition(".")[2] in ATTENTION]
        if not found:
            raise NotApplicable(f"which layers of a {kind!r} network make queries, keys and values is not known; "
                                "`targets: all` adapts every linear layer")
        return found
    known: Sequence[str] | None = constants.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.get(kind)
    chosen = QUERY_AND_VALUE.get(kind) or known
    if not chosen:
        raise NotApplicable(f"peft does not say which layers of a {kind!r} network LoRA adapts; say `targets: "
                            "attention` or `targets: all`")
    return [name for name in linear if any(name.endswith(f".{one}") for one in chosen)]


def _is_linear(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or type(layer).__name__ == "Conv1D"


def _num_outputs(layer: nn.Module) -> int:
    if isinstance(layer, nn.LayerNorm):
        return layer.normalized_shape[-1]
    last: Any = [one for one in layer.modules() if _is_linear(one)][-1]
    return int(last.out_features if isinstance(last, nn.Linear) else last.nf)


def _layers(module: Any) -> list[nn.Module]:
    return list(module.encoder.get_submodule(module.family.layers))
