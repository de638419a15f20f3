"""Each strategy against an independent formulation: those that say what trains, when, and how fast."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional as F

from bench import strategies
from bench.backbones.build import redraw
from bench.backbones.units import cut_into_units
from bench.engine.evaluate import in_eval_mode
from bench.engine.images import prepare
from bench.engine.loop import Session, Stream, train
from bench.engine.optimize import Hyper
from bench.engine.stage import plain_stages
from bench.engine.team import Solo
from bench.keys import seed_for
from bench.plan.settings import training_of
from bench.plan.spec import BackboneRef, Weights
from bench.strategies.recipe import Recipe, uniform
from bench.suite.schema import Suite
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def build(name, num_units=4, **options):
    entry = strategies.find(name)
    return entry.build(entry.options.model_validate(options), num_units)


def rates(recipe):
    return [phase.rates for phase in recipe.phases]


def blocks_of(depth):
    """A ViT of so many blocks, cut finely: stem, blocks, head."""
    vit = VisionTransformer(img_size=8, patch_size=4, embed_dim=8, depth=depth, num_heads=2, num_classes=3)
    return cut_into_units(vit, coarse=False)


def rates_of_tensors(name, net, hyper=0.1, **options):
    """Rate of every parameter in torch's own optimizer, at the highest point of a constant schedule."""
    recipe = build(name, net.num_units, **options)
    team = Solo(net, (recipe, dataclasses.replace(toys.TRAINING, warmup=0.0)), Hyper(hyper, 0.0))
    stage = plain_stages(net, toys.PIPELINE, toys.TRAINING)(0)
    team.enter(stage, recipe.active(len(recipe.phases) - 1), len(recipe.phases) - 1)
    x = prepare(toys.images().take(torch.arange(8)).pixels, toys.PIPELINE)
    team.step((x[None],), toys.images().labels[None, :8], recipe.phases[-1].rates)
    names = {id(p): n for n, p in net.module.named_parameters()}
    return {names[id(p)]: group["lr"] for group in team.optimizer.param_groups for p in group["params"]}


# ------------------------------------------------------------------------------------- starts


def test_truth_scratch():
    recipe = build("scratch")
    assert (recipe.init, rates(recipe), recipe.length) == ("random", [(1.0,) * 4], 1.0)


def test_truth_scratch_long():
    """The steps that planning gives it, and a rate that falls over all of them."""
    suite = Suite.model_validate({
        "name": "x", "datasets": ({"name": "tiny"},), "backbones": ({"name": "toy_conv"},),
        "strategies": ({"name": "scratch"},), "training": {"steps": 50},
    })  # fmt: skip
    assert training_of(suite, 60, build("scratch")).steps == 50
    assert training_of(suite, 60, build("scratch_long")).steps == 200
    assert training_of(suite, 60, build("scratch_long", times=2.5)).steps == 125


def test_truth_moments():
    """numpy's mean and spread of every tensor before, and of a large one after; nothing of the order is left."""
    net = cut_into_units(nn_with_wide_layer(), coarse=True)
    before = {name: p.detach().numpy().copy() for name, p in net.module.named_parameters()}
    with torch.no_grad():
        norm = next(m for m in net.module.modules() if isinstance(m, nn.BatchNorm2d))
        norm.running_mean += 1
    redraw(net, torch.Generator().manual_seed(0))
    for name, tensor in net.module.named_parameters():
        after = tensor.detach().numpy()
        if name in net.parameters[-1]:
            assert (after == before[name]).all()
            continue
        if after.size > 1000:
            assert after.mean() == pytest.approx(before[name].mean(), abs=4 * before[name].std() / after.size**0.5)
            assert after.std() == pytest.approx(before[name].std(), rel=0.1)
            assert abs(np.corrcoef(after.ravel(), before[name].ravel())[0, 1]) < 0.1
    assert (norm.running_mean == 0).all()
    assert build("moments").init == "moments"


def nn_with_wide_layer():
    from bench.backbones.small_resnet import SmallResnetOptions
    from bench.backbones.small_resnet import build as small

    return small(3, SmallResnetOptions(width=16))


def test_truth_random_features():
    recipe = build("random_features")
    assert (recipe.init, rates(recipe)) == ("random", [(0, 0, 0, 1.0)])


# ------------------------------------------------------------------------------------- what is unfrozen


def test_truth_linear_probe():
    """The head's gradient by hand: (p - onehot)^T z / n, one step of plain gradient descent."""
    net = toys.network()
    recipe = build("linear_probe", net.num_units)
    x = prepare(toys.images().pixels, toys.PIPELINE)
    y = toys.images().labels
    with torch.no_grad(), in_eval_mode(net.module):
        z = net.module.forward_head(net.module.forward_features(x), pre_logits=True)
        weight, bias = (p.clone() for p in net.parameters[-1].values())
        error = torch.softmax(z @ weight.T + bias, 1) - F.one_hot(y, 3)
    changes = {"steps": 1, "batch_size": 60, "momentum": 0.0, "warmup": 0.0, "schedule": "constant"}
    train(net, toys.assignment(recipe, changes, hyper=Hyper(0.3, 0.0)))
    after_weight, after_bias = net.parameters[-1].values()
    torch.testing.assert_close(after_weight.detach(), weight - 0.3 * error.T @ z / 60)
    torch.testing.assert_close(after_bias.detach(), bias - 0.3 * error.mean(0))


def test_truth_freeze():
    assert rates(build("freeze", upto=2)) == [(0, 0, 1.0, 1.0)]


def test_truth_tune_last():
    assert rates(build("tune_last", units=0)) == rates(build("linear_probe"))
    assert rates(build("tune_last", units=2)) == [(0, 1.0, 1.0, 1.0)]
    assert build("tune_last", units=1) == build("freeze", upto=2)
    with pytest.raises(ValueError, match="units: 4 is more than there are below the head; this backbone has 3"):
        build("tune_last", units=4)


def test_truth_surgical():
    assert rates(build("surgical", unit=1)) == [(0, 1.0, 0, 1.0)]
    assert build("surgical", unit=1).statistics == "kept"
    entry = strategies.find("surgical")
    assert [one.unit for one in entry.expand(entry.options(unit="all"), 4)] == [0, 1, 2]
    with pytest.raises(ValueError, match=r"unit: 3 is no unit below the head; this backbone's are 0 \.\. 2"):
        build("surgical", unit=3)


def test_truth_gradual_unfreeze():
    assert rates(build("gradual_unfreeze", 3)) == [(0, 0, 1.0), (0, 1.0, 1.0), (1.0, 1.0, 1.0)]


def test_truth_auto_rgn():
    """Mean of ||g|| / ||w|| over five batches, by a loop of our own; divided by the largest."""
    net = toys.network()
    recipe = build("auto_rgn", net.num_units)
    net.set_active(recipe.active(0))
    setting = toys.setting_of(net)
    found = recipe.tensor_rates.measure(setting)
    expected = dict.fromkeys(found, 0.0)
    net.module.eval()
    seen = set()
    for x, y in list(setting.batches())[:5]:
        seen |= set(y.tolist())
        net.module.zero_grad()
        F.cross_entropy(net.module(x), y).backward()
        for name, p in net.module.named_parameters():
            if name in expected:
                expected[name] += (p.grad.square().sum().sqrt() / p.square().sum().sqrt()).item()
    most = max(expected.values())
    assert found == pytest.approx({name: value / most for name, value in expected.items()})
    assert max(found.values()) == 1
    assert not any("bn" in name or name.startswith("head") for name in found)
    assert len(recipe.phases) == 5


def test_truth_auto_rgn_reaches_the_optimizer():
    net = toys.network()
    recipe = build("auto_rgn", net.num_units)
    net.set_active(recipe.active(0))
    factors = recipe.tensor_rates.measure(toys.setting_of(net))
    team = Solo(net, (recipe, toys.TRAINING), Hyper(0.1, 0.0), setting=toys.setting_of(net))
    stage = plain_stages(net, toys.PIPELINE, toys.TRAINING)(0)
    team.enter(stage, recipe.active(0), 0)
    x = prepare(toys.images().take(torch.arange(8)).pixels, toys.PIPELINE)
    team.step((x[None],), toys.images().labels[None, :8], recipe.phases[0].rates)
    named = {id(p): n for n, p in net.module.named_parameters()}
    for group in team.optimizer.param_groups:
        name = named[id(group["params"][0])]
        if name in factors:
            assert group["lr"] == pytest.approx(0.1 * factors[name])


@pytest.mark.parametrize(("name", "moves"), [("bn_frozen", False), ("full_finetune", True), ("bn_adapt", True)])
def test_truth_bn_frozen_and_bn_adapt(name, moves):
    """Running means by hand: a tenth of each batch's mean where they move, untouched where they are kept."""
    net = toys.network()
    recipe = build(name, net.num_units)
    norm = next(m for m in net.modules[0] if isinstance(m, nn.BatchNorm2d))
    convolution = next(m for m in net.modules[0] if isinstance(m, nn.Conv2d))
    x = prepare(toys.images().pixels, toys.PIPELINE)
    with torch.no_grad():
        expected = 0.1 * convolution(x).mean((0, 2, 3)) if moves else torch.zeros_like(norm.running_mean)
    train(net, toys.assignment(recipe, {"steps": 1, "batch_size": 60, "warmup": 0.0}, hyper=Hyper(1e-9, 0.0)))
    torch.testing.assert_close(norm.running_mean, expected)


def test_truth_bn_frozen_affine():
    net = toys.network()
    before = {n: p.detach().clone() for n, p in net.module.named_parameters()}
    train(net, toys.assignment(build("bn_frozen", net.num_units, affine="frozen")))
    moved = {n for n, p in net.module.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {n for n in before if "bn" not in n}


# ------------------------------------------------------------------------------------- how fast


def test_truth_full_finetune():
    assert build("full_finetune") == Recipe(phases=uniform([1.0] * 4))


def test_truth_backbone_rate():
    net = toys.network()
    found = rates_of_tensors("backbone_rate", net, 0.1)
    head = set(net.parameters[-1])
    assert {round(lr, 12) for name, lr in found.items() if name in head} == {0.1}
    assert {round(lr, 12) for name, lr in found.items() if name not in head} == {0.01}


def test_truth_discriminative():
    assert rates(build("discriminative", factor=2.0)) == [(0.125, 0.25, 0.5, 1.0)]


def test_truth_layer_decay():
    """A ViT of 12 blocks: 14 units, as in BEiT and MAE; the stem at .75^13."""
    net = blocks_of(12)
    assert net.num_units == 14
    found = rates_of_tensors("layer_decay", net, 0.2, decay=0.75)
    by_hand = {"patch_embed.proj.weight": 13, "cls_token": 13, "pos_embed": 13, "blocks.0.attn.qkv.weight": 12,
               "blocks.5.mlp.fc1.bias": 7, "blocks.11.norm2.weight": 1, "head.weight": 0}  # fmt: skip
    for name, distance in by_hand.items():
        assert found[name] == pytest.approx(0.2 * 0.75**distance), name


def test_truth_lp_ft():
    recipe = build("lp_ft", probe=0.25, probe_rate=4.0)
    assert rates(recipe) == [(0, 0, 0, 4.0), (1.0,) * 4]
    assert [phase.share for phase in recipe.phases] == [0.25, 0.75]
    assert (recipe.anneal, recipe.statistics) == ("each_phase", "kept")


def test_truth_freeze_then_tune():
    """fastai: slice(lr / 100, lr) over the groups after the rate was halved, each group as far from the next."""
    recipe = build("freeze_then_tune")
    assert rates(recipe)[0] == (0, 0, 0, 1.0)
    evenly = np.geomspace(0.5 / 100, 0.5, 4)
    assert rates(recipe)[1] == pytest.approx(tuple(evenly))
    # One cycle by fastai's formula: cosine from lr / 5 to lr over 30 %, then cosine to lr / 1e5.
    cosine = lambda start, end, x: start + (1 + math.cos(math.pi * (1 - x))) * (end - start) / 2  # noqa: E731
    for step in range(100):
        place = step / 100
        by_hand = cosine(0.2, 1, place / 0.3) if place < 0.3 else cosine(1, 1e-5, (place - 0.3) / 0.7)
        assert recipe.schedule.factor(step, 100) == pytest.approx(by_hand, abs=1e-12)


def ulmfit_factor(t, steps, cut_frac=0.1, ratio=32):
    """Howard & Ruder's formula, letter by letter."""
    cut = math.floor(steps * cut_frac)
    p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
    return (1 + p * (ratio - 1)) / ratio


def test_truth_slanted_triangular():
    schedule = build("slanted_triangular").schedule
    for step in range(200):
        assert schedule.factor(step, 200) == pytest.approx(ulmfit_factor(step, 200))
    assert max(range(200), key=lambda step: schedule.factor(step, 200)) == 20


def test_truth_cyclical():
    """Smith's triangular policy, as his appendix has it."""
    schedule = build("cyclical", cycles=4, low=0.2).schedule
    half = 10
    for step in range(80):
        cycle = math.floor(1 + step / (2 * half))
        x = abs(step / half - 2 * cycle + 1)
        assert schedule.factor(step, 80) == pytest.approx(0.2 + 0.8 * max(0, 1 - x))


def test_truth_ulmfit():
    recipe = build("ulmfit", factor=2.0)
    assert rates(recipe) == [(0, 0, 0, 1), (0, 0, 0.5, 1), (0, 0.25, 0.5, 1), (0.125, 0.25, 0.5, 1)]
    assert recipe.anneal == "once"
    assert [recipe.schedule.factor(t, 50) for t in range(50)] == pytest.approx(
        [ulmfit_factor(t, 50) for t in range(50)])


def test_truth_schedules_reach_the_optimizer(monkeypatch):
    seen = []
    toys.watch(monkeypatch, lambda optimizer: seen.append(toys.rates_by_unit(optimizer)[5]))
    net = toys.network()
    train(net, toys.assignment(build("slanted_triangular", net.num_units), {"steps": 20}, hyper=Hyper(0.1, 0.0)))
    assert seen == pytest.approx([0.1 * ulmfit_factor(step, 20) for step in range(20)])


# ------------------------------------------------------------------------------------- which tensors


def test_truth_bitfit():
    """By torch's own names: all biases of a ViT, and the head; the count by hand."""
    net = blocks_of(2)
    before = {n: p.detach().clone() for n, p in net.module.named_parameters()}
    train(net, toys.assignment(build("bitfit", net.num_units)))
    moved = {n for n, p in net.module.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {n for n in before if n.endswith("bias") or n.startswith("head")}
    d, hidden = 8, 32  # patch, (norm1, qkv, proj, norm2, fc1, fc2) x 2, norm; head
    by_hand = d + 2 * (d + 3 * d + d + d + hidden + d) + d + (3 * d + 3)
    assert sum(before[n].numel() for n in moved) == by_hand


def test_truth_norm_tune():
    net = blocks_of(2)
    before = {n: p.detach().clone() for n, p in net.module.named_parameters()}
    train(net, toys.assignment(build("norm_tune", net.num_units)))
    moved = {n for n, p in net.module.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {n for n in before if "norm" in n or n.startswith("head")}


# ------------------------------------------------------------------------------------- averages


def wise(alpha, net, look):
    recipe = build("wise_ft", net.num_units, alpha=alpha)
    setting = toys.setting_of(net)
    team = Solo(net, (recipe, toys.TRAINING), Hyper(0.1, 0.0), setting=setting)
    session = Session(team, plain_stages(net, toys.PIPELINE, toys.TRAINING), (recipe, toys.TRAINING),
                      [Stream(toys.images(), 3, toys.images("test"))])  # fmt: skip
    session.advance(6, set())
    middle = {n: t.clone() for n, t in net.module.state_dict().items()}
    session.advance(12, set())
    end = {n: t.clone() for n, t in net.module.state_dict().items()}
    with team._reported():
        look(net)
    assert all(torch.equal(t, end[n]) for n, t in net.module.state_dict().items()), "put back after scoring"
    return middle, end


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_truth_wise_ft(alpha):
    """At 0 and 1 its ends; between them the mean of the weights. Statistics by hand from the training images."""
    net = toys.network("toy_vit")  # no BatchNorm: the weights alone
    seen = {}
    middle, end = wise(alpha, net, lambda net: seen.update(
        {n: t.clone() for n, t in net.module.state_dict().items()}))
    for name, tensor in seen.items():
        torch.testing.assert_close(tensor, (1 - alpha) * middle[name] + alpha * end[name], msg=name)
    assert any(not torch.equal(middle[n], end[n]) for n in end)


def in_order(num):
    """As `Setting.batches` shuffles: by a generator named by its purpose and the training's seed."""
    return torch.randperm(num, generator=torch.Generator().manual_seed(seed_for("batches", 7)))


def test_batches_are_shuffled_for_data_lie_class_by_class():
    images = toys.images()
    ordered = images.take(images.labels.argsort())
    setting = toys.setting_of(toys.network(), on=ordered)
    batches = list(setting.batches(rest=True))
    assert sorted(torch.cat([y for _, y in batches]).tolist()) == ordered.labels.tolist()
    assert [len(y) for _, y in batches] == [8] * 7 + [4]
    assert all(len(set(y.tolist())) > 1 for _, y in batches)


def test_truth_wise_ft_statistics():
    net = toys.network()
    found = {}

    def look(net):
        norm = next(m for m in net.modules[0] if isinstance(m, nn.BatchNorm2d))
        convolution = next(m for m in net.modules[0] if isinstance(m, nn.Conv2d))
        x = prepare(toys.images().pixels, toys.PIPELINE)[in_order(60)]
        means = [convolution(x[start : start + 8]).mean((0, 2, 3)) for start in range(0, 56, 8)]
        found["ours"], found["by hand"] = norm.running_mean.clone(), torch.stack(means).mean(0).detach()

    wise(0.5, net, look)
    torch.testing.assert_close(found["ours"], found["by hand"])


def test_pretrained_means_pretrained():
    """Weights("random") is what planning makes of recipes that start at random, and of no other."""
    assert BackboneRef("toy_conv", {}, "coarse", Weights("random")).weights.origin == "random"
