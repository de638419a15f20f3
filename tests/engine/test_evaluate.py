"""Every image counts exactly once, whatever the batch size."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from bench.engine.train.evaluate import evaluate
from bench.engine.train.examples import Examples
from tests.engine import toys

AS_STORED = toys.Pipeline(8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


class Oracle(nn.Module):
    """Reads the logits off three pixels of each image, and remembers which images it saw."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen += [round(value * 255) for value in x[:, 0, 7, 7].tolist()]
        return x[:, :, 0, 0] * 255


def written(logits, labels):
    pixels = torch.zeros(len(logits), 3, 8, 8, dtype=torch.uint8)
    pixels[:, :, 0, 0] = torch.tensor(logits, dtype=torch.uint8)
    pixels[:, 0, 7, 7] = torch.arange(len(logits))
    return Examples((pixels,), torch.tensor(labels))


@pytest.mark.parametrize("batch_size", [1, 10, 64, 103, 500])
def test_103_images_at_any_batch_size(tiny, batch_size):
    """The ViT has no BatchNorm to hide behind; the accuracy is one and the same number."""
    images = toys.images("test")
    for toy in toys.TOYS:
        net = toys.network(toy)
        whole = evaluate(net.module, images, toys.PIPELINE, 103)
        got = evaluate(net.module, images, toys.PIPELINE, batch_size)
        assert (got.num, got.score) == (103, whole.score)
        assert got.predicted.tolist() == whole.predicted.tolist()
        assert got.loss == pytest.approx(whole.loss, rel=1e-6)
        assert got.score == (got.truth == got.predicted).sum() / 103


@pytest.mark.parametrize("batch_size", [1, 2, 4, 7])
def test_hand_made_logits(batch_size):
    module = Oracle()
    logits = [(9, 1, 1), (1, 9, 1), (1, 1, 9), (9, 1, 1), (1, 9, 1), (1, 1, 9), (0, 0, 1)]
    scored = evaluate(module, written(logits, [0, 1, 2, 1, 1, 0, 2]), AS_STORED, batch_size)
    assert sorted(module.seen) == list(range(7))
    assert (scored.num, scored.score) == (7, 5 / 7)
    right, wrong = math.log(1 + 2 * math.exp(-8)), 8 + math.log(1 + 2 * math.exp(-8))
    assert scored.loss == pytest.approx((4 * right + 2 * wrong + math.log(1 + 2 * math.exp(-1))) / 7, rel=1e-5)


def test_no_gradients_and_no_moving_statistics(tiny):
    net = toys.network()
    before = toys.frozen_state(net)
    net.module.train()
    evaluate(net.module, toys.images("test"), toys.PIPELINE)
    assert not any(toys.moved(before, toys.frozen_state(net)))
    assert all(p.grad is None for p in net.module.parameters())


def test_every_class_counts_alike_where_a_set_is_scored_by_class():
    """Six of class 0, all right; two of class 1, one right; one of class 2, wrong: (1 + 1/2 + 0) / 3."""
    labels = [0] * 6 + [1] * 2 + [2]
    logits = [[9, 1, 1]] * 6 + [[1, 9, 1], [9, 1, 1]] + [[1, 9, 1]]
    images = written(logits, labels)
    by_class = dataclasses.replace(images, metric="mean_per_class")
    for batch_size in (1, 4, 100):
        assert evaluate(Oracle(), images, AS_STORED, batch_size).score == pytest.approx(7 / 9)
        assert evaluate(Oracle(), by_class, AS_STORED, batch_size).score == pytest.approx(0.5)
    part = by_class.take(torch.tensor([0, 6, 7]))
    assert part.metric == "mean_per_class"
    assert evaluate(Oracle(), part, AS_STORED).score == pytest.approx((1 + 1 / 2) / 2)
