"""What a final's record tells of its data: images that were learned before, and what the public set has more."""

import dataclasses

import numpy as np
import pytest

from bench.datasets import DATASETS
from bench.datasets.base import Dataset, DatasetEntry, PublicSize, Split
from bench.engine.common import seen
from bench.engine.jobs.perform import perform
from bench.spec.job import Job
from bench.spec.refs import DataRef, Weights
from tests.conftest import TINY, TinyOptions, tiny_facts, tiny_load
from tests.engine import toys

pytestmark = pytest.mark.usefixtures("tiny")
LEAKS = 40
LEAKY = DataRef("leaky", {"shade": 5}, "leaky", toys.CLASSES)


def leaky_load(options):
    """Images of its own, and some that `tiny` is tested on."""
    own, tiny = tiny_load(options), tiny_load(TinyOptions())
    images = np.concatenate([own.train.images, tiny.test.images[:LEAKS]])
    return Dataset(own.classes, Split.of_images(images, np.arange(len(images)) % toys.CLASSES), own.test)


@pytest.fixture(autouse=True)
def _leaky(monkeypatch):
    entry = DatasetEntry("leaky", "", lambda options: dataclasses.replace(tiny_facts(options), revision="leaky"),
                         leaky_load, TinyOptions)  # fmt: skip
    monkeypatch.setitem(DATASETS, "leaky", entry)


def final_after(context, *sources, **fields):
    """The record of a final whose network learned these data sets, one after the other."""
    weights, needs = Weights("random"), ()
    for source in sources:
        backbone = dataclasses.replace(toys.fit_spec().backbone, weights=weights)
        job = Job("pretrain", toys.pretrain_job(data=source, backbone=backbone, epochs=1).spec, needs)
        assert perform(job, context)
        weights, needs = Weights("pretrain", job.key), (*needs, job.key)
    backbone = dataclasses.replace(toys.fit_spec().backbone, weights=weights)
    return toys.everything(context, toys.fit_spec(backbone=backbone, **fields), *needs)[1]


def test_each_pretraining_is_told_in_its_order(tmp_path):
    other = DataRef("tiny", {"shade": 1}, "tiny-1", toys.CLASSES)
    record = final_after(toys.context(tmp_path), other, LEAKY)
    twice = sum(
        any((image == known).all() for known in tiny_load(TinyOptions()).train.images)
        for image in tiny_load(TinyOptions()).test.images
    )
    assert record.status == "ok"
    assert record.result["overlap"] == [
        {"dataset": "tiny", "test": 0, "num_test": 103, "train": 0, "num_train": 60},
        {"dataset": "leaky", "test": LEAKS, "num_test": 103, "train": 0, "num_train": 60},
    ]
    assert record.result["test_in_train"] == twice
    assert record.result["unlike_public"] == ""


@pytest.mark.parametrize("name", ["ridge_probe", "linear_probe"])
def test_whatever_the_strategy(tmp_path, name):
    record = final_after(toys.context(tmp_path), LEAKY, recipe=toys.recipe(name, 6))
    assert [one["test"] for one in record.result["overlap"]] == [LEAKS]


def test_random_weights_have_seen_nothing_and_a_smaller_set_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "tiny", dataclasses.replace(TINY, public=PublicSize(3, 240, 103)))
    record = final_after(toys.context(tmp_path))
    assert record.result["overlap"] == []
    assert record.result["unlike_public"] == "60 of 240 training images"


def test_an_account_that_fails_costs_no_score(tmp_path, monkeypatch):
    monkeypatch.setattr(seen, "overlap", lambda one, other: 1 / 0)
    record = final_after(toys.context(tmp_path), LEAKY)
    assert record.status == "ok"
    assert "overlap" not in record.result
