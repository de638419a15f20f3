"""Each strategy against an independent formulation: those that say what trains, when, and how fast."""


import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import bench
from bench import strategies
from bench.engine.train.loop import Session, Stream, train
from bench.engine.train.optimize import Hyper
from bench.engine.train.solo import Solo
from bench.engine.train.stage import plain_stages
from bench.keys import seed_for
from bench.modalities.pixels import prepare
from bench.network.build import redraw
from bench.network.capture import in_eval_mode
from bench.network.units import cut_into_units
from tests.engine import toys
from tests.strategies.said import blocks_of, build, rates

pytestmark = [pytest.mark.usefixtures("tiny", "double")]


# ------------------------------------------------------------------------------------- starts


def test_truth_scratch():
    recipe = build("scratch")
    assert (recipe.init, rates(recipe), recipe.length) == ("random", [(1.0,) * 4], 1.0)


def test_truth_scratch_long():
    """The steps that planning gives it, and a rate that falls over all of them."""
    listed = [{"name": name} for name in ("scratch", "scratch_long")] + [{"name": "scratch_long",
                                                                          "options": {"times": 2.5}}]
    plan = bench.plan({
        "name": "x", "datasets": [{"name": "tiny"}], "backbones": [{"name": "toy_conv", "weights": "random"}],
        "strategies": listed, "training": {"steps": 50},
    })  # fmt: skip
    assert [plan.jobs[cell.finals[0]].spec.training.steps for cell in plan.cells] == [50, 200, 125]


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
    x = prepare(toys.images().values[0], toys.PIPELINE)
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
    recipe = build("gradual_unfreeze", 3)
    assert rates(recipe) == [(0, 0, 1.0), (0, 1.0, 1.0), (1.0, 1.0, 1.0)]
    assert [phase.share for phase in recipe.phases] == pytest.approx([0.2, 0.2, 0.6])
    assert [phase.share for phase in build("gradual_unfreeze", 3, last=0.8).phases] == pytest.approx([0.1, 0.1, 0.8])
    assert [phase.share for phase in build("gradual_unfreeze", 1).phases] == [1.0]


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


def test_truth_auto_rgn_under_a_head_of_zeros():
    """No gradient passes it. What is measured is what a network with a small drawn head has, whatever its size, and
    the head is as before."""
    found = []
    for spread in (0.0, 0.01, 1e-4):
        net = toys.network()
        recipe = build("auto_rgn", net.num_units)
        net.set_active(recipe.active(0))
        weight, bias = net.parameters[-1].values()
        setting = toys.setting_of(net)
        with torch.no_grad():
            bias.zero_()
            weight.copy_(spread * torch.randn(weight.shape, generator=setting.generator_for_all("head")))
        before = weight.detach().clone()
        found.append(recipe.tensor_rates.measure(setting))
        assert torch.equal(weight, before)
        assert max(found[-1].values()) == 1
        assert min(found[-1].values()) > 0
    assert found[0] == pytest.approx(found[1])
    assert found[0] == pytest.approx(found[2], rel=0.1)


def test_truth_auto_rgn_reaches_the_optimizer():
    net = toys.network()
    recipe = build("auto_rgn", net.num_units)
    net.set_active(recipe.active(0))
    factors = recipe.tensor_rates.measure(toys.setting_of(net))
    team = Solo(net, toys.procedure(recipe), Hyper(0.1, 0.0), setting=toys.setting_of(net))
    stage = plain_stages(net, toys.procedure(recipe))(0)
    team.enter(stage, recipe.active(0), 0)
    x = prepare(toys.images().take(torch.arange(8)).values[0], toys.PIPELINE)
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
    x = prepare(toys.images().values[0], toys.PIPELINE)
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
    team = Solo(net, toys.procedure(recipe), Hyper(0.1, 0.0), setting=setting)
    session = Session(team, plain_stages(net, toys.procedure(recipe)),
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
        x = prepare(toys.images().values[0], toys.PIPELINE)[in_order(60)]
        means = [convolution(x[start : start + 8]).mean((0, 2, 3)) for start in range(0, 56, 8)]
        found["ours"], found["by hand"] = norm.running_mean.clone(), torch.stack(means).mean(0).detach()

    wise(0.5, net, look)
    torch.testing.assert_close(found["ours"], found["by hand"])
