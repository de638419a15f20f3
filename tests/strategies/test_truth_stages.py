"""Each strategy against an independent formulation: those that go by way of other trainings. And stopping early."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from bench.engine.common.start import final_stream, labelled_images, start, trial_streams
from bench.engine.jobs.perform import perform
from bench.engine.search.outcome import standing
from bench.engine.search.soup import ingredients_of, shelf
from bench.engine.train.evaluate import evaluate
from bench.engine.train.examples import Order
from bench.engine.train.loop import Outcome, train
from bench.engine.train.optimize import Hyper
from bench.execute.roots import Roots, forget_lost_weights
from bench.keys import seed_for
from bench.network.flops import step_flops, training_flops
from bench.planning.enumerate import make_plan
from bench.planning.settings import search_of, training_of
from bench.spec.job import Job
from bench.spec.recipe import StopEarly
from bench.spec.refs import BackboneRef, Weights
from bench.store import blobs
from bench.store.results import Rung
from bench.strategies import STRATEGIES
from bench.suite.load import load_suite
from bench.suite.schema import Suite
from tests.conftest import TinyOptions, tiny_load
from tests.engine import toys
from tests.strategies.said import build, rates

pytestmark = [pytest.mark.usefixtures("tiny", "double")]

FOLDS = dataclasses.replace(toys.SEARCH, folds=3)
OTHER = dataclasses.replace(toys.DATA, options={"shade": 2}, revision="tiny-2")


# ------------------------------------------------------------------------------------- intermediate


@pytest.fixture(autouse=True)
def _counted_once():
    """Instead of the one for all tests: here numbers that were counted are compared with others."""


def by_way_of(context, data=OTHER, **fields):
    """A spec whose weights learned another data set after their pretraining; both pretrainings done."""
    spec, root = toys.pretrained(context)
    stage = toys.pretrain_job(data=data, backbone=spec.backbone, lr=0.05, **fields)
    stage = Job("pretrain", stage.spec, (root.key,))
    assert perform(stage, context)
    backbone = dataclasses.replace(spec.backbone, weights=Weights("pretrain", stage.key))
    return dataclasses.replace(spec, backbone=backbone, recipe=build("full_finetune", 6)), root, stage


def weights_of(context, job):
    from safetensors.torch import load

    record = context.shared.read(job.key)
    return load(blobs.get(context.shared.root, record.result["weights_sha256"]))


def test_truth_intermediate(tmp_path):
    """The stage begins with the body of the first pretraining and ends as the plain loop ends on its data."""
    context = toys.context(tmp_path)
    spec, root, stage = by_way_of(context, shift=0)
    first, second = weights_of(context, root), weights_of(context, stage)
    backbone = dataclasses.replace(spec.backbone, weights=Weights("pretrain", root.key))
    net = start(dataclasses.replace(spec, backbone=backbone), context).network
    fresh = toys.network(seed=seed_for("pretrain init", 0))
    with torch.no_grad():
        for (name, own), drawn in zip(net.module.named_parameters(), fresh.module.parameters(), strict=True):
            assert name.startswith("head") or torch.equal(own, first[name]), name
            if name.startswith("head"):
                own.copy_(drawn)  # a head of its own, drawn as every pretraining's
    images = context.data(OTHER).train
    order = seed_for("pretrain order", 0)
    changes = {"steps": 2 * -(-len(images) // 16), "batch_size": 16}
    train(net, toys.assignment(build("full_finetune", 6), changes, images=images, order_seed=order,
                               hyper=Hyper(0.05, 5e-4)))  # fmt: skip
    for name, tensor in net.module.state_dict().items():
        torch.testing.assert_close(tensor, second[name], msg=name)
    assert any(not torch.equal(first[name], second[name]) for name in first)
    body = start(spec, context).state
    assert all(torch.equal(body[name], second[name]) for name in body if not name.startswith("head"))
    assert context.shared.read(stage.key).result["weights"]["matched"] > 0


def test_intermediate_forgets_what_the_backbone_knew_before_the_stage(tmp_path):
    context = toys.context(tmp_path)
    spec, root, stage = by_way_of(context)
    _, final = toys.everything(context, dataclasses.replace(spec, recipe=build("linear_probe", 6)), root.key, stage.key)
    found = final.result["source"]
    assert found["before"]["original"] == pytest.approx(context.shared.read(root.key).result["score"])
    assert found["after"] != found["before"], "the body moved on the way, though the probe leaves it alone"


def plain_stage(begin, shade, epochs, rate):
    """One stage on torch's own optimizer: the body as it is, a head drawn as every pretraining's, a cosine after a
    warmup of a tenth, decay on kernels and matrices alone. Gives the weights."""
    split = tiny_load(TinyOptions(shade=shade)).train
    pixels = torch.from_numpy(split.images).permute(0, 3, 1, 2).double() / 255
    pixels, labels = (pixels - 0.5) / 0.5, torch.from_numpy(split.labels)
    module = toys.network(seed=seed_for("pretrain init", 0)).module.train()
    body = {name: tensor for name, tensor in begin.items() if not name.startswith("head")}
    assert not module.load_state_dict(body, strict=False).unexpected_keys
    many, few = ([p for p in module.parameters() if (p.ndim > 1) is wanted] for wanted in (True, False))
    groups = [{"params": many, "weight_decay": 5e-4}, {"params": few, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)
    order = Order(len(labels), 16, seed_for("pretrain order", 0))
    steps = epochs * math.ceil(len(labels) / 16)
    warm = round(0.1 * steps)
    for step in range(steps):
        down = (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate * ((step + 1) / (warm + 1) if step < warm else down)
        batch = torch.from_numpy(order.next())
        optimizer.zero_grad()
        F.cross_entropy(module(pixels[batch]), labels[batch]).backward()
        optimizer.step()
    return module.state_dict()


def test_truth_intermediate_in_two_stages(tmp_path):
    """Source, then A, then B, as a suite plans them: each stage is a loop by hand that begins with the body of the one
    before, and the target begins with the body of the last."""
    context = toys.context(tmp_path)
    made = two_stages(tmp_path)
    root, first, second = (job for job in made.jobs.values() if job.kind == "pretrain")
    assert (root.needs, first.needs, second.needs) == ((), (root.key,), (first.key,))
    for job in (root, first, second):
        assert perform(job, context)
    expected = weights_of(context, root)
    for stage, (shade, epochs, rate) in ((first, (2, 2, 0.05)), (second, (3, 1, 0.02))):
        expected = plain_stage(expected, shade, epochs, rate)
        for name, tensor in weights_of(context, stage).items():
            torch.testing.assert_close(tensor, expected[name], msg=name)
    (cell,) = made.cells
    final = made.jobs[cell.finals[0]]
    assert final.needs[:3] == (root.key, first.key, second.key)
    net = start(final.spec, context).network
    last, before = weights_of(context, second), weights_of(context, first)
    for name, own in net.module.state_dict().items():
        if name.startswith("head"):
            assert not own.any(), "the head of the target starts at zero"
        else:
            assert torch.equal(own, last[name])
            assert name.endswith("num_batches_tracked") or not torch.equal(own, before[name]), name


def two_stages(folder):
    path = folder / "x.yaml"
    path.write_text("""
name: x
datasets: [{name: tiny, labels_per_class: [8]}]
backbones: [{name: toy_conv, image_size: 8, pretrain: {dataset: tiny, options: {shade: 1}, epochs: 1}}]
strategies:
  - intermediate:
      {dataset: tiny, dataset_options: {shade: 2}, epochs: 2, batch_size: 16, shift: 0, then: [
       {dataset: tiny, dataset_options: {shade: 3}, epochs: 1, batch_size: 16, shift: 0, lr: 0.02}]}
training: {steps: 4}
search: {trials: 1}
repeats: 1
""")
    return make_plan(load_suite(path), folder / "cache")


# ------------------------------------------------------------------------------------- soup


def soup_of(tmp_path, kind, toy="toy_vit", search=FOLDS):
    """A soup made by the engine, and each trial's networks trained by hand: [trial][fold] of states."""
    context = toys.context(tmp_path)
    num_units = toys.network(toy).num_units
    backbone = BackboneRef(toy, {}, "coarse", Weights("random"))
    spec = toys.fit_spec(recipe=build("soup", num_units, kind=kind), search=search, backbone=backbone)
    trials, final = toys.everything(context, spec)
    images = labelled_images(spec, context.data(spec.data))
    streams = trial_streams(spec, images)
    states = [[ended(spec, context, record, stream) for stream in streams] for record in trials]
    return context, spec, (trials, final), (streams, states)


def ended(spec, context, record, stream):
    begin = start(spec, context)
    begin.renew()
    hyper = Hyper(record.result["lr"], record.result["weight_decay"])
    train(begin.network, toys.assignment(build("full_finetune", begin.network.num_units), images=stream.images,
                                         order_seed=stream.order_seed, hyper=hyper))  # fmt: skip
    return {name: tensor.clone() for name, tensor in begin.network.module.state_dict().items()}


def mean(states):
    """Counters are no weights."""
    return {name: torch.stack([state[name] for state in states]).mean(0) if first.is_floating_point() else first
            for name, first in states[0].items()}  # fmt: skip


def told(spec, context, state, images):
    begin = start(spec, context)
    begin.network.module.load_state_dict(state)
    return evaluate(begin.network.module, images, toys.PIPELINE)


def test_truth_soup_uniform(tmp_path):
    context, spec, (trials, final), (_, states) = soup_of(tmp_path, "uniform")
    by_hand = told(spec, context, mean([state for trial in states for state in trial]), context.data(spec.data).test)
    assert final.result["score"] == by_hand.score
    assert final.result["loss"] == pytest.approx(by_hand.loss, rel=1e-9)
    assert sorted(final.result["soup"]) == [0, 1, 2]
    assert final.cost["logical"]["steps"] == sum(record.cost["logical"]["steps"] for record in trials) == 3 * 3 * 12


def test_truth_soup_greedy(tmp_path):
    """From the best trial on, each that leaves no fewer validation images told right."""
    context, spec, (trials, final), (streams, states) = soup_of(tmp_path, "greedy")
    ranked = sorted(range(3), key=lambda n: (-trials[n].result["score"], trials[n].result["loss"]))
    kept, best = [], -1
    for number in ranked:
        scores = [told(spec, context, mean([states[n][fold] for n in [*kept, number]]), stream.scored)
                  for fold, stream in enumerate(streams)]  # fmt: skip
        right = sum(round(one.score * one.num) for one in scores)
        if right >= best:
            kept, best = [*kept, number], right
    assert final.result["soup"] == kept
    by_hand = told(spec, context, mean([state for n in kept for state in states[n]]), context.data(spec.data).test)
    assert final.result["loss"] == pytest.approx(by_hand.loss, rel=1e-9)


def test_truth_soup_of_one_is_that_network(tmp_path):
    one = dataclasses.replace(toys.SEARCH, trials=1)
    context, spec, (_, final), (_, [[state]]) = soup_of(tmp_path, "greedy", search=one)
    assert final.result["loss"] == pytest.approx(told(spec, context, state, context.data(spec.data).test).loss)


def test_a_soup_takes_statistics_anew(tmp_path):
    """Those of the images it learned from, under the mean weights: not the mean of the statistics."""
    context, spec, (_, final), (_, states) = soup_of(tmp_path, "uniform", toy="toy_conv")
    averaged = mean([state for trial in states for state in trial])
    with_mean_of_statistics = told(spec, context, averaged, context.data(spec.data).test)
    assert final.status == "ok"
    assert final.result["loss"] != pytest.approx(with_mean_of_statistics.loss, rel=1e-6)


def test_ingredients_go_when_the_soup_is_made(tmp_path):
    context, spec, (trials, _), _ = soup_of(tmp_path, "uniform")
    assert len([one for record in trials for one in record.result["ingredients"]]) == 9
    assert not list((context.store.root / "ingredients").iterdir())


def test_two_soups_of_equal_trainings_leave_each_other_alone(tmp_path):
    """No seed knows the strategy, so both have the same ingredients; one is done before the other begins."""
    context = toys.context(tmp_path)
    pairs = [
        toys.search_and_final(toys.fit_spec(recipe=build("soup", 6, kind=kind), search=FOLDS))
        for kind in ("uniform", "greedy")
    ]
    for search, _ in pairs:
        assert perform(search, context)
    first, second = (context.store.read(search.record_keys[0]).result["ingredients"] for search, _ in pairs)
    assert first == second
    for _, final in pairs:
        assert perform(final, context)
        assert context.store.read(final.key).status == "ok"


def test_a_search_for_a_soup_is_not_halved():
    suite = Suite.model_validate({"name": "x", "datasets": ({"name": "tiny"},), "backbones": ({"name": "toy_conv"},),
                                  "strategies": ({"name": "soup"},), "training": {"steps": 50},
                                  "search": {"sampler": "grid", "pruner": "halving"}})  # fmt: skip
    found = search_of(suite, (30, 3), build("soup"), toys.TRAINING)
    assert (found.pruner, found.first_rung) == ("none", 1.0)
    assert search_of(suite, (30, 3), build("full_finetune"), toys.TRAINING).pruner == "halving"
    assert training_of(suite, 50, "sgd").steps == 50


def test_a_trial_whose_weights_are_lost_is_made_again(tmp_path):
    context = toys.context(tmp_path)
    spec = toys.fit_spec(recipe=build("soup", 6), search=FOLDS)
    search, final = toys.search_and_final(spec)
    assert perform(search, context)
    found = ingredients_of(search.key, spec, context.store)
    blobs.path_of(shelf(search.key, context.store), found[1][2]).unlink()
    place, plan = context.store.root, SimpleNamespace(jobs={search.key: search, final.key: final})
    assert forget_lost_weights(plan, Roots(place.parent, place.name))
    assert [context.store.read(key) is None for key in search.record_keys] == [False, True, False]
    assert perform(search, context)
    assert perform(final, context)
    assert context.store.read(final.key).status == "ok"


# ------------------------------------------------------------------------------------- stopping early


@pytest.mark.parametrize(("name", "pruner", "by"), [
    ("full_finetune", "none", "accuracy"), ("full_finetune", "none", "loss"), ("linear_probe", "halving", "accuracy"),
    ("lp_ft", "halving", "loss"), ("l2_sp", "none", "accuracy"),
])  # fmt: skip
def test_truth_stop_early(tmp_path, name, pruner, by):
    """Each trial stands as at its best of four moments, by hand along the plain loop; the final ends at the moment of
    the chosen one, as a training that is scored there."""
    context = toys.context(tmp_path)
    search = dataclasses.replace(FOLDS, pruner=pruner, first_rung=1 / 3 if pruner == "halving" else 1.0)
    recipe = dataclasses.replace(build(name, 6), stop_early=StopEarly(4, by))
    spec, job = toys.pretrained(context, recipe=recipe, search=search)
    trials, final = toys.everything(context, spec, job.key)
    whole = [record for record in trials if record.result["steps"] == 12]
    assert whole
    begin = start(spec, context)
    images = labelled_images(spec, context.data(spec.data))

    def run(stream, record, evaluations):
        begin.renew()
        hyper = Hyper(record.result["lr"], record.result["weight_decay"])
        from bench.engine.common.sources import setting_for

        task = toys.assignment(build(name, 6), images=stream.images, order_seed=stream.order_seed, hyper=hyper,
                               scored=stream.scored, evaluations=evaluations,
                               setting=setting_for(spec, begin, stream, context))  # fmt: skip
        return train(begin.network, task)

    for record in whole:
        ways = [run(stream, record, 4) for stream in trial_streams(spec, images)]
        right = {step: sum(round(way.seen[step].score * way.seen[step].num) for way in ways) for step in (3, 6, 9, 12)}
        loss = {step: sum(way.seen[step].loss * way.seen[step].num for way in ways) for step in right}
        by_accuracy = min(right, key=lambda step: (-right[step], loss[step], step))
        best = min(loss, key=lambda step: (loss[step], step)) if by == "loss" else by_accuracy
        assert record.result["stop"] == best
        assert record.result["score"] == right[best] / record.result["num_validation"]
    stop = final.result["stop"]
    assert stop == trials[final.result["trial"]].result["stop"]
    assert final.cost["logical"]["steps"] == stop == final.result["curve"][-1]["step"]
    by_hand = run(final_stream(spec, context.data(spec.data)), final, 12)
    assert final.result["loss"] == pytest.approx(by_hand.seen[stop].loss, rel=1e-9)


def test_a_final_that_stops_early_costs_what_it_did():
    """Phase by phase: nothing after the stop is counted."""
    net = toys.network()
    recipe = build("lp_ft", net.num_units)
    head, everything = (step_flops(net, recipe.active(phase), toys.PIPELINE, 8, {}) for phase in (0, 1))
    first = toys.phase_steps(recipe, 12)[0][2]
    assert 0 < head < everything
    for stop in (first - 1, first, first + 2, 12):
        by_hand = head * min(stop, first) + everything * max(0, stop - first)
        assert training_flops(net, toys.procedure(recipe), 8, stop, {}) == by_hand


def test_truth_the_moment_of_least_loss_and_that_of_highest_accuracy():
    """A course on which they differ, as where a network that is right grows too sure."""
    course = {10: (0.86, 0.60), 20: (0.84, 0.50), 30: (0.86, 0.55), 40: (0.85, None)}
    outcome = Outcome(seen={step: toys.scored(round(100 * accuracy), 100, loss)
                            for step, (accuracy, loss) in course.items()})  # fmt: skip
    found = {by: standing(40, [outcome], set(course), StopEarly(4, by)) for by in ("accuracy", "loss")}
    assert (found["accuracy"].stop, found["accuracy"].score) == (30, 0.86), "of equal accuracy, the lower loss"
    assert (found["loss"].stop, found["loss"].score, found["loss"].loss) == (20, 0.84, 0.50)
    assert standing(40, [outcome], set(), None) == Rung(40, 0.85, None)


@pytest.mark.parametrize("name", ["ridge_probe", "wise_ft", "soup", "own_head"])
def test_what_is_computed_or_averaged_cannot_stop_early(name):
    with pytest.raises(ValueError, match="stop_early|neither stopped"):
        dataclasses.replace(build(name), stop_early=StopEarly(5, "loss"))


def test_stop_early_leaves_the_rest_of_a_recipe_alone():
    for name in STRATEGIES:
        needed = {"layer_probe": {"unit": 1}, "freeze": {"upto": 2}, "transplant": {"keep": 2},
                  "intermediate": {"dataset": "tiny"}}
        recipe = build(name, **needed.get(name, {}))
        if recipe.trains and recipe.average == 1 and recipe.soup is None:
            assert rates(dataclasses.replace(recipe, stop_early=StopEarly(3, "loss"))) == rates(recipe)
