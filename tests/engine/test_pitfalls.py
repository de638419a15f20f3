"""Mistakes made on purpose, against what they come to when they are written out by hand."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from torch.nn import functional as F

from bench.datasets.sampling import shuffled
from bench.engine.common.start import labelled_images, start
from bench.engine.jobs import finals as finals_of
from bench.engine.jobs.deployed import as_deployed
from bench.engine.jobs.perform import perform
from bench.execute.messages import Recorded
from bench.keys import seed_for
from bench.modalities.pixels import prepare
from bench.network.capture import in_eval_mode
from bench.planning.pitfalls import PITFALLS
from bench.spec.job import Job
from bench.spec.refs import Deployment, Engine, NewHead, Pipeline
from bench.store import predictions
from bench.store.record import went_wrong
from tests import made_up
from tests.engine import toys
from tests.engine.test_fleet import forced, several

pytestmark = pytest.mark.usefixtures("tiny")

RIGHT = Pipeline(8, (0.2, 0.5, 0.6), (0.3, 0.2, 0.5))
SEARCH = dataclasses.replace(toys.SEARCH, trials=3)
AT_TEST = ["no_normalisation_at_test", "pixels_to_255_at_test", "half_resolution_at_test", "swapped_channels_at_test",
           "training_mode_at_test", "training_mode_at_test_by_class"]  # fmt: skip


def stored(num=5, side=8):
    return torch.from_numpy(np.random.default_rng(3).integers(0, 256, (num, 3, side, side), np.uint8))


def changed(spec, name):
    return PITFALLS[name].change(spec, True)


def shown(name, pixels):
    """As the network sees them where the mistake is made."""
    spec = changed(toys.fit_spec(pipeline=RIGHT), name)
    return prepare(pixels, spec.deployed.pipeline if spec.deployed else spec.pipeline)


def by_hand(pixels, scale=255.0):
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (RIGHT.mean, RIGHT.std))
    return (pixels.float() / scale - mean) / std


@pytest.mark.parametrize("where", ["", "_at_test"])
def test_not_normalised(where):
    pixels = stored()
    torch.testing.assert_close(shown(f"no_normalisation{where}", pixels), pixels.float() / 255)


@pytest.mark.parametrize("where", ["", "_at_test"])
def test_pixels_to_255_are_normalised_as_if_they_went_to_1(where):
    pixels = stored()
    torch.testing.assert_close(shown(f"pixels_to_255{where}", pixels), by_hand(pixels, scale=1.0), rtol=1e-4, atol=1e-2)


def test_swapped_channels_are_those_of_a_library_that_puts_blue_first():
    pixels = stored()
    torch.testing.assert_close(shown("swapped_channels_at_test", pixels), by_hand(pixels[:, [2, 1, 0]]))


def test_half_the_resolution_is_a_thumbnail_blown_up_again():
    """A bicubic thumbnail by Pillow, which works in whole grey levels, within two of them."""
    from PIL import Image

    pixels = stored(side=8)
    small = [Image.fromarray(one.permute(1, 2, 0).numpy()).resize((4, 4), Image.Resampling.BICUBIC) for one in pixels]
    large = torch.stack([torch.from_numpy(np.asarray(one.resize((8, 8), Image.Resampling.BICUBIC)).copy())
                         for one in small]).permute(0, 3, 1, 2)  # fmt: skip
    levels = 255 * torch.tensor(RIGHT.std).view(3, 1, 1)
    assert ((shown("half_resolution_at_test", pixels) - by_hand(large)).abs() * levels).max() < 2
    assert (by_hand(large) - by_hand(pixels)).abs().max() > 0.5


@pytest.fixture
def context(tmp_path):
    return toys.context(tmp_path)


def records(context, spec, *names):
    """The right final and those of the mistakes, all after one search."""
    search, final = toys.search_and_final(spec, *([spec.backbone.weights.identity]))
    finals = [final, *(Job("final", changed(spec, name), final.needs) for name in names)]
    assert perform(search, context)
    for job in finals:
        assert perform(job, context)
    found = [context.store.read(job.key) for job in finals]
    assert {record.status for record in found} == {"ok"}
    return found


@pytest.mark.parametrize(("strategy", "fleet"), [
    ("linear_probe", 1), ("linear_probe", "auto"), ("full_finetune", "auto"), ("wise_ft", 1),
])  # fmt: skip
def test_a_network_that_is_misused_was_trained_as_the_right_one(tmp_path, strategy, fleet):
    context = toys.context(tmp_path, engine=Engine(fleet=fleet))
    spec, _ = toys.pretrained(context, recipe=toys.recipe(strategy, 6), search=SEARCH)
    right, *wrong = records(context, spec, *AT_TEST)
    for record in wrong:
        assert record.result["train_loss_end"] == right.result["train_loss_end"]
        assert record.result["lr"] == right.result["lr"]
        assert [point["step"] for point in record.result["curve"]] == [spec.training.steps]
    losses = [record.result["loss"] for record in (right, *wrong)]
    assert len({round(loss, 6) for loss in losses}) == len(losses), "each mistake shows in this number"


def test_an_answer_in_training_mode_depends_on_its_batch(context):
    spec, _ = toys.pretrained(context, head=NewHead("architecture"))
    network = start(spec, context).renew().module
    test = context.data(spec.data).test
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    found = as_deployed(changed(spec, "training_mode_at_test"), network, test, network, 24)
    sorted_found = as_deployed(changed(spec, "training_mode_at_test_by_class"), network, test, network, 24)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes

    witness = copy.deepcopy(network).train()
    size, inputs = spec.training.batch_size, test.inputs(spec.pipeline)
    order = np.argsort(test.labels.numpy(), kind="stable")
    assert len(test) % size not in (0, 1)
    with torch.no_grad():
        mixed = torch.tensor(shuffled(len(test), seed_for("deployed order", spec.seed, spec.repeat)))
        expected = torch.cat([witness(part) for part in inputs[mixed].split(size)])
        by_class = torch.cat([witness(part) for part in inputs[torch.from_numpy(order)].split(size)])
    torch.testing.assert_close(found[mixed], expected)
    torch.testing.assert_close(sorted_found[torch.from_numpy(order)], by_class)
    assert not torch.allclose(found, sorted_found, atol=1e-3)


def test_a_last_image_is_not_alone_in_its_batch(context):
    """BatchNorm refuses a single value per channel."""
    spec, _ = toys.pretrained(context, recipe=toys.recipe("linear_probe", 6))
    wrong = changed(spec, "training_mode_at_test")
    test = context.data(spec.data).test.take(np.arange(17))
    norm = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(192))
    mixed = torch.tensor(shuffled(17, seed_for("deployed order", spec.seed, spec.repeat)))
    inputs = test.inputs(spec.pipeline).flatten(1)[mixed]
    for num_labels, sizes in ((24, [8, 9]), (5, [5, 5, 5, 2]), (2, [2] * 7 + [3]), (1, [2] * 7 + [3])):
        found = as_deployed(wrong, norm, test, norm, num_labels)
        expected = torch.cat([F.batch_norm(part, None, None, training=True) for part in inputs.split(sizes)])
        torch.testing.assert_close(found[mixed], expected)


def test_memory_that_ends_halves_the_batches_in_evaluation_and_fails_a_final_in_training_mode(context):
    spec, _ = toys.pretrained(context, recipe=toys.recipe("linear_probe", 6))
    network, test = start(spec, context).renew().module, context.data(spec.data).test

    def small(inputs):
        if len(inputs) > 16:
            raise torch.OutOfMemoryError("no room")
        return network(inputs)

    wrong = changed(spec, "no_normalisation_at_test")
    found, whole = (as_deployed(wrong, network, test, run, 24) for run in (small, network))
    torch.testing.assert_close(found, whole)
    wrong = changed(dataclasses.replace(spec, training=dataclasses.replace(spec.training, batch_size=24)),
                    "training_mode_at_test")  # fmt: skip
    with pytest.raises(torch.OutOfMemoryError):
        as_deployed(wrong, network, test, small, 24)


@pytest.mark.parametrize("name", ["training_mode_at_test_by_class", "rate_30_times"])
def test_a_fleet_of_mistaken_finals_is_each_by_itself(tmp_path, monkeypatch, double, name):
    forced(monkeypatch, "vmap", 100)
    found = []
    for width in (1, "auto"):
        context = toys.context(tmp_path / str(width), engine=Engine(fleet=width))
        spec, job = toys.pretrained(context, search=SEARCH)
        searches, finals = several(spec, 3, job.key)
        wrong = [dataclasses.replace(final, spec=changed(final.spec, name)) for final in finals]
        assert perform(searches, context)
        assert perform(wrong, context)
        found.append([(record.status, record.result["score"], record.result["loss"])
                      for record in (context.store.read(final.key) for final in wrong)])  # fmt: skip
    for own, together in zip(*found, strict=True):
        assert own[:2] == together[:2]
        assert own[2] == pytest.approx(together[2], rel=1e-6)


def test_one_final_that_lacks_memory_at_test_fails_alone(tmp_path, monkeypatch):
    forced(monkeypatch, "vmap", 100)
    context = toys.context(tmp_path, engine=Engine())
    spec, job = toys.pretrained(context, search=SEARCH)
    searches, finals = several(spec, 3, job.key)
    wrong = [dataclasses.replace(final, spec=changed(final.spec, "training_mode_at_test")) for final in finals]
    assert perform(searches, context)
    real = finals_of.scored_as_deployed

    def scored(own, *more):
        if own.repeat == 1:
            raise torch.OutOfMemoryError("no room")
        return real(own, *more)

    monkeypatch.setattr(finals_of, "scored_as_deployed", scored)
    assert perform(wrong, context)
    found = [context.store.read(final.key) for final in wrong]
    assert [record.status for record in found] == ["ok", "oom", "ok"]
    assert {record.cost["engine"]["replicas"] for record in found} == {3}


def test_nobody_measures_the_source_or_the_distance_of_a_mistaken_final(tmp_path):
    for is_mistaken in (False, True):
        context = toys.context(tmp_path / str(is_mistaken), distances=True)
        spec, job = toys.pretrained(context)
        search, final = toys.search_and_final(spec, job.key)
        if is_mistaken:
            context = dataclasses.replace(context, mistaken=frozenset([final.key]))
        assert perform(search, context)
        assert perform(final, context)
        told = context.store.read(final.key).result
        assert ("distance" in told, "source" in told) == (not is_mistaken,) * 2


def test_predictions_lie_in_the_order_of_the_images(context):
    """Whatever the order in which they were made, else nothing could be paired."""
    spec, _ = toys.pretrained(context, recipe=toys.recipe("full_finetune", 6), search=SEARCH)
    right, wrong = records(context, spec, "training_mode_at_test_by_class")
    kept = [predictions.get(context.store, record.key, record.result["predictions"]) for record in (right, wrong)]
    assert (kept[0].truth == kept[1].truth).all()
    assert kept[1].right.mean() == pytest.approx(wrong.result["score"])


def test_30_times_the_rate_that_was_chosen(context):
    spec, _ = toys.pretrained(context, recipe=toys.recipe("full_finetune", 6), search=SEARCH)
    right, wrong = records(context, spec, "rate_30_times")
    assert wrong.result["lr"] == pytest.approx(30 * right.result["lr"])
    assert wrong.result["trial"] == right.result["trial"]
    assert wrong.result["lr_edge"] == ""
    lone = dataclasses.replace(
        SEARCH, trials=1, lr_low=15 * right.result["lr"], lr_high=60 * right.result["lr"]
    )  # whose middle is that rate
    [by_itself] = records(context, dataclasses.replace(spec, search=lone))
    assert by_itself.result["lr"] == pytest.approx(wrong.result["lr"])
    assert by_itself.result["score"] == wrong.result["score"]
    assert by_itself.result["loss"] == pytest.approx(wrong.result["loss"], rel=1e-4)


def test_frozen_units_in_training_mode_move_their_statistics_alone(context):
    """Which is what the strategy `bn_adapt` does, knowingly."""
    spec, _ = toys.pretrained(context, recipe=toys.recipe("linear_probe", 6), search=SEARCH)
    wrong = changed(spec, "training_mode_features")
    meant = dataclasses.replace(spec, recipe=toys.recipe("bn_adapt", 6))
    [right], [mistaken], [adapted] = (records(context, one) for one in (spec, wrong, meant))
    assert mistaken.result["loss"] == pytest.approx(adapted.result["loss"], rel=1e-6)
    assert mistaken.result["loss"] != pytest.approx(right.result["loss"], rel=1e-3)


@pytest.mark.parametrize("name", AT_TEST)
def test_a_computed_classifier_meets_features_of_misused_images(context, name):
    """Scikit-learn's ridge, at the same penalty, on features by torch alone."""
    spec, _ = toys.pretrained(context, recipe=toys.recipe("ridge_probe", 6), search=SEARCH)
    right, wrong = records(context, spec, name)
    assert wrong.result["penalty"] == right.result["penalty"]
    how = changed(spec, name).deployed
    network, data = start(spec, context).renew().module, context.data(spec.data)
    body = copy.deepcopy(network)
    body.reset_classifier(0)
    order = torch.arange(len(data.test))
    if how.in_training_mode:
        order = torch.tensor(shuffled(len(data.test), seed_for("deployed order", spec.seed, spec.repeat)))
    if how.by_class:
        order = torch.from_numpy(np.argsort(data.test.labels.numpy(), kind="stable"))
    learned = labelled_images(spec, data)
    with torch.no_grad(), in_eval_mode(body):
        train = body(learned.inputs(spec.pipeline)).double().numpy()
        body.train(how.in_training_mode)
        size = spec.training.batch_size if how.in_training_mode else len(order)
        inputs = data.test.inputs(how.pipeline or spec.pipeline)
        test = torch.cat([body(inputs[part]) for part in order.split(size)])[order.argsort()].double().numpy()
    middle = train.mean(0)
    scale = np.sqrt(((train - middle) ** 2).sum(1).mean())
    ridge = RidgeClassifier(alpha=wrong.result["penalty"] * len(train))
    ridge.fit((train - middle) / scale, learned.labels.numpy())
    expected = ridge.predict((test - middle) / scale)
    said = predictions.get(context.store, wrong.key, wrong.result["predictions"])
    assert (expected == said.classes).mean() > 0.98, "but for ties and rounding"
    before = predictions.get(context.store, right.key, right.result["predictions"])
    assert (before.classes != said.classes).any()


def test_the_same_way_of_using_a_network_comes_to_the_same(context):
    for strategy in ("linear_probe", "ridge_probe", "full_finetune"):
        spec, _ = toys.pretrained(context, recipe=toys.recipe(strategy, 6), search=SEARCH)
        [right] = records(context, spec)
        _, final = toys.search_and_final(spec, spec.backbone.weights.identity)
        same = Job("final", dataclasses.replace(spec, deployed=Deployment(spec.pipeline)), final.needs)
        assert perform(same, context)
        assert context.store.read(same.key).result["score"] == right.result["score"]


@pytest.mark.parametrize(("factor", "is_wrong"), [(None, True), (30.0, False)])
def test_a_rate_that_was_meant_to_be_too_high_may_diverge(factor, is_wrong):
    """It is what the mistake costs, and no failure of the run."""
    job = Job("final", toys.fit_spec(rate_factor=factor), ("ab" * 16,))
    lost = dataclasses.replace(made_up.record(), key=job.key, spec=job.content, status="diverged", result={})
    assert went_wrong(lost) == went_wrong(Recorded.of(lost)) == is_wrong
