"""Each classifier that is computed against another library, or a loop; and every strategy has such a test."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from torch.nn import functional as F

from bench.engine.closed_forms import logistic_path, prototypes, ridge_path
from bench.engine.setting import Seen
from bench.strategies import STRATEGIES
from bench.strategies.head2toe import Selected, relevance
from bench.strategies.knn import NearestNeighbours

CLASSES = 3


@pytest.fixture
def points():
    draw = np.random.default_rng(0)
    labels = np.arange(60) % CLASSES
    features = draw.normal(size=(60, 10)) + 1.5 * np.eye(CLASSES, 10)[labels]
    return torch.from_numpy(features), torch.from_numpy(labels)


def scaled(x):
    centred = x - x.mean(0)
    return centred / centred.square().sum(1).mean().sqrt()


def test_truth_ridge_probe(points):
    """numpy's least squares on rows that stand for the penalty."""
    x, y = points
    z, n, penalty = scaled(x).numpy(), len(x), 0.3
    targets = 2.0 * np.eye(CLASSES)[y] - 1
    stacked = np.vstack([z, np.sqrt(penalty * n) * np.eye(10)])
    weight, *_ = np.linalg.lstsq(stacked, np.vstack([targets - targets.mean(0), np.zeros((10, CLASSES))]), rcond=None)
    (head,) = ridge_path(x, y, CLASSES, [penalty])
    np.testing.assert_allclose(head.logits(x).numpy(), z @ weight + targets.mean(0), atol=1e-10)


def test_truth_logistic_probe(points):
    x, y = points
    penalty = 0.05
    (head,) = logistic_path(x, y, CLASSES, [penalty])
    theirs = LogisticRegression(C=1 / (penalty * len(x)), tol=1e-10, max_iter=10_000).fit(scaled(x).numpy(), y.numpy())
    ours = torch.softmax(head.logits(x), 1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(scaled(x).numpy()), atol=1e-4)


def test_truth_prototypes(points):
    x, y = points
    theirs = NearestCentroid().fit(x.numpy(), y.numpy()).predict(x.numpy())
    assert (prototypes(x, y, CLASSES).logits(x).argmax(1).numpy() == theirs).all()


@pytest.mark.parametrize("k", [1, 4, 11])
def test_truth_knn(points, k):
    """scikit-learn's neighbours by cosine; where votes are level, ours goes by likeness."""
    x, y = points
    other = x.flip(0) + 0.3
    (head,) = NearestNeighbours().heads(x, y, CLASSES, [float(k)])
    theirs = KNeighborsClassifier(k, metric="cosine").fit(x.numpy(), y.numpy())
    shares = theirs.predict_proba(other.numpy())
    votes = head.logits(other).numpy()
    np.testing.assert_allclose(np.round(votes) / k, shares, atol=1e-9)
    clear = np.sort(shares, 1)[:, -1] > np.sort(shares, 1)[:, -2]
    assert (votes.argmax(1)[clear] == shares.argmax(1)[clear]).all()


def test_truth_head2toe_relevance(points):
    """The group lasso's own condition: rows at 0 have a short gradient, others one of the penalty's length."""
    x, y = points
    noise = torch.randn(60, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    both = torch.cat([x, 1e-2 * noise], 1)
    centred = (both - both.mean(0)).numpy()
    targets = np.eye(CLASSES)[y]
    targets = targets - targets.mean(0)
    strength = 0.01 * np.linalg.norm(centred.T @ targets, axis=1).max() / 60
    weight = np.zeros((30, CLASSES))
    step = 60 / np.linalg.norm(centred, 2) ** 2
    for _ in range(20_000):  # plain proximal gradient, to the end
        moved = weight - step * centred.T @ (centred @ weight - targets) / 60
        length = np.linalg.norm(moved, axis=1, keepdims=True)
        weight = moved * np.maximum(0, 1 - step * strength / np.maximum(length, 1e-12))
    np.testing.assert_allclose(relevance(both, y, CLASSES).numpy(), np.linalg.norm(weight, axis=1), atol=1e-4)
    assert relevance(both, y, CLASSES)[10:].max() == 0, "what says nothing is left out"


def test_truth_head2toe(points):
    """Ridge regression on the columns that were kept, and nothing of the others."""
    x, y = points
    (head,) = Selected().heads(x, y, CLASSES, [0.3])
    chosen = relevance(x, y, CLASSES).topk(3).indices.sort().values
    (alone,) = ridge_path(x[:, chosen], y, CLASSES, [0.01])
    torch.testing.assert_close(head.logits(x), alone.logits(x[:, chosen]))
    assert (head.weight.norm(dim=0) > 0).nonzero().flatten().tolist() == chosen.tolist()


def test_features_of_all_units_are_pooled_and_of_length_one():
    maps, tokens, last = torch.randn(2, 3, 4, 4), torch.randn(2, 5, 6), torch.randn(2, 7)
    row = Seen(features=[last], units={1: tokens, 0: maps}).row()
    by_hand = [F.normalize(maps.mean((2, 3))), F.normalize(tokens.mean(1)), F.normalize(last)]
    torch.testing.assert_close(row, torch.cat(by_hand, 1))


def test_every_strategy_has_a_truth():
    here = Path(__file__).parent
    modules = [importlib.import_module(f"tests.strategies.{path.stem}") for path in here.glob("test_truth_*.py")]
    told = " ".join(name for module in modules for name in vars(module) if name.startswith("test_truth_"))
    assert [name for name in STRATEGIES if name not in told] == []
    assert len(STRATEGIES) >= 35
