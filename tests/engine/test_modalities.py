"""A modality that the house has never seen: points in space. Only its entry is new, and it trains like pictures."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from bench.backbones import BACKBONES
from bench.backbones.base import BackboneEntry, BackboneFacts
from bench.datasets import DATASETS
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Split
from bench.modalities import MODALITIES
from bench.modalities.base import Handling, Modality
from bench.spec.refs import BackboneRef, DataRef, Engine, Weights
from tests.engine import toys
from tests.engine.test_staging import assert_alike

HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Scaling:
    factor: float


@dataclass(frozen=True)
class Noise:
    views: int

    is_random = True

    @property
    def num_views(self):
        return self.views or None


@dataclass(frozen=True)
class Still:
    views: int = 0
    num_views: int = 1
    is_random: bool = False


class PointHandling(Handling):
    """Two columns: a place [3], and a weight that it is multiplied by."""

    def stored(self, columns):
        return tuple(torch.from_numpy(columns[name]) for name in ("places", "weights"))

    def variation(self, training):
        return Noise(training.views) if training.shift else self.still()

    def still(self):
        return Still()

    def vary(self, values, how, generator, rows):
        if how.views:
            return self.view(values, how, rows, self.choose_views(len(values[0]), how, generator))
        return values[0] + 0.1 * torch.randn(values[0].shape, generator=generator), values[1]

    def choose_views(self, num, how, generator):
        return torch.randint(0, how.views, (num,), generator=generator)

    def view(self, values, how, rows, views):
        return values[0] + 0.1 * torch.sin(rows * 7 + views)[:, None], values[1]

    def inputs(self, parts, pipeline):
        x = torch.cat([places * weights[:, None] * pipeline.factor for places, weights in parts])
        return x.to(torch.get_default_dtype())

    def blank(self, pipeline, num, device):
        return torch.zeros(num, 3, device=device)

    def per_pass(self, pipeline):
        return 16


def points(options):
    draw = np.random.default_rng(0)

    def split(num):
        labels = draw.integers(0, 3, num)
        places = draw.normal(size=(num, 3)) * 0.5 + np.eye(3)[labels] * 2
        return Split({"places": places, "weights": np.ones(num)}, labels, modality="point")

    return Dataset(("x", "y", "z"), split(60), split(103))


class Layers(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.stem, self.block, self.head = nn.Linear(3, 16), nn.Linear(16, 16), nn.Linear(16, num_classes)

    def forward(self, x):
        return self.head(torch.relu(self.block(torch.relu(self.stem(x)))))

    def get_classifier(self):
        return self.head

    def group_matcher(self, coarse=False):
        return {"stem": r"^stem", "blocks": [(r"^block", None)]}


@pytest.fixture
def point(monkeypatch):
    def check(columns):
        assert columns["places"].shape[1:] == (3,)

    entry = Modality("point", "points", ("places", "weights"), check, Scaling, PointHandling, lambda *_: Scaling(0.5),
                     "point")
    monkeypatch.setitem(MODALITIES, "point", entry)
    facts = DatasetFacts(3, 1, 60, 103, 12, "points-0")
    monkeypatch.setitem(
        DATASETS, "points", DatasetEntry("points", "points", lambda options: facts, points, modality="point")
    )
    of_layers = BackboneFacts(("stem", "block", "head"), HALF, HALF, has_batchnorm=False, modality="point")
    monkeypatch.setitem(
        BACKBONES, "layers", BackboneEntry("layers", "a small network", of_layers, lambda num, _: Layers(num))
    )


def spec(strategy, **changes):
    return toys.fit_spec(
        data=DataRef("points", {}, "points-0", 3), backbone=BackboneRef("layers", {}, "coarse", Weights("random")),
        recipe=toys.recipe(strategy, 3), pipeline=Scaling(0.5),
        training=dataclasses.replace(toys.TRAINING, steps=40, **changes),
    )  # fmt: skip


@pytest.mark.usefixtures("point")
@pytest.mark.parametrize("changes", [{}, {"shift": 1}, {"shift": 1, "views": 2}])
@pytest.mark.parametrize("strategy", ["full_finetune", "linear_probe", "gradual_unfreeze"])
def test_it_learns_and_every_way_comes_to_the_same(tmp_path, double, strategy, changes):
    ways = {"plain": Engine(partition=False, fleet=1), "cut": Engine(fleet=1), "fleet": Engine()}
    found = {}
    for way, engine in ways.items():
        trials, final = toys.everything(toys.context(tmp_path / way, engine=engine), spec(strategy, **changes))
        found[way] = [*trials, final]
        assert {record.status for record in found[way]} == {"ok"}, found[way][0].error
    assert found["plain"][-1].result["score"] > 0.8
    for way in ("cut", "fleet"):
        assert_alike(found[way], found["plain"])


@pytest.mark.usefixtures("point")
def test_closed_forms_and_kept_columns(tmp_path):
    context = toys.context(tmp_path)
    _, final = toys.everything(context, spec("ridge_probe"))
    assert final.result["score"] > 0.8
    again = toys.context(tmp_path).stored(DataRef("points", {}, "points-0", 3))
    assert list(again.train.columns) == ["places", "weights"]
    assert again.sha256 == points(None).sha256
