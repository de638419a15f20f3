"""A further split of a data set: scored by every final with the weights of its test score, and chosen on by nothing."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss, matthews_corrcoef

from bench.datasets import DATASETS
from bench.datasets.base import Split
from bench.engine.jobs import finals as finals_of
from bench.engine.jobs.perform import perform
from bench.modalities.pixels import prepare
from bench.network.capture import in_eval_mode
from bench.planning.pitfalls import PITFALLS
from bench.spec.job import Job
from bench.spec.refs import BackboneRef, Engine, Weights
from tests.conftest import tiny_load
from tests.engine import toys
from tests.engine.test_fleet import forced, records
from tests.engine.test_staging import assert_alike, numbers

pytestmark = pytest.mark.usefixtures("tiny")

FOLDS = dataclasses.replace(toys.SEARCH, folds=2)
WAYS = ["full_finetune", "linear_probe", "wise_ft", "soup", "bn_adapt", "lora", "l2_sp", "ridge_probe",
        "logistic_probe", "prototypes", "knn", "head2toe", "own_head"]  # fmt: skip


def exam_of(whole):
    return whole.test


def strange_split(whole):
    """The test images in another style: a negative, in which a class is the colour that is lacking."""
    return Split.of_images(255 - whole.test.images, whole.test.labels)


@pytest.fixture
def with_shift(monkeypatch):
    """`tiny` has a split `shift`, made of the rest of it."""

    def put(make):
        def load(options):
            whole = tiny_load(options)
            return dataclasses.replace(whole, shift=make(whole))

        monkeypatch.setitem(DATASETS, "tiny", dataclasses.replace(DATASETS["tiny"], load=load))

    return put


def spec_of(context, way, **fields):
    """After a pretraining on `tiny` in another shade, which has the same classes."""
    recipe = toys.recipe(way, 6)
    search = dataclasses.replace(FOLDS, trials=1) if recipe.solve is not None or recipe.own_head is not None else FOLDS
    spec, job = toys.pretrained(context, recipe=recipe, search=search, **fields)
    return spec, job.key


def final_of(folder, way, **fields):
    context = toys.context(folder)
    spec, need = spec_of(context, way, **fields)
    trials, final = toys.everything(context, spec, need)
    assert final.status == "ok", final.error
    return trials, final


@pytest.mark.parametrize("way", WAYS)
def test_a_split_equal_to_the_test_split_scores_exactly_the_same(tmp_path, with_shift, way):
    with_shift(exam_of)
    _, final = final_of(tmp_path, way)
    result = final.result
    assert result["shift"] == {"score": result["score"], "loss": result["loss"], "num": result["num_test"]}


def test_images_of_another_style_score_lower(tmp_path, with_shift):
    with_shift(strange_split)
    _, final = final_of(tmp_path, "full_finetune")
    assert final.result["score"] > 0.6
    assert final.result["shift"]["score"] < 0.3  # worse than a guess


@pytest.mark.parametrize("way", ["full_finetune", "soup", "ridge_probe"])
def test_it_changes_no_other_number(tmp_path, with_shift, way):
    """Neither what a search chooses nor what a final comes to; and without one a record says nothing of it."""
    told = []
    for number, make in enumerate((exam_of, strange_split, lambda whole: None)):
        with_shift(make)
        trials, final = final_of(tmp_path / str(number), way)
        every = [numbers(one) for one in (*trials, final)]
        told.append([{place: value for place, value in one.items() if place != ("dataset_sha256",)} for one in every])
    further = [{place: one[-1].pop(place) for place in list(one[-1]) if "shift" in str(place)} for one in told]
    assert told[0] == told[1] == told[2]
    assert [len(one) for one in further] == [6, 6, 0]  # score, loss, number, and how much of it was seen before
    assert further[0] != further[1]


@pytest.mark.parametrize("metric", ["accuracy", "mean_per_class", "macro_f1", "mcc"])
def test_the_numbers_are_those_of_scikit_learn(tmp_path, with_shift, monkeypatch, double, metric):
    """By the network as it is handed over after the training, with pixels normalised by hand."""
    with_shift(lambda whole: Split.of_images(whole.test.images[::2] // 2, whole.test.labels[::2]))
    seen = {}

    def look(spec, begin, trained, context):
        shift = tiny_shift()
        with trained.team.hold(trained.stream), in_eval_mode(begin.network.module), torch.no_grad():
            pixels = torch.from_numpy(shift.images).permute(0, 3, 1, 2).double() / 255
            seen["logs"] = begin.network.module((pixels - 0.5) / 0.5).log_softmax(1).numpy()
        return None

    def tiny_shift():
        return DATASETS["tiny"].load(DATASETS["tiny"].options()).shift

    monkeypatch.setattr(finals_of, "forgetting", look)
    data = dataclasses.replace(toys.DATA, metric=metric)
    _, final = final_of(tmp_path, "wise_ft", data=data)
    truth, predicted = tiny_shift().labels, seen["logs"].argmax(1)
    theirs = {
        "accuracy": accuracy_score, "mean_per_class": balanced_accuracy_score, "mcc": matthews_corrcoef,
        "macro_f1": lambda truth, predicted: f1_score(truth, predicted, average="macro"),
    }[metric](truth, predicted)  # fmt: skip
    assert final.result["shift"] == {
        "score": pytest.approx(theirs, abs=1e-12),
        "loss": pytest.approx(log_loss(truth, np.exp(seen["logs"])), rel=1e-6),
        "num": 52,
    }


@pytest.mark.parametrize(("strategy", "form"), [("linear_probe", "head"), ("full_finetune", "vmap")])
def test_plain_cut_and_fleet_come_to_the_same(tmp_path, with_shift, monkeypatch, double, strategy, form):
    with_shift(strange_split)
    forced(monkeypatch, form, 100)
    shared = toys.context(tmp_path / "shared")
    job = toys.pretrain_job()
    assert perform(job, shared)
    backbone = BackboneRef("toy_conv", {}, "coarse", Weights("pretrain", job.key))
    spec = toys.fit_spec(recipe=toys.recipe(strategy, 6), backbone=backbone, search=FOLDS,
                         training=dataclasses.replace(toys.TRAINING, batch_size=4))  # fmt: skip
    plain, cut, fleet = (
        records(tmp_path / name, spec, [job.key], 2, shared=shared.shared, engine=engine)
        for name, engine in (("plain", Engine(False, 1)), ("cut", Engine(fleet=1)), ("fleet", Engine()))
    )
    assert_alike(cut, plain)
    assert_alike(fleet, plain, 1e-6)  # at the highest rate losses of 7 carry roundings on
    assert {one.cost["engine"]["replicas"] for one in fleet[-2:]} == {2}
    assert len({one.result["shift"]["loss"] for one in fleet[-2:]}) == 2


def test_a_point_that_was_not_chosen_is_scored_on_it_too(tmp_path, with_shift):
    with_shift(exam_of)
    context = toys.context(tmp_path)
    spec = toys.fit_spec()
    toys.everything(context, spec)
    job = Job("unchosen", spec, (Job("search", spec).key,))
    assert perform(job, context)
    found = [context.store.read(key).result for key in job.record_keys]
    assert [one["shift"]["score"] for one in found] == [one["score"] for one in found]


@pytest.mark.parametrize("way", ["full_finetune", "ridge_probe"])
def test_a_network_in_wrong_use_is_not_scored_on_it(tmp_path, with_shift, way):
    with_shift(exam_of)
    context = toys.context(tmp_path)
    spec, need = spec_of(context, way)
    search, right = toys.search_and_final(spec, need)
    wrong = Job("final", PITFALLS["training_mode_at_test"].change(spec, True), right.needs)
    assert all(perform(job, context) for job in (search, right, wrong))
    results = [context.store.read(job.key).result for job in (right, wrong)]
    assert ["shift" in one for one in results] == [True, False]


def test_repeats_that_divide_the_rest_anew_share_it(tmp_path, with_shift):
    with_shift(lambda whole: Split.of_images(whole.test.images[:7] // 2, whole.test.labels[:7]))
    context = toys.context(tmp_path)
    whole = context.stored(toys.DATA)
    for seed in (11, 12):
        data = context.data(dataclasses.replace(toys.DATA, split=seed), toys.PIPELINE)
        assert torch.equal(data.shift.inputs(toys.PIPELINE), prepare(
            torch.from_numpy(np.array(whole.shift.images)).permute(0, 3, 1, 2), toys.PIPELINE))  # fmt: skip
        assert data.shift.places is None
    spec = toys.fit_spec(data=dataclasses.replace(toys.DATA, split=11))
    assert toys.everything(context, spec)[1].result["shift"]["num"] == 7


def test_its_images_among_the_training_images_are_counted(tmp_path, with_shift):
    with_shift(lambda whole: Split.of_images(np.concatenate([whole.train.images[:4], whole.test.images[:2]]),
                                             np.concatenate([whole.train.labels[:4], whole.test.labels[:2]])))
    _, final = final_of(tmp_path, "prototypes")
    assert final.result["shift_in_train"] == 4


@pytest.mark.parametrize(("labels", "words"), [
    (np.full(5, 3), "shift labels run from 3 to 3, its facts promise 0 to 2"),
    (np.zeros(0), "its shift split is empty"),
])  # fmt: skip
def test_labels_that_are_none_of_the_set_are_refused(tmp_path, with_shift, labels, words):
    with_shift(lambda whole: Split.of_images(whole.test.images[: len(labels)], labels.astype(np.int64)))
    trials, final = toys.everything(toys.context(tmp_path), toys.fit_spec())
    assert final.status == "failed"
    assert words in trials[0].error


@pytest.mark.parametrize("way", ["full_finetune", "linear_probe", "ridge_probe"])
def test_texts_have_one_too_and_it_may_be_wider(tmp_path, monkeypatch, way):
    pytest.importorskip("transformers", reason="transformers is an extra")
    from tests.engine import words

    words.put_in_place(monkeypatch)
    entry = DATASETS["toy_texts"]

    def load(options):
        whole = entry.load(options)
        wider = np.pad(whole.test.columns["text"], ((0, 0), (0, 9)))
        return dataclasses.replace(whole, shift=Split({"text": wider}, whole.test.labels, modality="text"))

    monkeypatch.setitem(DATASETS, "toy_texts", dataclasses.replace(entry, load=load))
    ref, pipeline, files = words.encoder(tmp_path / "net")
    context = toys.context(tmp_path)
    context.weights_files.update(files)
    _, final = toys.everything(context, words.fit_spec(ref, pipeline, way))
    assert final.status == "ok", final.error
    result = final.result
    assert result["shift"] == {"score": result["score"], "loss": result["loss"], "num": result["num_test"]}
