"""Losses that look at more images than a step's own, and what holds for all losses."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.engine.common.sources import setting_for
from bench.engine.common.start import final_stream, labelled_images, start, trial_streams
from bench.engine.train.loop import train
from bench.engine.train.optimize import Hyper
from bench.network.capture import classifier_of, in_eval_mode, watched
from bench.strategies import dann
from bench.strategies.bss import SpectralShrinkage
from tests.engine import toys
from tests.strategies.under_way import extra, under_way

pytestmark = [pytest.mark.usefixtures("tiny", "double")]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_truth_replay():
    """(1 - share) * new + share * old, the old images in evaluation through the present body and the old head."""
    penalty, setting, term, step = under_way("replay", share=0.4)
    x, y = setting.batch(setting.source_images(), setting.generator("replay"))
    with torch.no_grad(), in_eval_mode(step.network.module), watched(step.network) as seen:
        step.network.module(x)
    head = classifier_of(setting.source().network)
    old = F.cross_entropy(seen.features[0] @ head.weight.T + head.bias, y)
    assert penalty.loss(term, step).item() == pytest.approx((0.6 * step.loss + 0.4 * old).item())


def test_replay_moves_no_statistics():
    penalty, _, term, step = under_way("replay")
    step.network.module.train()
    before = {n: b.clone() for n, b in step.network.module.named_buffers()}
    penalty.loss(term, step)
    assert all(torch.equal(b, before[n]) for n, b in step.network.module.named_buffers())


def test_truth_dann():
    """The reversed gradient is minus the strength times the plain one, and the strength is 2 / (1 + e^-10p) - 1."""
    x = torch.randn(3, 4, requires_grad=True)
    plain = torch.autograd.grad((x**3).sum(), x)[0]
    turned = dann.reversed_gradient(x, 0.7)
    torch.testing.assert_close(turned.detach(), x.detach())
    torch.testing.assert_close(torch.autograd.grad((turned**3).sum(), x)[0], -0.7 * plain)
    assert [dann.growth(p) for p in (0.0, 0.1, 1.0)] == pytest.approx(
        [0.0, 2 / (1 + math.exp(-1)) - 1, 2 / (1 + math.exp(-10)) - 1])


def test_truth_dann_loss():
    """Binary cross entropy of the adversary, by hand, over source images and unlabelled ones."""
    penalty, setting, term, step = under_way("dann", number=6)
    draw = setting.generator("dann")
    old, _ = setting.batch(setting.source_images(), draw)
    new, _ = setting.batch(setting.unlabelled, draw, len(old))
    with torch.no_grad(), watched(step.network) as seen:
        step.network.module(torch.cat([old, new]))
        chance = torch.sigmoid(term.modules(seen.features[0]))[:, 0]
    by_hand = -(torch.log(1 - chance[:8]).sum() + torch.log(chance[8:]).sum()) / 16
    assert extra(penalty, term, step) == pytest.approx(by_hand.item())


def test_truth_rotation():
    """Before: only the turned images count. After: only the labels."""
    penalty, setting, term, step = under_way("rotation", phase=0)
    draw = setting.generator("rotation")
    images, _ = setting.batch(setting.unlabelled, draw)
    turns = torch.randint(4, (8,), generator=draw)
    turned = np.stack([np.rot90(i.numpy(), int(t), (1, 2)) for i, t in zip(images, turns, strict=True)])
    with torch.no_grad(), watched(step.network) as seen:
        step.network.module(torch.from_numpy(turned.copy()))
        by_hand = F.cross_entropy(term.modules(seen.features[0]), turns)
    assert penalty.loss(term, step).item() == pytest.approx(by_hand.item())
    later = dataclasses.replace(step, phase=1)
    assert penalty.loss(term, later) is step.loss


@pytest.mark.parametrize("name", ["lwf", "co_tuning", "replay", "bi_tuning", "dann", "rotation"])
def test_what_stands_beside_the_network_learns_too(name):
    net = toys.network()
    recipe = toys.recipe(name, net.num_units)
    made = []
    penalty = recipe.penalty

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Watched(type(penalty)):
        name: str = "watched"

        def begin(self, setting):
            term = super().begin(setting)
            made.append((term.modules, [p.detach().clone() for p in term.modules.parameters()]))
            return term

    own = Watched(**{f.name: getattr(penalty, f.name) for f in dataclasses.fields(penalty)})
    train(net, toys.assignment(dataclasses.replace(recipe, penalty=own), net=net, hyper=Hyper(0.05, 0.0)))
    ((modules, before),) = made
    assert all(not torch.equal(p, b) for p, b in zip(modules.parameters(), before, strict=True))


def test_a_strength_of_zero_is_plain_fine_tuning():
    states = []
    for name, options in (("full_finetune", {}), ("bss", {"eta": 0.0}), ("lwf", {"weight": 0.0})):
        net = toys.network()
        recipe = toys.recipe(name, net.num_units, **options)
        train(net, toys.assignment(recipe, net=net))
        states.append({n: t.clone() for n, t in net.module.state_dict().items()})
    for other in states[1:]:
        for name, tensor in states[0].items():
            torch.testing.assert_close(other[name], tensor, msg=name)


def test_what_is_no_longer_finite_is_told_by_the_loss():
    penalty, _, term, step = under_way("bss")
    lost = dataclasses.replace(step, features=step.features * math.nan, loss=step.loss * math.nan)
    assert penalty.loss(term, lost).isnan()


def test_a_part_that_does_something_else_has_another_name():
    class Other(SpectralShrinkage):
        pass

    with pytest.raises(TypeError, match="it needs a `name` of its own"):
        Other(eta=1.0, k=1)


def test_a_phase_too_short_for_a_step_is_not_counted():
    """Rotation with 2 % of 20 steps: all of them belong to the labels, and the head learns."""
    net = toys.network()
    before = net.module.state_dict()["head.fc.weight"].clone()
    train(net, toys.assignment(toys.recipe("rotation", 6, share=0.02), {"steps": 20}, net))
    assert not torch.equal(net.module.state_dict()["head.fc.weight"], before)


def test_unlabelled_images_are_neither_scored_nor_labelled(tmp_path):
    context, spec = toys.context(tmp_path), toys.fit_spec()
    begin, data = start(spec, context), context.data(spec.data)
    for stream in trial_streams(spec, labelled_images(spec, data)):
        setting = setting_for(spec, begin, stream, context)
        assert not set(setting.unlabelled.rows.tolist()) & set(stream.scored.rows.tolist())
        assert len(setting.unlabelled) == 60 - len(stream.scored)
        assert set(setting.unlabelled.labels.tolist()) == {-1}
    whole = setting_for(spec, begin, final_stream(spec, data), context)
    assert len(whole.unlabelled) == 60
