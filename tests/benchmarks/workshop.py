"""Specs and contexts of the benchmarks: data are loaded, weights are written once, and every run begins with an empty
folder, so nothing that the engine keeps on disk survives from one sample to the next."""

import dataclasses
import itertools
import shutil

import pytest
import torch
from safetensors.torch import save_file

from bench import strategies
from bench.backbones.weights_file import file_sha256
from bench.engine.common.context import Context
from bench.engine.jobs.perform import perform
from bench.keys import digest
from bench.modalities.pixels import prepare
from bench.network.build import build_network
from bench.planning.patterns import frozen_patterns
from bench.spec.job import FitSpec, Job
from bench.spec.refs import BackboneRef, DataRef, Engine, LabelBudget, NewHead, Pipeline, Search, Training, Weights
from bench.store import Store
from tests.benchmarks import data

HALF = data.HALF
TRAINING = Training(80, 64, "sgd", 0.9, "cosine", 0.1, 0.0, False, 0, 0, 1, "fp32")
SEARCH = Search(10, "grid", "none", 1 / 9, 1e-3, 0.1, 5e-4, None, None, 0, 1 / 3)
RESNET18 = BackboneRef("resnet18", {}, "coarse", Weights("random"))


class Workshop:
    def __init__(self, folder):
        data.register()
        self.folder, self._numbers = folder, itertools.count()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.files = {}
        self._loaded = {}

    @property
    def on_gpu(self):
        return self.device.type == "cuda"

    def target(self, cpu, gpu):
        return gpu if self.on_gpu else cpu

    def resnet18(self, side, classes=10):
        """ResNet-18 with drawn weights, its BatchNorm statistics those of the drawn images; in a local file."""
        path = self.folder / f"resnet18-{side}.safetensors"
        if not path.exists():
            module = build_network(RESNET18, classes, 0).module
            ref = self.blobs(side, 64, 64)
            with torch.no_grad():
                for _ in range(30):
                    module.train()(prepare(self.context(ref).data(ref).train.values[0].cpu(), pipeline(side)))
            save_file({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, path)
        sha256 = file_sha256(path)
        self.files[sha256] = path
        return dataclasses.replace(RESNET18, weights=Weights("file", sha256))

    @staticmethod
    def blobs(side, train, test=64, classes=10):
        options = data.BlobOptions(side=side, classes=classes, train=train, test=test)
        return DataRef("blobs", options.model_dump(), data.facts(options).revision, classes)

    def context(self, ref, jobs=(), folder=None, **engine):
        """A worker's context whose data are in memory and that has kept nothing yet."""
        folder = folder or self.folder / f"run{next(self._numbers)}"
        made = Context(
            store=Store(folder / "suite"), shared=Store(folder / "pretrained"), cache=folder / "cache",
            device=self.device, weights_files=self.files, provenance={"commit": "none"},
            begins=lambda records, together: None, announce=lambda record: None, stopping=lambda: False,
            notice=lambda text: None, engine=Engine(**engine), patterns=frozen_patterns(jobs),
        )
        if digest(ref) not in self._loaded:
            self._loaded[digest(ref)] = made.data(ref)
        made._loaded[digest(ref)] = self._loaded[digest(ref)]
        return made

    def forget(self, context):
        shutil.rmtree(context.cache.parent, ignore_errors=True)


def pipeline(side):
    return Pipeline(side, HALF, HALF)


def recipe(name, num_units=6, **options):
    entry = strategies.find(name)
    return entry.build(entry.options.model_validate(options), num_units)


def spec(ref, backbone, of, **fields):
    """`fields` of the training and of the search by their names; `repeat` too."""
    training = {f.name for f in dataclasses.fields(Training)} & set(fields)
    search = {f.name for f in dataclasses.fields(Search)} & set(fields)
    rest = set(fields) - training - search
    return FitSpec(
        data=ref, budget=LabelBudget("full"), backbone=backbone, recipe=of,
        pipeline=pipeline(fields.get("side", ref.options.get("side"))),
        training=dataclasses.replace(TRAINING, **{name: fields[name] for name in training}),
        search=dataclasses.replace(SEARCH, **{name: fields[name] for name in search}),
        head=NewHead(), repeat=fields.get("repeat", 0) if rest else 0, seed=0,
    )  # fmt: skip


def searches(specs):
    return [Job("search", one) for one in specs]


def run(jobs, context, together=False):
    """Each job's trial records, in order. `together`: the repeats of one cell, as one bundle."""
    for bundle in [jobs] if together else [[job] for job in jobs]:
        assert perform(bundle, context)
    return results(jobs, context)


def results(jobs, context):
    return [[context.store.read(key) for key in job.record_keys] for job in jobs]


def rates(one):
    """Of the grid."""
    from bench.engine.search.points import ask_cohort

    return [hyper.lr for hyper in ask_cohort(one, [], range(one.search.trials))]


def assert_equal(result, score, num, tolerance=1e-3):
    """A trial's record and a plain loop's score: losses to the tolerance, accuracies to two images at the edge."""
    assert result["loss"] == pytest.approx(score.loss, rel=tolerance)
    assert abs(result["score"] - score.score) <= 2.5 / num
