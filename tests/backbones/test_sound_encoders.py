"""Encoders of sound, held against the library that they come from: what they see, what they say, and their files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.backbones.encoder_families import FAMILIES, EncoderOptions
from bench.backbones.encoders import BACKBONE, found
from bench.backbones.sound_fronts import front_of
from bench.errors import BenchError
from bench.modalities.clips import fitted
from bench.modalities.waves import SoundHandling
from bench.network.build import build_network, load_pretrained, read_state
from bench.network.capture import in_eval_mode, watched
from bench.network.units import cut_into_units
from bench.spec.refs import BackboneRef, Weights

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
WAVES = {**SIZES, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
CONFIGS = {
    "wav2vec2": WAVES,
    "wav2vec2, stable": {**WAVES, "do_stable_layer_norm": True, "feat_extract_norm": "layer"},
    "hubert": WAVES,
    "wavlm": WAVES,
    "data2vec-audio": {**WAVES, "num_conv_pos_embeddings": 2},
    "whisper": {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 24,
                "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 24, "vocab_size": 20,
                "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
                "num_mel_bins": 20, "max_source_positions": 50},
    "audio-spectrogram-transformer": {**SIZES, "max_length": 64, "num_mel_bins": 32},
}  # fmt: skip
FRONTS = {
    "whisper": {"feature_size": 20, "chunk_length": 1, "n_fft": 400, "hop_length": 160, "sampling_rate": 16000},
    "audio-spectrogram-transformer": {"num_mel_bins": 32, "max_length": 64, "sampling_rate": 16000, "mean": -4.0,
                                      "std": 4.5},
}  # fmt: skip
WAVE_FRONT = {"do_normalize": True, "sampling_rate": 16000, "feature_size": 1}


def model_of(name):
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    config = AutoConfig.for_model(name.partition(",")[0], **CONFIGS[name])
    return AutoModel.from_config(config).eval()


@pytest.fixture
def saved(tmp_path):
    """A folder as people save one, by a family's name."""

    def save(name):
        folder = tmp_path / name
        model = model_of(name)
        model.save_pretrained(folder)
        (folder / "preprocessor_config.json").write_text(json.dumps(FRONTS.get(name.partition(",")[0], WAVE_FRONT)))
        return folder, model

    return save


def network_of(folder):
    """With the weights that lie beside its configuration, and its pipeline."""
    told = found(EncoderOptions(path=str(folder)), folder.parent, lambda path: "digest")
    ref = BackboneRef("hf", told.options, "coarse", Weights("file", "x"))
    network = build_network(ref, 3, 1)
    state = read_state(ref, told.weights)
    loaded = load_pretrained(network, state, network.num_units)
    return network, BACKBONE.takes(told.options), loaded


def clips(samples=16000):
    draw = np.random.default_rng(0)
    time = np.arange(samples) / 16000
    wave = [np.sin(2 * np.pi * hertz * time) * 0.3 + 0.02 * draw.normal(size=samples) for hertz in (300, 800, 2500)]
    return np.round(np.array(wave) * 32767).astype(np.int16)


def seen(pipeline, wave):
    """What the network gets of clips."""
    import dataclasses

    pipeline = dataclasses.replace(pipeline, samples=pipeline.samples or wave.shape[1])
    handling = SoundHandling()
    columns = {"wave": wave, "rate": np.full(len(wave), 16000, np.int32)}
    return handling.inputs([(handling.prepared(columns, pipeline, {}),)], pipeline)


def extractor_of(name):
    import transformers

    kind = name.partition(",")[0]
    cls = {"whisper": "WhisperFeatureExtractor", "audio-spectrogram-transformer": "ASTFeatureExtractor"}
    return getattr(transformers, cls.get(kind, "Wav2Vec2FeatureExtractor"))(**FRONTS.get(kind, WAVE_FRONT))


@pytest.mark.parametrize(("name", "samples"), [
    ("wav2vec2", 16000), ("wav2vec2", 8000), ("whisper", 16000), ("audio-spectrogram-transformer", 16000),
    ("audio-spectrogram-transformer", 8000),
])
def test_inputs_are_those_of_the_library_s_own_extractor(saved, name, samples):
    """Of Whisper full clips alone: shorter ones stand in the middle of silence here, at its beginning there."""
    _, pipeline, _ = network_of(saved(name)[0])
    wave = clips(samples)
    scaled = [one.astype(np.float32) / 32768 for one in wave]
    theirs = extractor_of(name)(scaled, sampling_rate=16000, return_tensors="np")
    expected = theirs["input_features"].transpose(0, 2, 1) if name == "whisper" else theirs["input_values"]
    ours = seen(pipeline, wave).numpy()
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_are_the_head_s_of_the_library_s_mean_hidden_state(saved, name):
    folder, model = saved(name)
    network, pipeline, _ = network_of(folder)
    x = seen(pipeline, clips())
    encoder = model.get_encoder() if name == "whisper" else model
    with torch.no_grad():
        hidden = encoder(x.transpose(1, 2) if name == "whisper" else x).last_hidden_state
        row = hidden[:, :2].mean(1) if name == "audio-spectrogram-transformer" else hidden.mean(1)
        module = network.module.eval()
        torch.testing.assert_close(module(x), module.head(row))
    assert network.unit_names == ("stem", "layer.0", "layer.1", "head")


def test_the_transformer_of_spectrograms_says_what_its_own_pooler_gets(saved):
    folder, model = saved("audio-spectrogram-transformer")
    network, pipeline, _ = network_of(folder)
    x = seen(pipeline, clips())
    with torch.no_grad():
        torch.testing.assert_close(network.module.eval()(x), network.module.head(model(x).pooler_output))


@pytest.mark.parametrize("name", CONFIGS)
def test_units_follow_the_forward_order_and_no_weight_is_left(saved, name):
    """What stands behind the layers goes with the last one: a norm here, nothing there."""
    network, _, loaded = network_of(saved(name)[0])
    last = [one for one in network.parameters[-2] if ".layers.1." not in one]
    norm = {"wav2vec2, stable": "encoder.encoder.layer_norm.weight", "whisper": "encoder.layer_norm.weight",
            "audio-spectrogram-transformer": "encoder.layernorm.weight"}.get(name)  # fmt: skip
    assert last[:1] == ([norm] if norm else [])
    body = {one for unit in network.parameters[:-1] for one in unit}
    assert body
    assert not any("masked_spec_embed" in one or "embed_positions" in one for one in body)
    fresh = build_network(BackboneRef("hf", BACKBONE.options(config=config_of(name), front={"mel": None}).model_dump(),
                                      "coarse", Weights("random")), 3, 1)  # fmt: skip
    assert {one for unit in fresh.parameters[:-1] for one in unit} == body


def config_of(name):
    return {"model_type": name.partition(",")[0], **CONFIGS[name]}


def test_in_training_nothing_changes_at_random_but_dropout(saved):
    folder, _ = saved("wav2vec2")
    network, pipeline, _ = network_of(folder)
    x = seen(pipeline, clips())
    for module in network.module.train().modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "config"):
            module.config.attention_dropout = 0.0
        for name in ("dropout", "attention_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    with torch.no_grad():
        torch.testing.assert_close(network.module(x), network.module(x))
        whole = network.module(x)
        torch.testing.assert_close(whole, network.module.eval()(x))


@pytest.mark.parametrize(("kind", "told", "problem"), [
    ("whisper", {"hop_length": 0}, r"hop_length: expected a whole number in 1 \.\. 65536, got 0"),
    ("whisper", {"feature_size": 10**9}, r"feature_size: expected a whole number in 1 \.\. 1024"),
    ("whisper", {"sampling_rate": "fast"}, "sampling_rate: .* got 'fast'"),
    ("spectrogram", {"std": 0}, "std: expected a finite number above 0, got 0"),
    ("spectrogram", {"mean": None}, "mean: expected a finite number, got None"),
    ("wave", {"sampling_rate": 10**12}, r"sampling_rate: expected a whole number in 1 \.\. 384000"),
    ("wave", [], "no preprocessor_config.json of a feature extractor"),
])  # fmt: skip
def test_numbers_that_no_clip_can_be_brought_to_are_refused(tmp_path, kind, told, problem):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    with pytest.raises(BenchError, match=f"^hf:net: .*{problem}"):
        front_of(kind, tmp_path, "hf:net")


def test_the_whole_of_whisper_gives_its_encoder(saved):
    """As torch saves it, the decoder's tensors behind the encoder's."""
    folder, model = saved("whisper")
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    network, pipeline, loaded = network_of(folder)
    assert any(name.startswith("head.decoder.layers") for name in loaded.dropped)
    x = seen(pipeline, clips())
    with torch.no_grad():
        hidden = model.get_encoder()(x.transpose(1, 2)).last_hidden_state
        torch.testing.assert_close(network.module.eval()(x), network.module.head(hidden.mean(1)))


def test_checkpoints_of_older_libraries_load(tmp_path, saved):
    """Weight norm by its old names; and names of layers as the published spectrogram transformers have them."""
    folder, model = saved("wav2vec2")
    state = {f"wav2vec2.{name}".replace("parametrizations.weight.original0", "weight_g")
             .replace("parametrizations.weight.original1", "weight_v"): tensor.clone()
             for name, tensor in model.state_dict().items()}  # fmt: skip
    assert any(name.endswith("weight_g") for name in state)
    save_file(state, folder / "model.safetensors")
    network, pipeline, _ = network_of(folder)
    x = seen(pipeline, clips())
    with torch.no_grad():
        expected = network.module.head(model(x).last_hidden_state.mean(1))
        torch.testing.assert_close(network.module.eval()(x), expected)


def test_the_published_names_of_the_spectrogram_transformer(saved):
    folder, model = saved("audio-spectrogram-transformer")
    pairs = (("layers.", "encoder.layer."), ("attention.q_proj", "attention.attention.query"),
             ("attention.k_proj", "attention.attention.key"), ("attention.v_proj", "attention.attention.value"),
             ("attention.o_proj", "attention.output.dense"), ("mlp.fc1", "intermediate.dense"),
             ("mlp.fc2", "output.dense"))  # fmt: skip
    state = {}
    for name, tensor in model.state_dict().items():
        for new, old in pairs:
            name = name.replace(new, old)
        state[f"audio_spectrogram_transformer.{name}"] = tensor.clone()
    save_file(state, folder / "model.safetensors")
    network, pipeline, _ = network_of(folder)
    x = seen(pipeline, clips())
    with torch.no_grad():
        torch.testing.assert_close(network.module.eval()(x), network.module.head(model(x).pooler_output))


def test_a_folder_without_its_extractor_and_options_of_texts_are_told_in_one_line(saved):
    folder, _ = saved("wav2vec2")
    with pytest.raises(BenchError, match=r"^hf:wav2vec2 takes sound, and `max_length` counts tokens of texts"):
        found(EncoderOptions(path=str(folder), max_length=12), folder.parent, lambda path: "digest")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(BenchError, match=r"^hf:wav2vec2: no preprocessor_config\.json of a feature extractor"):
        found(EncoderOptions(path=str(folder)), folder.parent, lambda path: "digest")


def test_a_family_is_one_line(monkeypatch, saved):
    """A network that is a family's kin under another name."""
    monkeypatch.setitem(FAMILIES, "unispeech", FAMILIES["wav2vec2"])
    monkeypatch.setitem(CONFIGS, "unispeech", WAVES)
    network, pipeline, _ = network_of(saved("unispeech")[0])
    assert cut_into_units(network.module, coarse=True).num_units == 4
    assert network.module.eval()(seen(pipeline, clips())).shape == (3, 3)


@pytest.mark.parametrize("name", CONFIGS)
def test_units_put_out_what_the_library_calls_hidden_states(saved, name):
    folder, model = saved(name)
    network, pipeline, _ = network_of(folder)
    x = seen(pipeline, clips())
    encoder = model.get_encoder() if name == "whisper" else model
    with torch.no_grad(), in_eval_mode(network.module), watched(network, units=True) as units:
        network.module(x)
        given = x.transpose(1, 2) if name == "whisper" else x
        said = encoder(given, output_hidden_states=True)
    assert sorted(units.units) == [0, 1, 2]
    # In some networks the library's list ends before the last norm.
    for unit, state in enumerate((*said.hidden_states[:-1], said.last_hidden_state)):
        torch.testing.assert_close(units.units[unit], state)


def test_a_short_clip_is_normalised_without_the_silence_around_it(saved):
    _, pipeline, _ = network_of(saved("wav2vec2")[0])
    wave = clips(7001)[0] // 2 + 900
    theirs = extractor_of("wav2vec2")(wave.astype(np.float32) / 32768, sampling_rate=16000, return_tensors="np")
    ours = seen(replace(pipeline, samples=16000), fitted(wave, 16000)[None])[0].numpy()
    np.testing.assert_allclose(ours[4499:11500], theirs["input_values"][0], atol=2e-3, rtol=2e-3)
    assert not ours[:4499].any()
    assert not ours[11500:].any()
