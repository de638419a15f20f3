"""A set that repeats divide anew: each learns from its own training images and is scored on its own test images,
however the work is done."""

import dataclasses

import numpy as np
import pytest
import torch

from bench.datasets import DATASETS, cache
from bench.datasets.base import Dataset, Split
from bench.engine.common.sources import setting_for
from bench.engine.common.start import final_stream, start, trial_streams
from bench.engine.jobs.perform import perform
from bench.execute.bundles import bundles
from bench.spec.refs import BackboneRef, Engine, Weights
from tests.conftest import TinyOptions
from tests.engine import toys
from tests.engine.test_fleet import forced
from tests.engine.test_staging import assert_alike, numbers

pytestmark = [pytest.mark.usefixtures("tiny")]

SEEDS = (11, 12, 13)


def divided(seed):
    return dataclasses.replace(toys.DATA, split=seed)


def pictures(examples):
    return {image.tobytes() for image in examples.values[0].numpy()}


def repeats_of(spec):
    return [dataclasses.replace(spec, repeat=number, data=divided(seed)) for number, seed in enumerate(SEEDS)]


def test_each_division_has_all_images_once_and_as_many_of_each_class(tmp_path):
    context = toys.context(tmp_path)
    whole = context.data(toys.DATA)
    every = pictures(whole.train) | pictures(whole.test)
    found = [context.data(divided(seed)) for seed in SEEDS]
    for one in found:
        assert pictures(one.train).isdisjoint(pictures(one.test))
        assert pictures(one.train) | pictures(one.test) == every
        for split in ("train", "test"):
            counts = [torch.bincount(getattr(data, split).labels).tolist() for data in (one, whole)]
            assert counts[0] == counts[1]
    assert len({one.sha256 for one in found} | {whole.sha256}) == 4
    assert len({frozenset(pictures(one.test)) for one in found}) == 3
    assert toys.context(tmp_path / "other").data(divided(11)).sha256 == found[0].sha256


def test_its_test_images_are_told_by_their_places_in_the_pool(tmp_path):
    context = toys.context(tmp_path)
    one, pool = context.data(divided(11)), context.stored(toys.DATA).pool
    assert one.test.places.dtype == np.uint32
    stored = torch.from_numpy(np.array(pool.images[one.test.places])).permute(0, 3, 1, 2)
    assert torch.equal(one.test.values[0], stored)
    assert context.data(toys.DATA).test.places is None


def test_divisions_share_their_pixels(tmp_path):
    context = toys.context(tmp_path)
    places = {split.stored[0].data_ptr() for seed in SEEDS for one in [context.data(divided(seed))]
              for split in (one.train, one.test)}  # fmt: skip
    assert len(places) == 1


@pytest.mark.parametrize("strategy", ["full_finetune", "linear_probe", "ridge_probe", "bn_adapt", "dann"])
def test_scores_are_those_of_a_set_that_came_with_these_splits(tmp_path, monkeypatch, double, strategy):
    context = toys.context(tmp_path / "divided")
    spec, pretraining = toys.pretrained(context, recipe=toys.recipe(strategy, 6))
    mine = toys.everything(context, dataclasses.replace(spec, data=divided(11)), pretraining.key)

    whole = DATASETS["tiny"].load(TinyOptions())
    pool, (train, test) = whole.pool, whole.divided(11)
    parts = [Split.of_images(pool.images[rows], pool.labels[rows]) for rows in (train, test)]
    tiny = DATASETS["tiny"]

    def load(options):
        return Dataset(whole.classes, *parts) if options.shade == 0 else tiny.load(options)

    monkeypatch.setitem(DATASETS, "tiny", dataclasses.replace(tiny, load=load))
    plain = toys.context(tmp_path / "plain", shared=context.shared)
    theirs = toys.everything(plain, spec, pretraining.key)
    for one, other in zip([*mine[0], mine[1]], [*theirs[0], theirs[1]], strict=True):
        assert one.status == other.status == "ok", (one.error, other.error)
        left, right = numbers(one), numbers(other)
        assert left.pop(("dataset_sha256",), None) != right.pop(("dataset_sha256",), "")
        assert left.pop(("predictions",), None) != right.pop(("predictions",), "")  # only one is of a pool
        assert left.keys() == right.keys()
        for place, value in left.items():
            assert value == (pytest.approx(right[place], abs=1e-8) if isinstance(value, float) else right[place])


@pytest.mark.parametrize(("strategy", "form", "changes", "whole"), [
    ("linear_probe", "head", {}, True), ("full_finetune", "vmap", {}, True), ("linear_probe", "head", {}, False),
    ("linear_probe", "head", {"flip": True}, True),
])  # fmt: skip
def test_a_fleet_of_repeats_scores_each_on_its_own_images(
    tmp_path, monkeypatch, double, strategy, form, changes, whole
):
    """`whole`: one table of features for all of them."""
    forced(monkeypatch, form, 100)
    if not whole:
        monkeypatch.setattr("bench.engine.reuse.stages._bases", lambda images, most: list(images))
    shared = toys.context(tmp_path / "shared")
    job = toys.pretrain_job(data=dataclasses.replace(toys.DATA, options={"shade": 1}, revision="tiny-1"))
    assert perform(job, shared)
    spec = toys.fit_spec(
        recipe=toys.recipe(strategy, 6), backbone=BackboneRef("toy_conv", {}, "coarse", Weights("pretrain", job.key)),
        training=dataclasses.replace(toys.TRAINING, batch_size=4, **changes),
    )  # fmt: skip
    pairs = [toys.search_and_final(one, job.key) for one in repeats_of(spec)]
    searches, finals = zip(*pairs, strict=True)
    assert bundles([*searches, *finals], is_gpu=True) == [searches, finals]

    def records(folder, engine):
        context = toys.context(folder, shared=shared.shared, engine=engine)
        assert perform(searches, context)
        assert perform(finals, context)
        return [context.store.read(key) for one in (*searches, *finals) for key in one.record_keys]

    plain = records(tmp_path / "plain", Engine(partition=False, fleet=1))
    fleet = records(tmp_path / "fleet", Engine())
    assert_alike(fleet, plain, 1e-6)  # a loss that grows carries roundings on
    assert_alike(records(tmp_path / "alone", Engine(fleet=1)), plain)
    assert {one.cost["engine"]["replicas"] for one in fleet[-3:]} == {3}
    assert len({one.result["dataset_sha256"] for one in fleet[-3:]}) == 3


def test_one_table_of_features_serves_every_division(tmp_path):
    context = toys.context(tmp_path)
    spec, pretraining = toys.pretrained(context, recipe=toys.recipe("linear_probe", 6))
    for one in repeats_of(spec):
        toys.everything(context, one, pretraining.key)
    assert context.features.computed == 1


def test_where_that_is_too_large_each_division_has_its_own(tmp_path, monkeypatch, double):
    context = toys.context(tmp_path / "whole")
    spec, pretraining = toys.pretrained(context, recipe=toys.recipe("linear_probe", 6))
    whole = toys.everything(context, dataclasses.replace(spec, data=divided(11)), pretraining.key)
    (table,) = context.features._open.values()
    monkeypatch.setattr("bench.engine.reuse.stages.LARGEST", table.nbytes - 1)
    parts = toys.context(tmp_path / "parts", shared=context.shared)
    found = toys.everything(parts, dataclasses.replace(spec, data=divided(11)), pretraining.key)
    assert_alike([*found[0], found[1]], [*whole[0], whole[1]])
    assert found[1].cost["engine"]["frozen"] == whole[1].cost["engine"]["frozen"] == ["kept"]
    assert parts.features.computed > 1


def test_what_is_unlabelled_holds_no_image_that_is_tested_on(tmp_path):
    context = toys.context(tmp_path)
    spec = dataclasses.replace(toys.fit_spec(), data=divided(11))
    data = context.data(spec.data)
    begin = start(spec, context)
    final = final_stream(spec, data)
    assert pictures(setting_for(spec, begin, final, context).unlabelled) == pictures(data.train)
    images = data.train.take(np.arange(30))
    for stream in trial_streams(spec, images):
        seen = pictures(setting_for(spec, begin, stream, context).unlabelled)
        assert seen == pictures(data.train) - pictures(stream.scored)
        assert seen.isdisjoint(pictures(data.test))


def test_images_that_stay_in_their_file_are_divided_there(tmp_path, monkeypatch):
    """None is copied: the pool is one file."""
    monkeypatch.setattr("bench.engine.common.context.RESIDENT_BYTES", 0)
    tiny = DATASETS["tiny"]
    monkeypatch.setitem(DATASETS, "tiny", dataclasses.replace(
        tiny, load=lambda options: dataclasses.replace(tiny.load(options), is_divided=True)))  # fmt: skip
    context = toys.context(tmp_path)
    one = context.data(divided(11))
    assert one.test.is_streamed
    assert pictures(one.test).isdisjoint(pictures(one.train))
    assert isinstance(cache.load("tiny", TinyOptions(), context.cache).pool.images, np.memmap)
