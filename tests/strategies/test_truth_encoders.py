"""Adapters of encoders against peft's own, and against BERT's layer written out."""

import sys
import warnings
from types import SimpleNamespace

import pytest
import torch

from bench.backbones.encoder_families import FAMILIES
from bench.backbones.encoders import BACKBONE
from bench.errors import BenchError, NotApplicable
from bench.modalities.tokens import TextHandling
from bench.network.build import adapted, build_network
from bench.network.capture import in_eval_mode, watched
from bench.network.masked import hidden_tokens
from bench.spec.refs import BackboneRef, Weights
from bench.strategies.layers import encoders
from tests.backbones.test_sound_encoders import CONFIGS
from tests.engine import toys, words


def rows_and_network(folder, kind="bert"):
    ref, pipeline, files = words.encoder(folder, kind)
    rows = TextHandling().prepared(words.split(8, 3).columns, pipeline, files).long()
    return build_network(ref, 3, 0), rows


def wave_network(name):
    """Of a configuration of sound, by its name in tests/backbones."""
    kind = name.partition(",")[0]
    front = {"rate": 16000, "each": False, "mel": None}
    options = BACKBONE.options(config={"model_type": kind, **CONFIGS[name]}, front=front, pooling="mean")
    return build_network(BackboneRef("hf", options.model_dump(), "coarse", Weights("random")), 3, 0)


def peft_model(folder, config):
    import peft
    from transformers import AutoConfig, AutoModel

    plain = AutoModel.from_config(AutoConfig.from_pretrained(folder))
    if getattr(plain, "pooler", None) is not None:
        plain.pooler = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of transformers, at what peft asks it
        warnings.simplefilter("ignore", UserWarning)  # GPT-2's matrices lie the other way round
        return peft.get_peft_model(plain, config)


def test_truth_continued_pretraining(tmp_path, double):
    """One step of its first phase on transformers' BertForMaskedLM with the same weights, the same hidden tokens, and
    torch's own SGD: the loss that is told, and all weights behind it."""
    from transformers import AutoConfig, BertForMaskedLM

    ref, pipeline, files = words.encoder(tmp_path, options={"dropout": 0.0})
    net = build_network(ref, 3, 0)
    penalty = toys.recipe("continued_pretraining", 5).penalty
    tokens = TextHandling().prepared(words.split(8, 3).columns, pipeline, files).long()
    setting = SimpleNamespace(
        network=net, pipeline=pipeline, seed=1, images=tokens, unlabelled=tokens,
        batch=lambda texts, draw: (texts, None), generator=lambda purpose: torch.Generator().manual_seed(5),
    )  # fmt: skip
    term = penalty.begin(setting)
    theirs = BertForMaskedLM(AutoConfig.from_pretrained(
        tmp_path, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)).train()  # fmt: skip
    theirs.bert.load_state_dict(net.module.encoder.state_dict(), strict=False)
    head = theirs.cls.predictions
    head.transform.dense.load_state_dict(term.modules.layer.state_dict())
    head.transform.LayerNorm.eps = term.modules.norm.eps
    seen, wanted = hidden_tokens(tokens, pipeline.mask, 45, torch.Generator().manual_seed(5))
    net.module.train()
    learning = [*net.module.encoder.parameters(), *term.modules.parameters()]
    steps = [torch.optim.SGD(learning, 0.5), torch.optim.SGD(theirs.parameters(), 0.5)]
    ours = penalty.apart(term, net, 0)
    told = theirs(input_ids=(seen - 1).clamp_min(0), attention_mask=(seen > 0).long(), labels=wanted).loss
    torch.testing.assert_close(ours, told)
    for loss, step in zip((ours, told), steps, strict=True):
        loss.backward()
        step.step()
    moved = dict(theirs.bert.named_parameters())
    for name, parameter in net.module.encoder.named_parameters():
        torch.testing.assert_close(parameter, moved[name])
    torch.testing.assert_close(term.modules.layer.weight, head.transform.dense.weight)
    torch.testing.assert_close(term.modules.bias, theirs.cls.predictions.bias)
    assert penalty.apart(term, net, 1) is None


@pytest.mark.parametrize("name", ["lora", "dora", "ia3"])
def test_truth_peft(tmp_path, double, name):
    """As many parameters as peft trains on the same configuration, where it puts them; the same numbers come out with
    the same weights, and after they are merged."""
    import peft

    net, rows = rows_and_network(tmp_path)
    recipe = toys.recipe(name, 5, **({} if name == "ia3" else {"rank": 4, "alpha": 12.0}))
    ours = adapted(net, recipe.adapt, ("coarse", 1))
    config = peft.IA3Config() if name == "ia3" else peft.LoraConfig(r=4, lora_alpha=12.0, use_dora=name == "dora")
    theirs = peft_model(tmp_path, config).eval()
    trained = {n: p for n, p in theirs.named_parameters() if p.requires_grad}
    added = {n: p for unit in ours.parameters for n, p in unit.items() if n in ours.added}
    assert {f"base_model.model.{n.removeprefix('encoder.')}" for n in added} == set(trained)
    assert sum(p.numel() for p in added.values()) == sum(p.numel() for p in trained.values())
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in added.values():
            parameter.copy_(torch.rand(parameter.shape, generator=draw))
    state = {f"base_model.model.{n.removeprefix('encoder.')}": v for n, v in ours.module.state_dict().items()}
    missing, _ = theirs.load_state_dict(state, strict=False)
    assert missing == []
    keep = (rows > 0).long()

    def outputs():
        with torch.no_grad(), in_eval_mode(ours.module), watched(ours) as seen:
            ours.module(rows)
        hidden = theirs(input_ids=(rows - 1).clamp_min(0), attention_mask=keep).last_hidden_state
        torch.testing.assert_close(seen.features[0], hidden[:, 0])
        return hidden[:, 0].detach()

    before = outputs()
    theirs.merge_adapter()
    torch.testing.assert_close(outputs(), before)


@pytest.mark.parametrize("kind", words.CONFIGS)
@pytest.mark.parametrize("name", ["lora", "houlsby", "pfeiffer"])
def test_adapters_fit_every_family_and_begin_as_nothing(tmp_path, double, name, kind):
    net, rows = rows_and_network(tmp_path, kind)
    torch.nn.init.normal_(net.module.head.weight)
    before = net.module.eval()(rows)
    ours = adapted(net, toys.recipe(name, 5).adapt, ("coarse", 1))
    torch.testing.assert_close(ours.module.eval()(rows), before)
    assert [any(n in ours.added for n in unit) for unit in ours.parameters] == [False, True, True, True, False]
    ours.module.train()(rows).sum().backward()
    assert all(p.grad is not None for unit in ours.parameters for n, p in unit.items() if n in ours.added)


@pytest.mark.parametrize(("name", "each"), [("houlsby", 2), ("pfeiffer", 1)])
def test_truth_houlsby_and_pfeiffer(tmp_path, double, name, each):
    """BERT's layer written out, with the bottlenecks where the papers draw them."""
    net, rows = rows_and_network(tmp_path)
    ours = adapted(net, toys.recipe(name, 5, width=4).adapt, ("coarse", 1))
    assert sum(p.numel() for unit in ours.parameters for n, p in unit.items() if n in ours.added) == 3 * each * (
        2 * 16 * 4 + 16 + 4)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameters in ours.parameters[:-1]:
            for n, parameter in parameters.items():
                if n in ours.added:
                    parameter.copy_(torch.randn(parameter.shape, generator=draw))
    layer, seen = ours.module.encoder.encoder.layer[0], {}
    layer.register_forward_hook(lambda m, i, out: seen.update(x=i[0], y=out))
    attention = layer.attention.self
    attention.register_forward_hook(lambda m, i, out: seen.update(attended=out[0]))
    with torch.no_grad():
        ours.module.eval()(rows)

    def bottleneck(added, value):
        return added.up(torch.relu(added.down(value)))

    first, second = layer.attention.output, layer.output
    if name == "houlsby":
        a = first.dense.inner(seen["attended"])
        h = first.LayerNorm(seen["x"] + a + bottleneck(first.dense, a))
        m = second.dense.inner(layer.intermediate(h))
        y = second.LayerNorm(h + m + bottleneck(second.dense, m))
    else:
        h = first.LayerNorm(seen["x"] + first.dense(seen["attended"]))
        total = h + second.dense(layer.intermediate(h))
        norm = second.LayerNorm
        y = norm.inner(total + bottleneck(norm, norm.inner(total)))
    torch.testing.assert_close(seen["y"], y)


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2, stable", "hubert", "wavlm", "data2vec-audio"])
def test_pfeiffers_bottleneck_stands_where_the_norm_of_waves_does(double, name):
    """The two forms of a layer written out: its norms behind the sums, or before attention and MLP."""
    ours = adapted(wave_network(name), toys.recipe("pfeiffer", 4, width=4).adapt, ("coarse", 1))
    layer, seen = ours.module.encoder.encoder.layers[0], {}
    layer.register_forward_hook(lambda m, i, out: seen.update(x=i[0], y=out[0] if isinstance(out, tuple) else out))
    layer.attention.register_forward_hook(lambda m, i, out: seen.update(attended=out[0]))
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for unit in ours.parameters[:-1]:
            for n, parameter in unit.items():
                if n in ours.added:
                    parameter.copy_(torch.randn(parameter.shape, generator=draw))
        ours.module.eval()(torch.randn(2, 1600, generator=draw))
    h, mlp, norm = seen["x"] + seen["attended"], layer.feed_forward, layer.final_layer_norm
    if "stable" in name:
        out = mlp.output_dense
        m = out.inner(mlp.intermediate_act_fn(mlp.intermediate_dense(norm(h))))
        y = h + m + out.up(torch.relu(out.down(m)))
    else:
        h = layer.layer_norm(h)
        total = h + mlp(h)
        y = norm.inner(total + norm.up(torch.relu(norm.down(norm.inner(total)))))
    torch.testing.assert_close(seen["y"], y)


@pytest.mark.parametrize(("is_before", "expected"), [(True, "Behind"), (False, "AroundNorm")])
def test_opt_has_both_forms_too(is_before, expected):
    from transformers import AutoConfig, AutoModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 32, "vocab_size": 45,
             "word_embed_proj_dim": 16, "max_position_embeddings": 64}  # fmt: skip
    module = torch.nn.Module()
    module.encoder = AutoModel.from_config(AutoConfig.for_model("opt", **sizes, do_layer_norm_before=is_before))
    module.family = FAMILIES["opt"]
    encoders.add_bottlenecks(module, 4, "mlp")
    added = [type(one).__name__ for one in module.modules() if isinstance(one, encoders.Added)]
    assert added == [expected]


@pytest.mark.parametrize("kind", words.CONFIGS)
def test_ia3_scales_keys_values_and_the_mlp_of_every_family(tmp_path, double, kind):
    """As many factors as peft's own where peft knows the family; of others, counted by hand: a layer of width 16 has
    an MLP of 32."""
    import peft
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as KNOWN

    net, rows = rows_and_network(tmp_path, kind)
    torch.nn.init.normal_(net.module.head.weight)
    before = net.module.eval()(rows)
    ours = adapted(net, toys.recipe("ia3", 5).adapt, ("coarse", 1))
    added = {n: p for unit in ours.parameters for n, p in unit.items() if n in ours.added}
    if kind in KNOWN:
        theirs = peft_model(tmp_path, peft.IA3Config())
        if kind in ("t5", "bart"):
            theirs = theirs.get_encoder()
        expected = sum(p.numel() for n, p in theirs.named_parameters() if "ia3" in n)
    else:
        expected = 3 * {"electra": 2 * 16 + 16 + 32, "modernbert": 3 * 16 + 32}.get(kind, 2 * 16 + 32)
    assert sum(p.numel() for p in added.values()) == expected
    torch.testing.assert_close(ours.module.eval()(rows), before)
    ours.module.train()(rows).sum().backward()
    assert all(p.grad is not None for p in added.values())


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "data2vec-audio", "whisper", "audio-spectrogram-transformer"])
@pytest.mark.parametrize(("name", "each"), [
    ("lora", 2 * 2 * 8 * 16), ("ia3", 2 * 16 + 24), ("houlsby", 2 * (2 * 16 * 64 + 64 + 16)),
    ("pfeiffer", 2 * 16 * 64 + 64 + 16),
])  # fmt: skip
def test_adapters_fit_networks_of_sound(double, kind, name, each):
    """Counted by hand: two layers of width 16, MLPs of 24, rank 8, bottlenecks of 64."""
    net = wave_network(kind)
    torch.nn.init.normal_(net.module.head.weight)
    sound = torch.randn({"whisper": (2, 100, 20), "audio-spectrogram-transformer": (2, 64, 32)}.get(kind, (2, 1600)))
    before = net.module.eval()(sound)
    ours = adapted(net, toys.recipe(name, 4).adapt, ("coarse", 1))
    torch.testing.assert_close(ours.module.eval()(sound), before)
    added = {n: p for unit in ours.parameters for n, p in unit.items() if n in ours.added}
    assert sum(p.numel() for p in added.values()) == 2 * each
    ours.module.train()(sound).sum().backward()
    assert all(p.grad is not None for p in added.values())


@pytest.mark.parametrize("name", ["lora", "dora", "ia3"])
def test_layers_whose_weights_are_read_are_told(name):
    """WavLM hands its attention's weights to torch: what stands beside such a layer would learn nothing."""
    with pytest.raises(NotApplicable, match="reads the weights of a layer instead of calling it"):
        adapted(wave_network("wavlm"), toys.recipe(name, 4).adapt, ("coarse", 1))


def test_a_family_that_nobody_knows_is_told(tmp_path):
    net, _ = rows_and_network(tmp_path)
    net.module.encoder.config.model_type = "newcomer"
    with pytest.raises(NotApplicable, match="which layers of a 'newcomer' network IA3 scales is not known"):
        adapted(net, toys.recipe("ia3", 5).adapt, ("coarse", 1))


def test_where_peft_is_not_installed_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    net, _ = rows_and_network(tmp_path)
    with pytest.raises(BenchError, match=r"adapters of encoders need the library peft: pip install '.*\[text\]'"):
        adapted(net, toys.recipe("lora", 5).adapt, ("coarse", 1))
    with pytest.raises(BenchError, match=r"'.*\[audio\]'"):
        adapted(wave_network("wav2vec2"), toys.recipe("lora", 4).adapt, ("coarse", 1))
