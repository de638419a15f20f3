"""Strategies on a text encoder: each runs, or says in one line why it cannot; and padding counts in none."""

import dataclasses
import warnings

import pytest
import torch

from bench.engine.jobs.perform import perform
from bench.modalities.tokens import TextHandling
from bench.network.build import adapted, build_network
from bench.network.capture import in_eval_mode, watched
from bench.spec.refs import Weights
from bench.strategies import STRATEGIES
from bench.strategies.dann import together
from bench.strategies.delta import distance
from tests.engine import toys, words
from tests.engine.test_text import SEARCH, TRAINING, context
from tests.strategies.test_contract import OPTIONS

BATCH_NORM = "this network has no BatchNorm"
VISION = "needs a vision transformer with blocks of attention and MLP"
WHY_NOT = {
    "bn_frozen": BATCH_NORM, "bn_adapt": BATCH_NORM, "stochnorm": BATCH_NORM,
    "adapter": VISION, "vpt": VISION, "residual_adapter": "no convolution of 3x3 or more", "rotation": "turns pictures",
}  # fmt: skip
FEW = {"training": dataclasses.replace(TRAINING, steps=4), "search": dataclasses.replace(SEARCH, trials=1)}


@pytest.fixture(autouse=True)
def texts(monkeypatch):
    words.put_in_place(monkeypatch)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """An encoder that learned these sentences inside the suite, with its head."""
    with pytest.MonkeyPatch.context() as patch:
        words.put_in_place(patch)
        folder = tmp_path_factory.mktemp("pretrained")
        ref, pipeline, files = words.encoder(folder / "net")
        made = context(folder, files)
        job = toys.pretrain_job(data=words.DATA, backbone=ref, pipeline=pipeline, shift=0, optimizer="adamw", lr=1e-3)
        assert perform(job, made)
        return dataclasses.replace(ref, weights=Weights("pretrain", job.key)), pipeline, files, made.shared, job.key


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "own_head"])
def test_it_runs_or_says_why_not(tmp_path, pretrained, name):
    ref, pipeline, files, shared, key = pretrained
    recipe = dataclasses.replace(toys.recipe(name, 5, **OPTIONS.get(name, {})), via=None)
    spec = dataclasses.replace(words.fit_spec(ref, pipeline, **FEW), recipe=recipe)
    (trial,), final = toys.everything(context(tmp_path, files, shared=shared), spec, key)
    if name in WHY_NOT:
        assert (trial.status, final.status) == ("not_applicable", "not_applicable")
        assert WHY_NOT[name] in trial.error
    else:
        assert (trial.status, final.status) == ("ok", "ok"), (trial.error, final.error)


def rows_and_network(folder, kind="bert"):
    ref, pipeline, files = words.encoder(folder, kind)
    rows = TextHandling().prepared(words.split(8, 3).columns, pipeline, files).long()
    return build_network(ref, 3, 0), rows


def pooled(net, rows):
    with torch.no_grad(), in_eval_mode(net.module), watched(net, units=True) as seen:
        net.module(rows)
    return seen


@pytest.mark.parametrize("kind", ["bert", "gpt2", "t5"])
def test_what_a_unit_puts_out_is_pooled_over_real_tokens(tmp_path, double, kind):
    net, rows = rows_and_network(tmp_path, kind)
    alone = [pooled(net, row[None, : int((row > 0).sum())]).pooled() for row in rows]
    together = pooled(net, rows).pooled()
    assert sorted(together) == [0, 1, 2, 3]
    for unit, value in together.items():
        torch.testing.assert_close(value, torch.cat([one[unit] for one in alone]))


def test_the_pull_of_delta_does_not_see_padding(tmp_path, double):
    net, rows = rows_and_network(tmp_path)
    other, _ = rows_and_network(tmp_path)
    torch.nn.init.normal_(other.module.encoder.encoder.layer[0].output.dense.weight)
    found = []
    for given in (rows, torch.nn.functional.pad(rows, (0, 9))):
        now, then = pooled(net, given), pooled(other, given)
        found.append(distance(now.units[2], then.units[2], None, False, now.real))
    torch.testing.assert_close(*found)
    assert found[0] > 0


def test_batches_of_other_lengths_are_padded_to_the_longer_one():
    one, other = torch.tensor([[1, 2, 3]]), torch.tensor([[4], [5]])
    assert together(one, other).tolist() == [[1, 2, 3], [4, 0, 0], [5, 0, 0]]
    images = torch.rand(2, 3, 4, 4)
    assert torch.equal(together(images, images), torch.cat([images, images]))


def test_norms_biases_and_what_decays_are_found_on_a_bert(tmp_path):
    """As the library names them, and as its own trainer exempts them from decay."""
    net, _ = rows_and_network(tmp_path)
    body = {name for unit in net.parameters[:-1] for name in unit}
    head = set(net.parameters[-1])
    plain = {name: dataclasses.replace(toys.recipe(name, 5)).active(0) for name in ("bitfit", "norm_tune")}
    assert net.learned(plain["bitfit"]) - head == {name for name in body if name.endswith(".bias")}
    assert net.learned(plain["norm_tune"]) - head == {name for name in body if "LayerNorm" in name}
    exempt = {name for name in body if name.endswith(".bias") or "LayerNorm.weight" in name}
    assert net.decaying - head == body - exempt


def test_biases_of_a_network_without_any_are_told(tmp_path):
    ref, pipeline, files = words.encoder(tmp_path / "net", "t5")
    (trial,), final = toys.everything(context(tmp_path, files), words.fit_spec(ref, pipeline, "bitfit", **FEW))
    assert (trial.status, trial.error) == ("not_applicable", "this network has no biases to train")
    assert final.status == "not_applicable"


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
    from bench.errors import NotApplicable

    net, _ = rows_and_network(tmp_path, "distilbert")
    with pytest.raises(NotApplicable, match="peft does not say which layers of a 'distilbert' network IA3 scales"):
        adapted(net, toys.recipe("ia3", 5).adapt, ("coarse", 1))
