"""The rendered worlds lie as far from their source as they were meant to: what `bench/datasets/README.md` says."""

import dataclasses

import pytest

from bench import datasets
from bench.analysis.distances import Pair, distances
from bench.engine.common.distance import distance_of
from bench.engine.jobs.perform import perform
from bench.spec.refs import BackboneRef, DataRef, Pipeline, Weights
from bench.store.results import Distance
from tests.analysis.test_distances import frame
from tests.engine import toys

pytestmark = pytest.mark.slow

PIPELINE = Pipeline(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def world(name, **options):
    entry = datasets.find(name)
    chosen = entry.options.model_validate(options)
    facts = entry.facts(chosen)
    return DataRef(name, chosen.model_dump(), facts.revision, facts.num_classes)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """From `source` to each."""
    context = toys.context(tmp_path_factory.mktemp("worlds"), distances=True)
    backbone = BackboneRef("small_resnet", {}, "coarse", Weights("random"))
    job = toys.pretrain_job(data=world("source", train_per_class=100), backbone=backbone, pipeline=PIPELINE, epochs=12,
                            batch_size=128, lr=0.2, shift=2)  # fmt: skip
    assert perform(job, context)
    taught = dataclasses.replace(backbone, weights=Weights("pretrain", job.key))
    targets = {"null": world("source", train_per_class=20, seed=1), "near": world("near"), "mid": world("mid"),
               "far": world("far")}  # fmt: skip
    rows = []
    for name, data in targets.items():
        told = distance_of(toys.fit_spec(data=data, backbone=taught, pipeline=PIPELINE), context)["distance"]
        rows.append((name, "probe", 0, Distance(**told)))
    return {pair.dataset: pair for pair in distances(frame(*rows)).pairs}


def test_other_images_of_the_source_are_at_no_distance(pairs: dict[str, Pair]):
    null = pairs["null"]
    for found in (null.features, null.pixels, null.mmd):
        assert found.low < 0 < found.high
    assert null.same_classes
    assert null.target_error.low < null.source_error.mean < null.target_error.high
    assert null.target_error.mean < null.bound < 0.5


def test_near_mid_and_far_follow_each_other(pairs: dict[str, Pair]):
    near, mid, far = (pairs[name] for name in ("near", "mid", "far"))
    assert near.features.mean > 0.5
    assert near.features.high < mid.features.low
    assert mid.features.mean < far.features.mean
    assert near.mmd.high < mid.mmd.low < mid.mmd.high < far.mmd.low
    assert not any(one.same_classes for one in (near, mid, far))
