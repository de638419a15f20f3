"""The published CIFAR-10 accuracies of three checkpoints: through this project's data, networks and scoring, and as one
line of a suite."""

import json

import pytest
import torch

from bench import datasets
from bench.backbones.base import IMAGENET_MEAN, IMAGENET_STD
from bench.datasets import cache as dataset_cache
from bench.datasets.labelled import PictureOptions
from bench.engine.train.evaluate import evaluate
from bench.engine.train.examples import Examples
from bench.network.build import build_network
from bench.network.weights import read_file
from bench.spec.refs import BackboneRef, Pipeline, Weights
from tests.real.test_transfer import run

pytestmark = [pytest.mark.real]

PUBLISHED = {20: (3, 91.73), 32: (5, 92.63), 56: (9, 93.39)}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_facts_are_the_files(real):
    facts = datasets.find("cifar10").facts(PictureOptions())
    assert (facts.num_classes, facts.num_train, facts.num_test, facts.image_size) == (10, 25_000, 10_000, 32)


@pytest.mark.parametrize("layers", PUBLISHED)
def test_published_accuracy(real, cache, layers):
    blocks, expected = PUBLISHED[layers]
    ref = BackboneRef("cifar_resnet", {"blocks": blocks}, "coarse", Weights("random"))
    module = build_network(ref, 10, 0).module
    state = read_file(real / "weights" / f"cifar10_resnet{layers}_akamaster.pth")
    module.load_state_dict(state)  # strict: every tensor, the head too
    test = dataset_cache.load("cifar10", PictureOptions(), cache).test
    images = Examples.on_device(test, torch.device("cpu"))
    pipeline = Pipeline(32, IMAGENET_MEAN, IMAGENET_STD)
    with torch.no_grad():
        scored = evaluate(module.to(memory_format=torch.channels_last), images, pipeline)
    assert scored.num == 10_000
    assert 100 * scored.score == pytest.approx(expected, abs=0.05)


def test_a_published_accuracy_is_one_line_of_a_suite(real, tmp_path):
    backbones = [
        {"name": "cifar_resnet", "options": {"blocks": blocks}, "label": f"resnet{layers}",
         "weights": f"weights/cifar10_resnet{layers}_akamaster.pth"}
        for layers, (blocks, _) in PUBLISHED.items()
    ]  # fmt: skip
    suite = tmp_path / "published.yaml"
    suite.write_text(json.dumps({
        "name": "published", "datasets": ["cifar10"], "backbones": backbones, "repeats": 3,
        "strategies": [{"own_head": {"classes": "same"}}],
    }))
    finals = run(tmp_path, suite)
    assert len(finals) == 9  # a score for each repeat
    assert set(finals["steps"]) == set(finals["flops"]) == {0}
    assert finals["lr"].isna().all()
    for layers, (_, expected) in PUBLISHED.items():
        scores = finals[finals["backbone"] == f"resnet{layers}"]["score"]
        assert (100 * scores).tolist() == pytest.approx([expected] * 3, abs=0.05)
    page = (tmp_path / "reports" / "published.html").read_text()
    assert "own_head" in page
    assert "identical over 3 repeats" in page
