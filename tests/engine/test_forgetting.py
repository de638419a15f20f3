"""What is recorded of the source task, against an evaluation by hand."""

import dataclasses

import pytest
import torch

from bench.engine.common.sources import source_of
from bench.engine.common.start import start
from bench.engine.jobs import forgetting
from bench.engine.train.evaluate import evaluate
from bench.modalities.pixels import prepare
from bench.network.capture import classifier_of, in_eval_mode, watched
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]


def finals(tmp_path, name, **options):
    context = toys.context(tmp_path)
    spec, job = toys.pretrained(context)
    recipe = toys.recipe(name, 6, **options)
    spec = dataclasses.replace(spec, recipe=recipe, search=dataclasses.replace(toys.SEARCH, lr_low=0.1, lr_high=0.3))
    _, final = toys.everything(context, spec, job.key)
    return context, spec, final


def test_before_is_the_pretraining_s_own_score(tmp_path):
    context, spec, final = finals(tmp_path, "full_finetune")
    record = context.shared.read(spec.backbone.weights.identity)
    found = final.result["source"]
    assert found["num"] == 103
    assert found["before"]["original"] == pytest.approx(record.result["score"])


def test_after_is_what_the_trained_body_says_with_the_old_head(tmp_path):
    """Trained once more by the plain loop, then scored with the pretrained head put back."""
    from bench.engine.common.start import final_stream
    from bench.engine.train.loop import train
    from bench.engine.train.optimize import Hyper

    context, spec, final = finals(tmp_path, "full_finetune")
    begin = start(spec, context)
    begin.renew()
    stream = final_stream(spec, context.data(spec.data))
    hyper = Hyper(final.result["lr"], final.result["weight_decay"])
    train(begin.network, toys.assignment(spec.recipe, None, images=stream.images, order_seed=stream.order_seed,
                                         hyper=hyper))  # fmt: skip
    source = source_of(spec, context)
    with torch.no_grad():
        for own, old in zip(classifier_of(begin.network).parameters(), classifier_of(source.network).parameters(),
                            strict=True):  # fmt: skip
            own.copy_(old)
    by_hand = evaluate(begin.network.module, source.test, toys.PIPELINE).score
    assert final.result["source"]["after"]["original"] == pytest.approx(by_hand)
    assert by_hand != final.result["source"]["before"]["original"]


def test_a_frozen_body_forgets_nothing_and_is_not_asked(tmp_path, monkeypatch):
    asked = []
    real = forgetting.Exam.take
    take = lambda exam, network, head: asked.append(network) or real(exam, network, head)  # noqa: E731
    monkeypatch.setattr(forgetting.Exam, "take", take)
    _, _, final = finals(tmp_path, "linear_probe")
    assert final.result["source"]["after"] == final.result["source"]["before"]
    assert len(asked) == 1


def test_a_refitted_head_keeps_what_was_only_moved(tmp_path):
    """Ridge regression on the features of other source images, as scikit-learn would centre and scale them."""
    context, spec, final = finals(tmp_path, "linear_probe")
    source = source_of(spec, context)
    with torch.no_grad(), in_eval_mode(source.network.module):
        rows = []
        for images in (source.train, source.test):
            with watched(source.network) as seen:
                source.network.module(prepare(images.values[0], toys.PIPELINE))
            rows.append(seen.features[0].double())
    train, test = rows
    scale = (train - train.mean(0)).square().sum(1).mean().sqrt()
    z = (train - train.mean(0)) / scale
    targets = 2 * torch.nn.functional.one_hot(source.train.labels, 3).double() - 1
    weight = torch.linalg.solve(z.T @ z / len(z) + 0.01 * torch.eye(z.shape[1]).double(),
                                z.T @ (targets - targets.mean(0)) / len(z))  # fmt: skip
    said = ((test - train.mean(0)) / scale) @ weight + targets.mean(0)
    by_hand = (said.argmax(1) == source.test.labels).double().mean().item()
    assert final.result["source"]["before"]["refitted"] == pytest.approx(by_hand)


@pytest.mark.parametrize("name", ["scratch", "moments"])
def test_nothing_is_said_where_nothing_was_kept(tmp_path, name):
    _, _, final = finals(tmp_path, name)
    assert final.result["source"] is None


def test_nothing_is_said_of_other_weights(tmp_path):
    _, final = toys.everything(toys.context(tmp_path), toys.fit_spec())
    assert final.result["source"] is None


def test_many_source_images_are_thinned_out_evenly_and_always_alike():
    images = toys.images("test")
    forgetting_seen = forgetting.SEEN
    try:
        forgetting.SEEN = 30
        one, other = forgetting._some(images), forgetting._some(images)
    finally:
        forgetting.SEEN = forgetting_seen
    assert len(one) == 30
    assert torch.equal(one.rows if one.rows is not None else one.labels, other.rows if other.rows is not None
                       else other.labels)  # fmt: skip
    assert torch.bincount(one.labels).min() >= 8


def test_a_measurement_that_fails_costs_no_score_and_says_why(tmp_path, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(forgetting.Exam, "take", fail)
    _, _, final = finals(tmp_path, "full_finetune")
    assert final.status == "ok"
    assert 0 < final.result["score"] <= 1
    assert final.result["source"]["error"] == "OutOfMemoryError: no room"


def test_averaged_weights_are_measured_alike_whatever_was_counted_before(tmp_path):
    """A final alone in a process, and one after others that counted the FLOPs of one of its phases."""
    found = []
    for before in (None, "linear_probe", "full_finetune"):
        context = toys.context(tmp_path / str(before))
        spec, job = toys.pretrained(context)
        if before is not None:
            toys.everything(context, dataclasses.replace(spec, recipe=toys.recipe(before, 6)), job.key)
        _, final = toys.everything(context, dataclasses.replace(spec, recipe=toys.recipe("wise_ft", 6)), job.key)
        found.append(final.result)
    assert found[0]["source"]["after"] != found[0]["source"]["before"]
    assert found[0] == found[1] == found[2]
