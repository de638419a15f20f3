"""Learning from the source's labels alone: `source_only`, and `dann` as its paper has it."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.datasets import DATASETS
from bench.datasets.base import Dataset, DatasetEntry, Split
from bench.engine.common.sources import setting_for
from bench.engine.common.start import data_of, final_stream, labelled_images, start, trial_streams
from bench.engine.train.loop import train
from bench.engine.train.optimize import Hyper
from bench.network.capture import watched
from bench.spec.refs import DataRef, LabelBudget
from tests.conftest import TINY, TinyOptions, tiny_facts, tiny_load
from tests.engine import toys
from tests.strategies.said import build
from tests.strategies.under_way import under_way

pytestmark = [pytest.mark.usefixtures("tiny", "double")]

FULL = LabelBudget("full")
ADAPT = {"source_only": {}, "dann": {"labels": "source"}}
HYPER = Hyper(0.05, 1e-3)


def learner(context, name="source_only", **fields):
    """A spec whose network was pretrained on `tiny` of shade 1, and that pretraining."""
    recipe = build(name, 6, **ADAPT.get(name, {}))
    return toys.pretrained(context, recipe=recipe, budget=FULL, **fields)


def put(monkeypatch, name, load):
    monkeypatch.setitem(DATASETS, name, DatasetEntry(name, "", tiny_facts, load, TinyOptions))
    return DataRef(name, {"shade": 0}, f"{name}-0", toys.CLASSES)


# ------------------------------------------------------------------------------------- no label of the target


def shuffled(options):
    """`tiny`, but the target's training labels are drawn anew; its images and its test split are what they were."""
    own = tiny_load(options)
    if options.shade != 0:
        return own
    labels = np.random.default_rng(5).permutation(own.train.labels)
    assert (labels != own.train.labels).sum() > 20
    return Dataset(own.classes, Split.of_images(own.train.images, labels), own.test)


def told(folder, name, **options):
    context = toys.context(folder)
    spec, job = toys.pretrained(context, recipe=build(name, 6, **options), budget=FULL)
    trials, final = toys.everything(context, spec, job.key)
    given = [record.result for record in (*trials, final)]
    assert final.status == "ok"
    return [{key: value for key, value in one.items() if key != "dataset_sha256"} for one in given]


@pytest.mark.parametrize(("name", "options", "is_same"), [
    ("source_only", {}, True), ("dann", {"labels": "source"}, True),
    ("dann", {"labels": "target"}, False), ("full_finetune", {}, False),
])  # fmt: skip
def test_truth_no_label_of_the_target_is_read(tmp_path, monkeypatch, name, options, is_same):
    """Training, search and all that is measured on the way come to the same bits when these labels are shuffled; with
    the target's labels they do not."""
    before = told(tmp_path / "own", name, **options)
    monkeypatch.setitem(DATASETS, "tiny", dataclasses.replace(TINY, load=shuffled))
    after = told(tmp_path / "shuffled", name, **options)
    assert (before == after) is is_same
    assert before[-1]["num_labels"] == (0 if is_same else 60)


def test_the_rate_is_chosen_on_source_images_that_nobody_learned_from(tmp_path):
    """By hand along the plain loop."""
    context = toys.context(tmp_path)
    spec, job = learner(context)
    trials, _ = toys.everything(context, spec, job.key)
    source = context.data(dataclasses.replace(toys.DATA, options={"shade": 1}, revision="tiny-1"))
    data = data_of(spec, context)
    (stream,) = trial_streams(spec, labelled_images(spec, data), data.validation)
    assert (stream.images.origin, stream.scored.origin) == (source.train.origin, source.test.origin)
    assert sorted(stream.images.rows.tolist()) == list(range(60))
    assert sorted(stream.scored.rows.tolist()) == list(range(103))
    assert {record.result["num_validation"] for record in trials} == {103}
    begin = start(spec, context)
    for record in trials:
        begin.renew()
        task = toys.assignment(build("full_finetune", 6), images=stream.images, order_seed=stream.order_seed,
                               scored=stream.scored, hyper=Hyper(record.result["lr"], 1e-4))  # fmt: skip
        assert record.result["score"] == train(begin.network, task).last.score


# ------------------------------------------------------------------------------------- what is learned and scored


def test_truth_source_only(tmp_path):
    """Full fine-tuning on every image of the source, by the plain loop; the target's test images are the exam."""
    context = toys.context(tmp_path)
    spec, job = learner(context)
    _, final = toys.everything(context, spec, job.key)
    source = context.data(dataclasses.replace(toys.DATA, options={"shade": 1}, revision="tiny-1")).train
    stream, begin = final_stream(spec, data_of(spec, context)), start(spec, context)
    begin.renew()
    task = toys.assignment(build("full_finetune", 6), images=source, order_seed=stream.order_seed,
                           scored=context.data(toys.DATA).test, hyper=Hyper(final.result["lr"], 1e-4))  # fmt: skip
    outcome = train(begin.network, task)
    assert (final.result["score"], final.result["loss"]) == (outcome.last.score, pytest.approx(outcome.last.loss))
    assert final.result["num_test"] == 103


def test_without_its_strength_the_adversary_leaves_the_control(tmp_path):
    """Parameters are those of `source_only` to the last bit. Only the running statistics have followed the target's
    images too."""
    states = []
    for name in ADAPT:
        context = toys.context(tmp_path / name)
        spec, _ = learner(context, name)
        if name == "dann":
            spec = dataclasses.replace(spec, recipe=build("dann", 6, labels="source", weight=0.0))
        stream, begin = final_stream(spec, data_of(spec, context)), start(spec, context)
        begin.renew()
        task = toys.assignment(spec.recipe, images=stream.images, order_seed=stream.order_seed, hyper=HYPER,
                               setting=setting_for(spec, begin, stream, context))  # fmt: skip
        train(begin.network, task)
        states.append({key: value.clone() for key, value in begin.network.module.state_dict().items()})
    differ = {key for key in states[0] if not torch.equal(states[0][key], states[1][key])}
    assert differ == {key for key in states[0] if key.rpartition(".")[2].startswith(("running", "num_batches"))}


def painted(classes, order):
    """`tiny` whose classes stand in another order, under these names."""
    def load(options):
        own = tiny_load(options)
        where = torch.tensor(order).argsort().numpy()
        return Dataset(classes, *(Split.of_images(one.images, where[one.labels]) for one in (own.train, own.test)))

    return load


def test_classes_are_matched_by_name_and_those_that_the_target_lacks_are_left_out(tmp_path, monkeypatch):
    """Labels are places among the target's classes: here blue, then green."""
    data = put(monkeypatch, "painted", painted(("blue", "red", "green"), [2, 0, 1]))
    context = toys.context(tmp_path)
    spec, _ = learner(context)
    part = dataclasses.replace(data, classes=(0, 2), num_classes=2)
    own = tiny_load(TinyOptions(shade=1)).train
    for ref, names in ((data, ("blue", "red", "green")), (part, ("blue", "green"))):
        found = data_of(dataclasses.replace(spec, data=ref), context)
        assert found.classes == names
        numbers = [names.index(name) if name in names else -1 for name in ("red", "green", "blue")]
        by_hand = [(image, numbers[label]) for image, label in zip(own.images, own.labels, strict=True)
                   if numbers[label] >= 0]  # fmt: skip
        assert found.train.labels.tolist() == [label for _, label in by_hand]
        images = found.train.values[0].permute(0, 2, 3, 1).numpy()
        assert np.array_equal(images, np.stack([image for image, _ in by_hand]))


@pytest.mark.parametrize("name", ADAPT)
def test_a_source_without_the_target_s_classes_is_no_source(tmp_path, monkeypatch, name):
    data = put(monkeypatch, "painted", painted(("red", "violet", "ochre"), [0, 1, 2]))
    context = toys.context(tmp_path)
    spec, job = learner(context, name)
    trials, final = toys.everything(context, dataclasses.replace(spec, data=data), job.key)
    assert {record.status for record in (*trials, final)} == {"not_applicable"}
    assert final.error == "needs a source that has the target's classes; it lacks 'violet', 'ochre'"


@pytest.mark.parametrize("name", ADAPT)
def test_weights_from_elsewhere_bring_no_labels(tmp_path, name):
    spec = toys.fit_spec(recipe=build(name, 6, **ADAPT[name]), budget=FULL)
    _, final = toys.everything(toys.context(tmp_path), spec)
    assert (final.status, final.error) == (
        "not_applicable", "needs labelled source images: a backbone with `pretrain: {dataset: ...}`")


def test_both_domains_are_varied_alike(tmp_path, monkeypatch):
    """Else the adversary tells them apart by the variation alone. No image as the network sees it is a stored one."""
    context = toys.context(tmp_path)
    training = dataclasses.replace(toys.TRAINING, shift=2)
    spec, _ = learner(context, "dann", training=training)
    stream, begin = final_stream(spec, data_of(spec, context)), start(spec, context)
    begin.renew()
    setting = setting_for(spec, begin, stream, context)
    stored = {one.numpy().tobytes() for one in context.data(spec.data).train.inputs(spec.pipeline)}
    draw = setting.generator("dann")
    plain, varied = (setting.batch(setting.unlabelled, draw, 32, varied=on)[0] for on in (False, True))
    shares = [np.mean([one.numpy().tobytes() in stored for one in batch]) for batch in (plain, varied)]
    assert shares[0] == 1
    assert shares[1] < 0.5
    asked = []
    real = type(setting).batch

    def noted(self, *given, varied=False):
        asked.append(varied)
        return real(self, *given, varied=varied)

    monkeypatch.setattr(type(setting), "batch", noted)
    task = toys.assignment(spec.recipe, {"shift": 2}, images=stream.images, order_seed=stream.order_seed, hyper=HYPER,
                           setting=setting)  # fmt: skip
    train(begin.network, task)
    assert asked == [True] * 12


@pytest.mark.parametrize("name", ["ridge_probe", "soup", "own_head"])
def test_what_reads_the_target_s_labels_takes_no_others(name):
    with pytest.raises(ValueError, match="know the target's labels only"):
        dataclasses.replace(build(name, 6), labels="source")


# ------------------------------------------------------------------------------------- the loss


def test_truth_dann_of_source_labels():
    """Ganin's equations 9 to 13, the expectation over both domains: the body's gradient is that of the classes less
    lambda times that of the domains, the adversary's is not reversed. The reference library has one half of each
    domain's mean, which for equal batches is the mean over both."""
    torch.manual_seed(0)
    penalty, setting, term, step = under_way("dann", number=3, labels="source", weight=0.8)
    new, _ = setting.batch(setting.unlabelled, setting.generator("dann"), len(step.inputs))
    body = [p for unit in step.network.parameters[:-1] for p in unit.values()]
    total = penalty.loss(term, step)
    found = torch.autograd.grad(total, [*body, *term.modules.parameters()])

    with watched(step.network) as seen:
        classes = F.cross_entropy(step.network.module(step.inputs), step.labels)
    with watched(step.network) as also:
        step.network.module(new)
    adversary = list(term.modules.parameters())

    def said(features):
        """That they are new: one hidden layer of rectifiers, one output."""
        hidden = (features @ adversary[0].T + adversary[1]).clamp(min=0)
        return 1 / (1 + (-(hidden @ adversary[2].T + adversary[3])).exp())

    domains = -0.5 * ((1 - said(seen.features[0])).log().mean() + said(also.features[0]).log().mean())
    assert total.item() == pytest.approx(classes.item() + domains.item())
    strength = 0.8 * (2 / (1 + math.exp(-10 * 3 / 12)) - 1)
    of_classes = torch.autograd.grad(classes, body, retain_graph=True)
    of_domains = torch.autograd.grad(domains, [*body, *adversary])
    assert any(g.abs().max() > 1e-4 for g in of_domains[: len(body)])
    for mine, one, other in zip(found[: len(body)], of_classes, of_domains, strict=False):
        torch.testing.assert_close(mine, one - strength * other)
    for mine, other in zip(found[len(body) :], of_domains[len(body) :], strict=True):
        torch.testing.assert_close(mine, other)
