"""What finals tell of how far their target lies from what the network learned before."""

import dataclasses

import pytest
import torch

from bench import modalities
from bench.engine.common import distance
from bench.engine.common.distance import distance_of
from bench.engine.common.sources import source_of
from bench.engine.jobs.perform import perform
from bench.network.capture import in_eval_mode
from bench.spec.refs import BackboneRef, Weights
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]


def asked(tmp_path, **fields):
    return toys.context(tmp_path, distances=True, **fields)


def final_of(context, name="linear_probe", **options):
    spec, job = toys.pretrained(context)
    spec = dataclasses.replace(spec, recipe=toys.recipe(name, 6, **options))
    _, final = toys.everything(context, spec, job.key)
    return spec, final


@pytest.mark.parametrize("name", ["linear_probe", "ridge_probe"])
def test_every_final_that_is_asked_tells_the_same(tmp_path, name):
    context = asked(tmp_path)
    spec, final = final_of(context, name)
    found = final.result["distance"]
    assert found["num"] == 60
    assert found == distance_of(spec, context)["distance"]
    assert final.final.distance.features == found["features"]


def test_nothing_is_said_where_nobody_asked_and_the_rest_is_the_same(tmp_path):
    _, plain = final_of(toys.context(tmp_path / "plain"))
    _, final = final_of(asked(tmp_path / "asked"))
    assert "distance" not in plain.result
    assert final.key == plain.key
    assert {**plain.result, "distance": final.result["distance"]} == final.result


def test_nothing_is_said_of_weights_that_were_not_made_here(tmp_path):
    _, final = toys.everything(asked(tmp_path), toys.fit_spec())
    assert "distance" not in final.result


def test_errors_of_the_network_itself_are_those_of_an_evaluation_by_hand(tmp_path):
    """Source and target have the same three colours, so that its own head can be asked about both."""
    context = asked(tmp_path)
    spec, final = final_of(context)
    source, target = source_of(spec, context), context.data(spec.data)
    sampled = distance._samples(source.test, target.train)
    by_hand = []
    with torch.no_grad(), in_eval_mode(source.network.module):
        for images in sampled:
            said = source.network.module(images.inputs(spec.pipeline)).argmax(1)
            by_hand.append(float((said != images.labels).double().mean()))
    found = final.result["distance"]
    assert found["same_classes"] is True
    assert [found["source_error"], found["target_error"]] == pytest.approx(by_hand)
    assert [len(one) for one in sampled] == [60, 60]


def test_distance_and_joint_error_are_scikit_learns(tmp_path):
    """By its own cross-validation on the same folds: features, thumbnails, and the labels of both sides."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import PredefinedSplit, cross_val_predict

    context = asked(tmp_path)
    spec, final = final_of(context)
    source = source_of(spec, context)
    ours, theirs = distance._samples(source.test, context.data(spec.data).train)
    with torch.no_grad():
        rows = [source.network.module.forward_head(source.network.module.forward_features(one.inputs(spec.pipeline)),
                                                   pre_logits=True) for one in (ours, theirs)]  # fmt: skip
    pixels = torch.cat([one.inputs(spec.pipeline).flatten(1) for one in (ours, theirs)])

    def wrong(features, labels):
        z = features.double()
        z = ((z - z.mean(0)) / (z - z.mean(0)).square().sum(1).mean().sqrt()).numpy()
        folds = PredefinedSplit(distance._folds(labels).numpy())
        both = 2 if len(labels.unique()) == 2 else 1  # of two classes they have one row of weights
        model = LogisticRegression(C=both / (distance.PENALTY * 96), max_iter=10_000, tol=1e-8)
        return cross_val_predict(model, z, labels.numpy(), cv=folds) != labels.numpy()

    side = torch.arange(2).repeat_interleave(60)
    found = final.result["distance"]
    joint = wrong(torch.cat(rows), torch.cat([ours.labels, theirs.labels]))
    # They scale by all rows, we by those of the fit, so a row at the border may change sides.
    assert found["features"] == pytest.approx(wrong(torch.cat(rows), side).mean(), abs=2.1 / 120)
    assert found["pixels"] == pytest.approx(wrong(pixels, side).mean(), abs=2.1 / 120)
    assert found["joint_source"] == pytest.approx(joint[:60].mean(), abs=1.1 / 60)
    assert found["joint_target"] == pytest.approx(joint[60:].mean(), abs=1.1 / 60)


def test_classes_are_matched_by_name_and_others_stand_side_by_side():
    assert distance._places(("a", "b"), ("b", "a")).tolist() == [1, 0]
    assert distance._places(("a", "b"), ("a", "c")) is None
    assert distance._places((), ()) is None


def test_where_classes_differ_no_error_of_the_own_head_on_the_target_is_told(tmp_path):
    context = asked(tmp_path)
    spec, job = toys.pretrained(context)
    part = dataclasses.replace(toys.DATA, num_classes=2, classes=(0, 2))
    found = distance_of(dataclasses.replace(spec, data=part), context)["distance"]
    assert found["same_classes"] is False
    assert found["target_error"] is None
    assert found["num"] == 40
    assert 0 <= found["joint_source"] <= 1


def test_it_is_measured_from_the_last_data_set_that_was_learned(tmp_path):
    context = asked(tmp_path)
    spec, job = toys.pretrained(context)
    own = dataclasses.replace(toys.DATA, options={"shade": 7}, revision="tiny-7")
    stage = toys.pretrain_job(backbone=spec.backbone, data=own)
    stage = dataclasses.replace(stage, needs=(job.key,))
    assert perform(stage, context)
    spec = dataclasses.replace(spec, backbone=BackboneRef("toy_conv", {}, "coarse", Weights("pretrain", stage.key)))
    seen = []
    measure = distance._measure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distance, "_measure", lambda *args: seen.append(args) or measure(*args))
        distance_of(spec, context)
    ((_, taught, source, _),) = seen
    assert source.sha256 == context.data(own).sha256
    assert taught.test is source.test


def test_it_is_found_out_once_for_all_finals_and_all_processes(tmp_path, monkeypatch):
    context = asked(tmp_path)
    spec, final = final_of(context)
    monkeypatch.setattr(distance, "_measure", lambda *_: pytest.fail("measured again"))
    again = asked(tmp_path)
    other = dataclasses.replace(spec, repeat=1, recipe=toys.recipe("full_finetune", 6))
    assert distance_of(other, again)["distance"] == final.result["distance"]
    with pytest.raises(pytest.fail.Exception):  # of other images it must be
        distance_of(dataclasses.replace(spec, data=dataclasses.replace(toys.DATA, options={"shade": 3})), again)


def test_a_measurement_that_fails_costs_no_score_and_says_why(tmp_path, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("no room")

    said = []
    monkeypatch.setattr(distance, "squared_mmd", fail)
    _, final = final_of(asked(tmp_path, notice=said.append))
    assert final.status == "ok"
    assert final.result["distance"] == {"error": "OutOfMemoryError: no room"}
    assert said == ["tiny: its distance from what was learned before could not be measured: OutOfMemoryError: no room"]


def test_too_few_images_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(distance, "FEWEST", 61)
    _, final = final_of(asked(tmp_path, notice=lambda _: None))
    assert final.result["distance"]["error"] == (
        "ValueError: 60 examples of each side; 61 are the fewest that say anything"
    )


def test_pictures_become_thumbnails(tmp_path, monkeypatch):
    monkeypatch.setattr(distance, "SIDE", 4)
    rows = distance._pixels(toys.images("test"), toys.fit_spec())
    inputs = toys.images("test").inputs(toys.PIPELINE)
    assert rows.shape == (103, 3 * 4 * 4)
    assert torch.allclose(rows[5].reshape(3, 4, 4)[1, 0, 0], inputs[5, 1, :2, :2].mean(), atol=1e-6)


def test_a_joint_error_that_cannot_be_had_costs_nothing_else(tmp_path, monkeypatch):
    """One image of each class cannot be held out; of two, there are two folds."""
    context = asked(tmp_path)
    spec, _ = toys.pretrained(context)
    network, data = source_of(spec, context), context.data(spec.data)
    monkeypatch.setattr(distance, "FEWEST", 2)
    monkeypatch.setattr(distance, "_told_apart", lambda *_: 0.25)
    first = [int((data.train.labels == number).nonzero()[0]) for number in range(3)]
    apart = dataclasses.replace(data, train=data.train.take(torch.tensor(first)),
                                test=data.train.take(torch.tensor(first)), classes=("1", "2", "3"))  # fmt: skip
    source = dataclasses.replace(apart, classes=("4", "5", "6"))
    monkeypatch.setattr(distance, "squared_mmd", lambda *_: (0.0, 0.0))
    found = distance._measure(spec, network, source, apart)
    assert (found.joint_source, found.joint_target, found.joint_folds) == (None, None, 0)
    assert (found.features, found.num) == (0.25, 3)
    assert found.source_error is not None
    assert distance._measure(spec, network, apart, apart).joint_folds == 2


def test_of_texts_tokens_are_counted():
    """Held against scikit-learn's counts; batches of different lengths give rows of one width."""
    from sklearn.feature_extraction.text import CountVectorizer

    tokens = torch.tensor([[3, 5, 3, 0], [5, 4095, 0, 0]])
    texts = [" ".join(f"t{number}" for number in row if number) for row in tokens.tolist()]
    vocabulary = {f"t{number}": number for number in range(distance.COUNTED)}
    theirs = CountVectorizer(vocabulary=vocabulary).transform(texts).toarray()
    assert distance._counts(tokens).tolist() == theirs.tolist()
    longer = torch.nn.functional.pad(tokens, (0, 5))
    assert torch.equal(distance._counts(longer), distance._counts(tokens))


def test_texts_of_different_lengths_are_told_apart():
    from bench.backbones.small_transformer import SmallTransformerOptions, takes
    from bench.datasets.written import WRITTEN, WrittenOptions

    pipeline = takes(SmallTransformerOptions().model_dump())
    handling, rows = modalities.of(pipeline).handling(), []
    for name in ("sentences", "sentences_mid"):
        split = WRITTEN[name].load(WrittenOptions(train_per_class=10, test_per_class=10)).test
        tokens = handling.prepared(split.columns, pipeline, {}).long()
        rows.append(distance._counts(tokens))
    assert distance._told_apart(rows[0][:40], rows[1][:40]) < 0.3
