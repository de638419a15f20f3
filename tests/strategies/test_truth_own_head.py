"""A checkpoint as it came, against its network run by hand; and which row of a head stands for which class."""

import dataclasses
import hashlib
import shutil

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from bench.backbones.class_names import hub_classes
from bench.datasets import DATASETS
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Split
from bench.engine.jobs.own_head import rows_of
from bench.engine.jobs.perform import perform
from bench.errors import NotApplicable
from bench.metrics import contributions
from bench.network.build import build_network
from bench.planning.settings import undrawn
from bench.spec.recipe import OwnHead
from bench.spec.refs import BackboneRef, DataRef, Weights
from bench.store import blobs
from bench.store.predictions import get
from tests.conftest import TinyOptions, tiny_load
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]

TURNED = ("Blue", "red")  # of `tiny`'s red, green, blue
OLD = {0: 1, 2: 0}


def turned_load(options):
    """Two of the three colours, in another order and written otherwise."""
    loaded = tiny_load(options)

    def part(split):
        kept = np.flatnonzero(split.labels != 1)
        return Split.of_images(split.images[kept], np.array([OLD[label] for label in split.labels[kept]]))

    return Dataset(TURNED, part(loaded.train), part(loaded.test))


@pytest.fixture
def turned(monkeypatch):
    def facts(options):
        split = turned_load(options)
        return DatasetFacts(2, 8, len(split.train.labels), len(split.test.labels), 20, "turned")

    monkeypatch.setitem(DATASETS, "turned", DatasetEntry("turned", "two colours", facts, turned_load, TinyOptions))
    return DataRef("turned", {"shade": 0}, "turned", 2)


def scored(context, spec, *needs, **options):
    """The record of the final."""
    spec = undrawn(dataclasses.replace(spec, recipe=toys.recipe("own_head", 6, **options)))
    search, final = toys.search_and_final(spec, *needs)
    assert search.record_keys == ()
    assert perform(search, context)
    assert perform(final, context)
    return context.store.read(final.key)


def logits_by_hand(context, spec, images):
    """Straight from the weights' file, in torch alone. [N, 3]"""
    sha256 = context.shared.read(spec.backbone.weights.identity).result["weights_sha256"]
    net = build_network(BackboneRef("toy_conv", {}, "coarse", Weights("random")), 3, 9).module
    net.load_state_dict(load_file(blobs.path_of(context.shared.root, sha256)))  # strict: the head too
    x = (torch.from_numpy(np.array(images)).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
    with torch.no_grad():
        return net.eval()(x)


@pytest.mark.parametrize("among", ["target", "all"])
def test_truth_own_head_scores_as_the_network_does_by_hand(tmp_path, turned, among):
    context = toys.context(tmp_path)
    spec, job = toys.pretrained(context, data=turned)
    record = scored(context, spec, job.key, among=among)
    test = turned_load(TinyOptions()).test
    logits = logits_by_hand(context, spec, test.images)
    logits = logits[:, [2, 0]] if among == "target" else logits[:, [2, 0, 1]]
    labels = torch.from_numpy(test.labels)
    assert record.result["score"] == float((logits.argmax(1) == labels).double().mean()) > 0.5
    assert record.result["loss"] == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-5)
    assert record.result["num_test"] == len(labels)
    assert record.result["rows"] == [2, 0]
    assert {name: record.cost["logical"][name] for name in ("steps", "samples", "flops", "trainable_params")} == {
        "steps": 0, "samples": 0, "flops": 0, "trainable_params": 0}  # fmt: skip
    assert "lr" not in record.result
    kept = get(context.store, record.key, record.result["predictions"])
    assert contributions("accuracy", kept.truth, kept.classes, 2).mean() == record.result["score"]
    assert kept.truth.tolist() == labels.tolist()
    assert kept.classes.tolist() == logits.argmax(1).tolist(), "2: none of the data set's classes"
    logs = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
    assert kept.log_truth == pytest.approx(logs.numpy(), rel=2e-3, abs=1e-4)
    assert record.cost["precision"] == {"used": "fp32", "why": "a checkpoint is scored in full precision"}


def test_an_answer_among_all_classes_is_harder(tmp_path, turned):
    """Planted: a head that always prefers the class which the data set does not have."""
    context = toys.context(tmp_path)
    spec, job = toys.pretrained(context, data=turned)
    state = load_file(blobs.path_of(context.shared.root, context.shared.read(job.key).result["weights_sha256"]))
    head = next(name for name, tensor in state.items() if tensor.shape == (3,) and "head" in name or name == "fc.bias")
    state[head][1] += 1000
    path = tmp_path / "planted.pt"
    torch.save(state, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    backbone = dataclasses.replace(spec.backbone, weights=Weights("file", sha256))
    spec = dataclasses.replace(spec, backbone=backbone)
    context.weights_files[sha256] = path
    names = ["red", "green", "blue"]
    assert scored(context, spec, classes=names).result["score"] > 0.5
    assert scored(context, spec, classes=[2, 0]).result["score"] > 0.5
    assert scored(context, spec, classes=names, among="all").result["score"] == 0.0
    context.keeps = "full"
    context._loaded.clear()
    shutil.rmtree(context.store.runs)
    record = scored(context, spec, classes=names, among="all")
    kept = get(context.store, record.key, record.result["predictions"])
    assert set(kept.classes.tolist()) == {2}
    assert kept.probabilities.shape == (record.result["num_test"], 2)


def test_where_nobody_says_what_the_rows_are_it_does_not_apply(tmp_path):
    context = toys.context(tmp_path)
    path = tmp_path / "x.pt"
    torch.save(toys.network().module.state_dict(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    context.weights_files[sha256] = path
    spec = toys.fit_spec(backbone=BackboneRef("toy_conv", {}, "coarse", Weights("file", sha256)))
    record = scored(context, spec)
    assert record.status == "not_applicable"
    assert "classes: same" in record.error
    assert scored(context, spec, classes="same").status == "ok"
    random = scored(context, toys.fit_spec())
    assert random.status == "not_applicable"
    assert "its weights are random" in random.error


def own(classes=None):
    return OwnHead(classes, "target")


ROWS = [("n01", "tench, Tinca tinca"), ("n02", "goldfish"), ("n03", "crane"), ("n04", "crane"), ("n05", "sea-lion")]


def test_classes_are_found_by_label_description_or_synonym():
    assert rows_of(["Goldfish", "tinca_tinca", "n05"], own(), ROWS, 5) == [1, 0, 4]
    assert rows_of(["sea lion", "tench, Tinca tinca"], own(), ROWS, 5) == [4, 0]


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        (["goldfisch", "tench"], r"not among the head's classes: 'goldfisch' \(nearest: 'goldfish'"),
        (["crane", "tench"], "rows 2 and 3 of the head are both called 'crane'"),
        (["tench", "tinca tinca"], "'tench' and 'tinca tinca' are one class of the head, row 0"),
        (["a1", "b2", "c3", "d4"], "and 1 more"),
    ],
)
def test_what_is_not_there_or_not_clear_is_refused_with_the_reason(classes, told):
    with pytest.raises(NotApplicable, match=told):
        rows_of(classes, own(), ROWS, 5)


@pytest.mark.parametrize(
    ("given", "names", "told"),
    [
        ("same", None, "the head has 5 rows, and the data set 2 classes"),
        ((0, 1, 2), None, "3 rows of the head, and the data set 2 classes"),
        ((0, 0), None, "different rows of the head, from 0 to 4"),
        ((0, 5), None, "different rows of the head, from 0 to 4"),
        (("x", "y"), [("x",), ("y",)], "2 names of classes for a head of 5 rows"),
        (None, None, "unknown"),
    ],
)
def test_an_order_that_cannot_be_is_refused(given, names, told):
    with pytest.raises(NotApplicable, match=told):
        rows_of(["x", "y"], own(given), names, 5)


def test_a_given_order_is_taken_as_it_is():
    assert rows_of(["x", "y"], own((4, 2)), None, 5) == [4, 2]
    assert rows_of(["x", "y"], own("same"), None, 2) == [0, 1]
    assert rows_of(["x", "y"], own(("y", "x")), [("y",), ("x",)], 2) == [1, 0]


def test_hubs_name_their_classes_as_imagenet_does():
    """The first and the last of the 1000 classes of 2012, as everybody knows them."""
    ours, theirs = hub_classes("resnet18.a1_in1k"), hub_classes("torchvision:resnet18.IMAGENET1K_V1")
    assert len(ours) == len(theirs) == 1000
    assert ours[0] == ("n01440764", "tench, Tinca tinca")
    assert ours[999][1].startswith("toilet tissue")
    assert (theirs[0], theirs[999]) == (("tench",), ("toilet tissue",))
    assert rows_of(["tench", "zebra", "n02123045"], own(), ours, 1000) == [0, 340, 281]
    assert len(hub_classes("vit_base_patch16_224.augreg_in21k")) == 21_843
    assert hub_classes(next(n for n in timm.list_models(pretrained=True) if n.endswith("laion2b"))) is None
