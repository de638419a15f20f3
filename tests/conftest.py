"""What the tests of strategies, backbones, plan and engine share: tiny catalogue entries, in place for one test.

Importing this file costs no torch; `tests/engine/toys.py`, which does, is imported by those tests that train.
"""

import io
import os
import sys

import pytest

from bench.backbones import BACKBONES
from bench.backbones.base import BackboneEntry, BackboneFacts
from bench.datasets import DATASETS
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Options, Split

CLASSES = 3
PER_CLASS = 20
TEST = 103
HALF = (0.5, 0.5, 0.5)
CONV_UNITS = ("stem", "stage1", "stage2", "stage3", "stage4", "head")
VIT_UNITS = ("stem", "block0", "block1", "block2", "head")


class TinyOptions(Options):
    shade: int = 0
    """Another value, other pixels."""


def tiny_facts(options):
    return DatasetFacts(CLASSES, 8, CLASSES * PER_CLASS, TEST, PER_CLASS, f"tiny-{options.shade}")


def tiny_load(options):
    """A class is a colour under noise: learnt in a dozen steps, but not at once."""
    import numpy as np

    draw = np.random.default_rng(options.shade)

    def split(labels):
        images = draw.integers(0, 150, (len(labels), 8, 8, 3), np.uint8)
        images[np.arange(len(labels)), :, :, labels] += 60
        return Split.of_images(images, labels.astype(np.int64))

    train = split(draw.permutation(np.arange(CLASSES * PER_CLASS) % CLASSES))
    return Dataset(("red", "green", "blue"), train, split(draw.integers(0, CLASSES, TEST)))


def build_toy_conv(num_classes, options):
    from bench.backbones.small_resnet import SmallResnetOptions, build

    return build(num_classes, SmallResnetOptions(width=4))


def build_toy_vit(num_classes, options):
    """Every sort of dropout is on: what is frozen must switch its own off."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=8, patch_size=4, embed_dim=16, depth=3, num_heads=2, num_classes=num_classes,
        drop_rate=0.1, pos_drop_rate=0.1, proj_drop_rate=0.1, attn_drop_rate=0.1, drop_path_rate=0.1,
    )


TINY = DatasetEntry("tiny", "three colours", tiny_facts, tiny_load, TinyOptions)
TOYS = {
    "toy_conv": BackboneEntry("toy_conv", "BatchNorm", BackboneFacts(CONV_UNITS, HALF, HALF), build_toy_conv),
    "toy_vit": BackboneEntry("toy_vit", "dropout", BackboneFacts(VIT_UNITS, HALF, HALF, has_batchnorm=False),
                             build_toy_vit),  # fmt: skip
}


def put_in_place(monkeypatch):
    monkeypatch.setitem(DATASETS, "tiny", TINY)
    for name, entry in TOYS.items():
        monkeypatch.setitem(BACKBONES, name, entry)


@pytest.fixture(scope="session")
def _machine(tmp_path_factory):
    return tmp_path_factory.mktemp("machine")


@pytest.fixture(autouse=True)
def _own_machine(_machine, monkeypatch):
    """Caches of the session's own, and no data or weights but a test's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(_machine))
    monkeypatch.setenv("HF_HUB_CACHE", str(_machine / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("BENCH_DATA", "BENCH_CACHE"):
        monkeypatch.setenv(name, "")  # so that what a command sets goes again afterwards
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """The machine outlives these tests; store/test_atomic.py checks that it is asked for."""
    monkeypatch.setattr(os, "fsync", os.fstat)  # which still refuses a closed descriptor


@pytest.fixture(scope="session")
def _counts():
    return {}


@pytest.fixture(autouse=True)
def _counted_once(_counts, monkeypatch):
    """The FLOPs of a step of networks that look alike: a tenth of a second each, a thousand times in a session."""
    flops = sys.modules.get("bench.network.flops")
    if flops is None:
        return
    real = flops._count

    def count(network, *how):
        shapes = tuple(tuple((name, one.shape) for name, one in unit.items()) for unit in network.parameters)
        key = (repr(network.module), shapes, *how)
        if key not in _counts:
            _counts[key] = real(network, *how)
        return _counts[key]

    monkeypatch.setattr(flops, "_count", count)


@pytest.fixture
def undrawn(monkeypatch):
    """Each figure of a page is an empty drawing: where a test reads words, or whether there is a page."""
    from matplotlib.figure import Figure

    real = Figure.savefig

    def save(figure, file, **how):
        if isinstance(file, io.StringIO):  # for a page; files of figures are written in bytes
            file.write('<svg viewBox="0 0 1 1"></svg>')
        else:
            real(figure, file, **how)

    monkeypatch.setattr(Figure, "savefig", save)


@pytest.fixture
def double():
    """Where two ways of computing must agree to the last digits that matter."""
    import torch

    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def tiny(monkeypatch):
    """The dataset `tiny` and the backbones `toy_conv` and `toy_vit` exist."""
    put_in_place(monkeypatch)
