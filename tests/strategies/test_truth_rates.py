"""Each strategy against an independent formulation: those that say how fast what learns."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from bench import strategies
from bench.engine.train.loop import train
from bench.engine.train.optimize import Hyper
from bench.engine.train.solo import Solo
from bench.engine.train.stage import plain_stages
from bench.modalities.pixels import prepare
from bench.spec.recipe import Recipe, uniform
from tests.engine import toys
from tests.strategies.said import blocks_of, build, rates

pytestmark = [pytest.mark.usefixtures("tiny", "double")]


def rates_of_tensors(name, net, hyper=0.1, **options):
    """Rate of every parameter in torch's own optimizer, at the highest point of a constant schedule."""
    recipe = build(name, net.num_units, **options)
    team = Solo(net, toys.procedure(recipe, warmup=0.0), Hyper(hyper, 0.0))
    stage = plain_stages(net, toys.procedure(recipe))(0)
    team.enter(stage, recipe.active(len(recipe.phases) - 1), len(recipe.phases) - 1)
    x = prepare(toys.images().take(torch.arange(8)).values[0], toys.PIPELINE)
    team.step((x[None],), toys.images().labels[None, :8], recipe.phases[-1].rates)
    names = {id(p): n for n, p in net.module.named_parameters()}
    return {names[id(p)]: group["lr"] for group in team.optimizer.param_groups for p in group["params"]}


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
    assert (recipe.anneal, recipe.statistics) == ("each_phase", "with_units")
    assert build("lp_ft", statistics="kept").statistics == "kept"


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


def test_truth_cyclical_is_torchs():
    schedule = build("cyclical", cycles=3, low=0.1).schedule
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.1, 1.0, step_size_up=30, cycle_momentum=False)
    for step in range(180):
        assert schedule.factor(step, 180) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step(), theirs.step()


def test_truth_gradual_unfreeze_in_triangles(monkeypatch):
    """As the optimizer is really given them: each thaw opens a cycle, and each cycle is torch's CyclicLR anew."""
    seen = []
    toys.watch(monkeypatch, lambda optimizer: seen.append(toys.rates_by_unit(optimizer)))
    recipe = build("gradual_unfreeze", 6, triangular=True)
    train(toys.network(), toys.assignment(recipe, {"steps": 75}))
    stages = [6, 6, 6, 6, 6, 45]
    for number, length in enumerate(stages):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=toys.HYPER.lr)
        cycle = torch.optim.lr_scheduler.CyclicLR(
            optimizer, 0.1 * toys.HYPER.lr, toys.HYPER.lr, step_size_up=length / 2, cycle_momentum=False)
        for step in range(length):
            rate = optimizer.param_groups[0]["lr"]
            given = seen[sum(stages[:number]) + step]
            assert given == {unit: pytest.approx(rate) if unit >= 5 - number else 0.0 for unit in range(6)}
            optimizer.step(), cycle.step()


def test_triangles_are_an_option_that_no_key_knows_otherwise():
    assert build("gradual_unfreeze", triangular=False) == build("gradual_unfreeze")
    assert build("gradual_unfreeze").schedule is None
    assert "triangular" not in strategies.find("ulmfit").options.model_fields, "it has triangles of its own"


def test_truth_ulmfit():
    """Each stage is a cycle of its own, as in the authors' script."""
    recipe = build("ulmfit", factor=2.0)
    assert rates(recipe) == [(0, 0, 0, 1), (0, 0, 0.5, 1), (0, 0.25, 0.5, 1), (0.125, 0.25, 0.5, 1)]
    assert [phase.share for phase in recipe.phases] == pytest.approx([0.4 / 3] * 3 + [0.6])
    assert recipe.anneal == "each_phase"
    assert [recipe.schedule.factor(t, 50) for t in range(50)] == pytest.approx(
        [ulmfit_factor(t, 50) for t in range(50)])


def summed_rates(monkeypatch, recipe, net, steps):
    """Of each unit over a whole training, as the optimizer is really given them."""
    sums = np.zeros(net.num_units)

    def note(optimizer):
        for unit, rate in toys.rates_by_unit(optimizer).items():
            sums[unit] += rate

    with monkeypatch.context() as patched:
        toys.watch(patched, note)
        train(net, toys.assignment(recipe, {"steps": steps}, net))
    return sums


@pytest.mark.parametrize(("num_units", "steps"), [(6, 100), (14, 60), (14, 7)])
def test_truth_the_stage_with_everything_thawed_is_the_long_one(monkeypatch, num_units, steps):
    """The stem learns at .6 of what full fine-tuning gives it, or `discriminative` with a slanted triangle, as many
    units as there are and however few steps. One cycle over equal stages gave it .009 and .0003 (6 units)."""
    recipes = [build(name, num_units) for name in ("gradual_unfreeze", "full_finetune", "ulmfit", "discriminative")]
    recipes[3] = dataclasses.replace(recipes[3], schedule=recipes[2].schedule)
    gradual, full, ulmfit, even = (
        summed_rates(monkeypatch, one, toys.network() if num_units == 6 else blocks_of(num_units - 2), steps)
        for one in recipes
    )
    tolerance = 0.03 if steps >= 60 else 0.25
    assert gradual[0] / full[0] == pytest.approx(0.6, rel=tolerance)
    assert ulmfit[0] / even[0] == pytest.approx(0.6, rel=tolerance)
    assert (np.diff(gradual) >= -1e-12).all()
    assert gradual[-1] / full[-1] > 0.9


def test_truth_schedules_reach_the_optimizer(monkeypatch):
    seen = []
    toys.watch(monkeypatch, lambda optimizer: seen.append(toys.rates_by_unit(optimizer)[5]))
    net = toys.network()
    train(net, toys.assignment(build("slanted_triangular", net.num_units), {"steps": 20}, hyper=Hyper(0.1, 0.0)))
    assert seen == pytest.approx([0.1 * ulmfit_factor(step, 20) for step in range(20)])
