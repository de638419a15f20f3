"""`hf:`: what a folder or the hub's cache tells of an encoder, before it is built, and its weights under any name."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from bench import backbones
from bench.backbones import encoders
from bench.backbones.base import Found
from bench.backbones.encoder_families import FAMILIES, EncoderOptions
from bench.backbones.tokenizer_files import TokenizerFacts, facts_of
from bench.datasets.files import digests_of
from bench.errors import BenchError, Missing, NotApplicable
from bench.modalities.tokens import tokenized
from bench.network.build import build_network, load_pretrained, read_state
from bench.network.capture import in_eval_mode, watched
from bench.network.weights import WeightsError
from bench.planning import weights
from bench.spec.refs import BackboneRef, Weights
from tests.engine import words


def sha256(path):
    return digests_of([path])[0]


def look(folder, **options):
    return encoders.found(EncoderOptions(path=str(folder), **options), folder, sha256)


def test_a_folder_tells_all_that_is_in_the_key_and_no_place(tmp_path):
    folder = words.encoder_folder(tmp_path / "net", transformers_version="5.1", architectures=["BertModel"])
    found = look(folder)
    told = found.options
    assert told["config"] == {"model_type": "bert", **words.CONFIGS["bert"]}
    assert (told["pooling"], told["max_length"]) == ("first", 64), "as many tokens as it has positions"
    assert told["tokenizer"] == sha256(folder / "tokenizer.json")
    assert found.files == {told["tokenizer"]: folder / "tokenizer.json"}
    assert (found.short, found.weights) == ("net", None)
    assert str(tmp_path) not in json.dumps(told)
    moved = tmp_path / "moved"
    folder.rename(moved)
    assert look(moved).options == told


def test_networks_for_sentences_say_how_they_are_pooled(tmp_path):
    folder = words.encoder_folder(tmp_path / "net")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    assert look(folder).options["pooling"] == "mean"
    assert look(folder, pooling="last").options["pooling"] == "last"
    for modes, pooling in ((["cls_token"], "first"), (["lasttoken"], "last"), ([], "mean")):
        says_pooling(folder, *modes)
        assert look(folder).options["pooling"] == pooling


@pytest.mark.parametrize("modes", [["max_tokens"], ["weightedmean_tokens"], ["cls_token", "mean_tokens"]])
def test_a_way_of_pooling_that_is_not_built_is_never_replaced_by_another(tmp_path, modes):
    folder = words.encoder_folder(tmp_path / "net")
    (folder / "1_Pooling").mkdir()
    says_pooling(folder, *modes)
    with pytest.raises(BenchError, match=f"pools by {' and '.join(modes)}, which is not built here; choose with"):
        look(folder)
    assert look(folder, pooling="mean").options["pooling"] == "mean"


def says_pooling(folder, *modes):
    every = ("cls_token", "mean_tokens", "max_tokens", "weightedmean_tokens", "lasttoken")
    told = {"word_embedding_dimension": 16, **{f"pooling_mode_{one}": one in modes for one in every}}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(told))


def test_the_hubs_cache_is_read(tmp_path, monkeypatch):
    home = tmp_path / "hub" / "models--some--net"
    words.encoder_folder(home / "snapshots" / "abc")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("abc")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert encoders.found(EncoderOptions(path="some/net"), tmp_path, sha256).short == "net"
    (home / "snapshots" / "abc" / "tokenizer.json").unlink()  # another program asked for a part
    with pytest.raises(Missing, match="some/net") as half:
        encoders.found(EncoderOptions(path="some/net"), tmp_path, sha256)
    assert half.value.can_fetch
    with pytest.raises(Missing, match="some/other"):
        encoders.found(EncoderOptions(path="some/other"), tmp_path, sha256)


@pytest.mark.parametrize(("spoil", "told"), [
    (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer.json beside its config.json"),
    (lambda folder: (folder / "tokenizer.json").write_text("[]"), "tokenizer.json is no file of the library"),
    (lambda folder: words.encoder_folder(folder, max_position_embeddings=None),
     "max_position_embeddings: expected a whole number above 0, got None"),
    (lambda folder: words.encoder_folder(folder, max_position_embeddings="many"), "above 0, got 'many'"),
    (lambda folder: words.encoder_folder(folder, vocab_size=44), "tokenizer has 45 tokens, .* a vocabulary of 44"),
    (lambda folder: words.encoder_folder(folder, max_position_embeddings=2), "puts 2 tokens around a text"),
    (lambda folder: ((folder / "1_Pooling").mkdir(), (folder / "1_Pooling" / "config.json").write_text("[]")),
     "1_Pooling/config.json does not say how texts are pooled"),
    (lambda folder: (folder / "config.json").write_text("{"), "config.json is no configuration"),
    (lambda folder: (folder / "config.json").write_text("[]"), "config.json is no configuration"),
    (lambda folder: (folder / "config.json").write_text('{"model_type": "odd", "auto_map": {}}'), "none is run here"),
])  # fmt: skip
def test_what_cannot_be_used_is_said(tmp_path, spoil, told):
    folder = words.encoder_folder(tmp_path / "net")
    spoil(folder)
    with pytest.raises(BenchError, match=told):
        look(folder)


def test_more_tokens_than_it_has_positions_are_refused(tmp_path):
    folder = words.encoder_folder(tmp_path / "net", "roberta")
    assert look(folder).options["max_length"] == 62, "RoBERTa's table begins with two that no token takes"
    with pytest.raises(BenchError, match="net takes 62 tokens at most, and `max_length` is 63"):
        look(folder, max_length=63)


def test_a_suite_that_leaves_no_token_of_a_text_is_refused(tmp_path):
    folder = words.encoder_folder(tmp_path / "net")
    assert look(folder, max_length=3).options["max_length"] == 3
    with pytest.raises(BenchError, match="`max_length` is 2; nothing of a text would be left"):
        look(folder, max_length=2)


def test_a_half_copy_of_the_hubs_can_be_fetched_where_its_weights_are_wanted():
    half = Found({}, "net", None, {}, on_hub="some/net")
    spec = SimpleNamespace(name="hf:some/net", weights=None)
    problems = SimpleNamespace(kept=SimpleNamespace(weights={}))
    with pytest.raises(Missing, match="weights hf:some/net is not on this machine") as told:
        weights.weights_of(half, spec, problems)
    assert told.value.can_fetch
    with pytest.raises(BenchError, match="no weights in one file") as told:
        weights.weights_of(replace(half, on_hub=""), spec, problems)
    assert not isinstance(told.value, Missing)


@pytest.mark.parametrize("kind", ["bert", "electra", "roberta"])
def test_the_second_text_of_a_pair_has_the_type_that_the_library_gives_it(tmp_path, double, kind):
    """Of those that were trained with types; RoBERTa's has none."""
    from tokenizers import Tokenizer, processors
    from transformers import PreTrainedTokenizerFast

    folder = words.encoder_folder(tmp_path / "net", kind)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    told = look(folder)
    assert told.options["separator"] == 3
    texts = [("w1 w2", "w3"), ("w1", "w4 w5 w6"), ("w7 w8 w9",)]
    numbers = tokenized(texts, encoders.takes(told.options), told.files)
    rows = torch.zeros(3, 8, dtype=torch.int64)
    for row, one in zip(rows, numbers, strict=True):
        row[: len(one)] = torch.tensor(list(one)) + 1
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]")
    cut = [theirs(*pair, return_token_type_ids=True) for pair in texts]
    module = build_network(BackboneRef("hf", told.options, "coarse", Weights("random")), 3, 0).module.eval()
    for row, one in zip(rows, cut, strict=True):
        types = torch.tensor([one["token_type_ids"]]) if kind != "roberta" else None
        given = {"input_ids": torch.tensor([one["input_ids"]]), "attention_mask": torch.tensor([one["attention_mask"]])}
        with torch.no_grad():
            wanted = module.encoder(**given, token_type_ids=types).last_hidden_state
            ours = module.hidden(rows)[(rows == row).all(1)][:, : wanted.shape[1]]
        torch.testing.assert_close(ours, wanted)
    assert [one["token_type_ids"] for one in cut][0] == [0, 0, 0, 0, 1, 1], "of [CLS] w1 w2 [SEP] w3 [SEP]"


@pytest.mark.parametrize(("told", "separator", "around"), [
    (None, None, 0),
    ({"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}, 3, 2),
    ({"type": "RobertaProcessing", "sep": ["</s>", 3], "cls": ["<s>", 2]}, None, 2),
    ({"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "BertProcessing", "sep": ["s", 3]}]}, 3, 2),
])  # fmt: skip
def test_a_tokenizer_tells_what_it_puts_around_texts(tmp_path, told, separator, around):
    path = words.tokenizer_file(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "post_processor": told}))
    assert facts_of(path, "net") == TokenizerFacts(45, 4, separator, around)


def test_a_network_that_no_family_names_is_divided_by_its_longest_list(tmp_path, monkeypatch):
    monkeypatch.delitem(FAMILIES, "electra")
    ref, _, _ = words.encoder(tmp_path / "net", "electra")
    network = build_network(ref, 3, 0)
    assert network.unit_names == ("stem", "layer.0", "layer.1", "layer.2", "head")
    assert all(name.startswith("encoder.encoder.layer.1.") for name in network.parameters[2])


@pytest.mark.parametrize("kind", words.CONFIGS)
def test_units(tmp_path, kind):
    """Tables of tokens and positions first, what follows the layers with the last one."""
    ref, _, _ = words.encoder(tmp_path / "net", kind)
    network = build_network(ref, 3, 0)
    assert network.unit_names == ("stem", "layer.0", "layer.1", "layer.2", "head")
    stem, last, head = network.parameters[0], network.parameters[3], network.parameters[4]
    assert {module.num_embeddings for module in network.module.modules() if isinstance(module, torch.nn.Embedding)
            and any(module.weight is p for p in stem.values())} >= {45}  # fmt: skip
    assert set(head) == {"head.weight", "head.bias"}
    behind = {"gpt2": "ln_f", "llama": "norm", "t5": "final_layer_norm", "modernbert": "final_norm",
              "opt": "decoder.final_layer_norm"}  # fmt: skip
    if kind == "bart":  # defined behind the layers, applied before them
        assert any("layernorm_embedding" in name for name in stem)
        assert not any("layernorm_embedding" in name for name in last)
    if kind in behind:
        assert any(f"encoder.{behind[kind]}." in name for name in last)
        assert not any(f"encoder.{behind[kind]}." in name for name in stem)


@pytest.mark.parametrize(("kind", "prefix", "more"), [
    ("bert", "", ["pooler.dense.weight"]),
    ("bert", "bert.", ["cls.predictions.bias", "cls.predictions.decoder.weight"]),
    ("roberta", "roberta.", ["lm_head.dense.weight"]),
    ("distilbert", "distilbert.", ["vocab_transform.weight"]),
    ("gpt2", "transformer.", ["lm_head.weight"]),
    ("t5", "encoder.", ["decoder.block.0.layer.0.SelfAttention.q.weight", "shared.weight"]),
    ("bart", "model.encoder.", ["model.decoder.layers.0.fc1.weight"]),
])  # fmt: skip
def test_public_checkpoints_load_under_their_own_names(tmp_path, kind, prefix, more):
    ref, _, _ = words.encoder(tmp_path / "net", kind)
    source = build_network(ref, 3, 1).module.encoder
    state = {prefix + name: tensor.clone() for name, tensor in source.state_dict().items()}
    if kind == "t5":
        state["shared.weight"] = state.pop("encoder.embed_tokens.weight")
    state |= {name: torch.ones(2) for name in more if name not in state}
    path = tmp_path / "model.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    known = BackboneRef(ref.name, ref.options, "coarse", Weights("file", sha256(path)))
    network = build_network(ref, 3, 2)
    loaded = load_pretrained(network, read_state(known, path), network.num_units - 1)
    own = network.module.encoder.state_dict()
    assert loaded.matched == loaded.expected
    assert all(torch.equal(own[name], tensor) for name, tensor in source.state_dict().items())


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_the_whole_of_an_encoder_and_a_decoder_gives_its_encoder(tmp_path, kind):
    """As torch saves it, the decoder's tensors behind the encoder's, under names that differ in one part."""
    from transformers import AutoConfig, AutoModel

    ref, pipeline, files = words.encoder(tmp_path / "net", kind)
    torch.manual_seed(3)
    whole = AutoModel.from_config(AutoConfig.from_pretrained(tmp_path / "net")).eval()
    torch.save(whole.state_dict(), tmp_path / "pytorch_model.bin")
    network = build_network(ref, 3, 2)
    state = read_state(replace(ref, weights=Weights("file", "x")), tmp_path / "pytorch_model.bin")
    loaded = load_pretrained(network, state, network.num_units - 1)
    assert any("decoder.block" in name or "decoder.layers" in name for name in loaded.dropped)
    rows = words.rows(pipeline, files)
    with torch.no_grad():
        theirs = whole.get_encoder()(input_ids=(rows - 1).clamp_min(0), attention_mask=(rows > 0).long())
        ours = network.module.eval().hidden(rows)
    torch.testing.assert_close(ours[rows > 0], theirs.last_hidden_state[rows > 0])


def test_two_tensors_for_one_are_refused(tmp_path):
    ref, _, _ = words.encoder(tmp_path / "net")
    state = build_network(ref, 3, 1).module.encoder.state_dict()
    halves = {f"{half}.{name}": one for half in ("query", "passage") for name, one in state.items()}
    torch.save(halves, tmp_path / "w.bin")
    with pytest.raises(WeightsError, match=r"^w.bin: 'query\..*' and 'passage\..*' both come to"):
        read_state(replace(ref, weights=Weights("file", "x")), tmp_path / "w.bin")


def test_a_checkpoint_with_more_layers_than_its_configuration_is_refused(tmp_path):
    """Heads of other tasks are told as dropped; nothing else is left out."""
    deep, _, _ = words.encoder(tmp_path / "deep", num_hidden_layers=6)
    ref, _, _ = words.encoder(tmp_path / "net")
    state = {f"bert.{name}": one for name, one in build_network(deep, 3, 1).module.encoder.state_dict().items()}
    state |= {"cls.predictions.bias": torch.ones(2), "bert.embeddings.position_ids": torch.arange(64)}
    torch.save(state, tmp_path / "pytorch_model.bin")
    network = build_network(deep, 3, 2)
    loaded = load_pretrained(network, read_state(replace(deep, weights=Weights("file", "x")),
                                                 tmp_path / "pytorch_model.bin"), network.num_units - 1)  # fmt: skip
    assert set(loaded.dropped) == {"head.cls.predictions.bias", "head.bert.embeddings.position_ids"}
    network = build_network(ref, 3, 2)
    state = read_state(replace(ref, weights=Weights("file", "x")), tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"48 tensors of the file fit nowhere .*first bert\.encoder\.layer\.3\."):
        load_pretrained(network, state, network.num_units - 1)


def test_an_opt_network_with_a_narrow_table_of_words_runs(tmp_path):
    ref, pipeline, files = words.encoder(tmp_path / "net", "opt", word_embed_proj_dim=8)
    network = build_network(ref, 3, 0)
    assert network.module.head.in_features == 8
    assert network.module(words.rows(pipeline, files)).shape == (8, 3)
    assert "encoder.decoder.project_out.weight" in network.parameters[3]
    assert "encoder.decoder.project_in.weight" in network.parameters[0]


@pytest.mark.parametrize("kind", ["roberta", "mpnet", "opt", "bert"])
def test_a_dropped_token_leaves_its_place_empty(tmp_path, double, kind):
    """What stands behind it is where it was: as in the library, told all places and a mask."""
    ref, pipeline, files = words.encoder(tmp_path / "net", kind, pad_token_id=1)
    module = build_network(ref, 3, 0).module.eval()
    rows = words.rows(pipeline, files)
    rows = rows[(rows > 0).sum(1) > 5][:, :6]
    holes = rows.clone()
    holes[:, 2] = 0
    first = {"opt": 0, "bert": 0}.get(kind, 2)
    with torch.no_grad():
        places = (torch.arange(6) + first).expand(len(rows), 6)
        theirs = module.encoder(input_ids=rows - 1, attention_mask=(holes > 0).long(), position_ids=places)
        ours = module.hidden(holes)
    torch.testing.assert_close(ours[holes > 0], theirs.last_hidden_state[holes > 0])


def test_the_first_checkpoints_of_bert_call_gains_gamma(tmp_path):
    ref, _, _ = words.encoder(tmp_path / "net")
    source = build_network(ref, 3, 1).module.encoder
    old = {f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"):
           tensor.clone() for name, tensor in source.state_dict().items()}  # fmt: skip
    assert any(name.endswith("gamma") for name in old)
    torch.save(old, tmp_path / "pytorch_model.bin")
    known = BackboneRef(ref.name, ref.options, "coarse", Weights("file", "x"))
    network = build_network(ref, 3, 2)
    load_pretrained(network, read_state(known, tmp_path / "pytorch_model.bin"), network.num_units - 1)
    assert all(torch.equal(network.module.encoder.state_dict()[name], one) for name, one in source.state_dict().items())


def test_weights_of_another_network_are_refused(tmp_path):
    ref, _, _ = words.encoder(tmp_path / "net")
    other, _, _ = words.encoder(tmp_path / "other", hidden_size=32)
    path = tmp_path / "model.safetensors"
    save_file(build_network(other, 3, 1).module.encoder.state_dict(), path)
    known = BackboneRef(ref.name, ref.options, "coarse", Weights("file", "x"))
    network = build_network(ref, 3, 2)
    with pytest.raises(WeightsError, match="tensors matched"):
        load_pretrained(network, read_state(known, path), network.num_units - 1)


def test_dropout_can_be_set_everywhere(tmp_path):
    ref, _, _ = words.encoder(tmp_path / "net", options={"dropout": 0.3})
    rates = {module.p for module in build_network(ref, 3, 0).module.modules() if isinstance(module, torch.nn.Dropout)}
    assert rates == {0.3}
    plain, _, _ = words.encoder(tmp_path / "plain")
    rates = {module.p for module in build_network(plain, 3, 0).module.modules() if isinstance(module, torch.nn.Dropout)}
    assert rates == {0.1}, "as the library has it"


def test_names_with_a_place_are_the_entry(tmp_path):
    assert backbones.find("hf:bert-base-uncased") is backbones.find("hf")
    assert backbones.split_name("hf:some/net") == ("hf", {"path": "some/net"})
    assert backbones.split_name("torchvision:resnet18") == ("torchvision:resnet18", {})


def test_fetching_asks_for_what_is_read_and_no_more(monkeypatch):
    import huggingface_hub

    from bench import fetching

    asked = []

    class Api:
        def model_info(self, name):
            files = ["config.json", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "modeling_odd.py"]
            return type("Info", (), {"siblings": [type("File", (), {"rfilename": one}) for one in files]})

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    take = lambda name, allow_patterns: asked.append((name, allow_patterns))  # noqa: E731
    monkeypatch.setattr(huggingface_hub, "snapshot_download", take)
    fetching._fetch_weights("hf:some/net")
    wanted = ["config.json", "tokenizer.json", "1_Pooling/config.json", "preprocessor_config.json",
              "model.safetensors"]  # fmt: skip
    assert asked == [("some/net", wanted)]


RELATIVE = {"relative_attention": True, "norm_rel_ebd": "layer_norm", "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False, "share_att_key": True, "position_buckets": 8,
            "max_relative_positions": -1}  # fmt: skip


@pytest.mark.parametrize(("kind", "changes"), [*((kind, {}) for kind in words.CONFIGS), ("deberta-v2", RELATIVE)])
def test_units_put_out_what_the_library_calls_hidden_states(tmp_path, kind, changes):
    """Of tokens that are no padding; the stem's output is what the first layer takes in."""
    ref, pipeline, files = words.encoder(tmp_path / "net", kind, **changes)
    net, rows = build_network(ref, 3, 0), words.rows(pipeline, files)
    keep = rows > 0
    with torch.no_grad(), in_eval_mode(net.module), watched(net, units=True) as seen:
        net.module(rows)
        theirs = net.module.encoder(input_ids=(rows - 1).clamp_min(0), attention_mask=net.module._mask(keep),
                                    output_hidden_states=True).hidden_states  # fmt: skip
    assert sorted(seen.units) == list(range(net.num_units - 1))
    for unit, state in enumerate(theirs):
        torch.testing.assert_close(seen.units[unit][keep], state[keep])


def test_a_layer_that_puts_out_another_number_of_rows_than_of_examples_is_not_read(tmp_path):
    ref, pipeline, files = words.encoder(tmp_path / "net")
    net, rows = build_network(ref, 3, 0), words.rows(pipeline, files)
    net.module.encoder.encoder.layer[1].register_forward_hook(lambda module, inputs, output: output.transpose(0, 1))
    width = rows.shape[1]
    said = pytest.raises(NotApplicable, match=f"unit 2 puts out {width} rows of 8 examples")
    with torch.no_grad(), said, watched(net, units=True):
        net.module(rows)
