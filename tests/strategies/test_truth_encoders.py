"""Adapters of encoders against peft's own, and against BERT's layer written out."""

import sys
import warnings

import pytest
import torch

from bench.errors import BenchError, NotApplicable
from bench.modalities.tokens import TextHandling
from bench.network.build import adapted, build_network
from bench.network.capture import in_eval_mode, watched
from tests.engine import toys, words


def rows_and_network(folder, kind="bert"):
    ref, pipeline, files = words.encoder(folder, kind)
    rows = TextHandling().prepared(words.split(8, 3).columns, pipeline, files).long()
    return build_network(ref, 3, 0), rows


def peft_model(folder, config):
    import peft
    from transformers import AutoConfig, AutoModel

    plain = AutoModel.from_config(AutoConfig.from_pretrained(folder), add_pooling_layer=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of transformers, at what peft asks it
        return peft.get_peft_model(plain, config)


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


def test_what_peft_does_not_know_is_told(tmp_path):
    net, _ = rows_and_network(tmp_path, "distilbert")
    with pytest.raises(NotApplicable, match="peft does not say which layers of a 'distilbert' network IA3 scales"):
        adapted(net, toys.recipe("ia3", 5).adapt, ("coarse", 1))


def test_where_peft_is_not_installed_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    net, _ = rows_and_network(tmp_path)
    with pytest.raises(BenchError, match=r"adapters of encoders need the library peft: pip install '.*\[text\]'"):
        adapted(net, toys.recipe("lora", 5).adapt, ("coarse", 1))
