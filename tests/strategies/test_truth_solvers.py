"""Each classifier that is computed against another library, or a loop; and every strategy has such a test."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from torch.nn import functional as F

from bench.network.capture import Seen
from bench.solve.closed_forms import logistic_path, prototypes, ridge_path
from bench.solve.group_lasso import group_lasso
from bench.strategies import STRATEGIES
from bench.strategies.head2toe import Selected, num_kept
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


@pytest.mark.parametrize("k", [1, 4, 11, 60])
def test_truth_knn(points, k):
    """scikit-learn's neighbours by cosine, each with Wu's weight exp(cosine / .07)."""
    x, y = points
    other = x.flip(0) + 0.3
    (head,) = NearestNeighbours().heads(x, y, CLASSES, [k / 60])
    theirs = KNeighborsClassifier(k, metric="cosine", algorithm="brute", weights=lambda d: np.exp((1 - d) / 0.07))
    theirs.fit(x.numpy(), y.numpy())
    votes = head.logits(other)
    np.testing.assert_allclose(F.normalize(votes, p=1).numpy(), theirs.predict_proba(other.numpy()), atol=1e-9)
    by_hand = torch.zeros(60, CLASSES, dtype=torch.float64)
    for i, row in enumerate(other):
        likeness = torch.stack([row @ one / row.norm() / one.norm() for one in x])
        for j in likeness.argsort(descending=True)[:k]:
            by_hand[i, y[j]] += torch.exp(likeness[j] / 0.07)
    torch.testing.assert_close(votes, by_hand)
    assert k > 1 or ((votes > 0).sum(1) == 1).all(), "a class that no neighbour belongs to gets nothing"


def test_truth_knn_share(points):
    """A share is of the images at hand, those of a fold or all; one image votes at least."""
    x, y = points
    shares = [0.002, 0.1, 0.5, 1.0]
    everything, two_thirds = (NearestNeighbours().heads(x[:n], y[:n], CLASSES, shares) for n in (60, 40))
    assert [head.k for head in everything] == [1, 6, 30, 60]
    assert [head.k for head in two_thirds] == [1, 4, 20, 40]


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
    found = group_lasso(both, y, CLASSES, 0.01)
    np.testing.assert_allclose(found.lengths.numpy(), np.linalg.norm(weight, axis=1), atol=1e-4)
    assert found.lengths[10:].max() == 0, "what says nothing is left out"


def test_truth_head2toe(points):
    """Ridge regression on the columns that were kept, and nothing of the others."""
    x, y = points
    wide = torch.cat([x, torch.randn(60, 90, dtype=torch.float64, generator=torch.Generator().manual_seed(0))], 1)
    (head,) = Selected().heads(wide, y, CLASSES, [0.1])
    chosen = group_lasso(wide, y, CLASSES, 0.01).ranking[:49].sort().values  # between 24 and 100
    (alone,) = ridge_path(wide[:, chosen], y, CLASSES, [0.01])
    torch.testing.assert_close(head.logits(wide), alone.logits(wide[:, chosen]))
    assert (head.weight.norm(dim=0) > 0).nonzero().flatten().tolist() == chosen.tolist()


def test_truth_head2toe_range():
    """From eight columns for each class to all, in equal ratios, whatever the row's width; narrower rows are kept."""
    for width in (384, 20_000):
        kept = [num_kept(place, width, 10) for place in (0.01, 0.01 * 10 ** (2 / 3), 0.01 * 10 ** (4 / 3), 1.0)]
        assert kept == [round(n) for n in np.geomspace(80, width, 4)]
    assert [num_kept(place, 40, 10) for place in (0.01, 0.1, 1.0)] == [40, 40, 40]


def test_features_of_all_units_are_pooled_and_of_length_one():
    maps, tokens, last = torch.randn(2, 3, 4, 4), torch.randn(2, 5, 6), torch.randn(2, 7)
    row = Seen(features=[last], units={1: tokens, 0: maps}).row()
    by_hand = [F.normalize(maps.mean((2, 3))), F.normalize(tokens.mean(1)), F.normalize(last)]
    torch.testing.assert_close(row, torch.cat(by_hand, 1))


def test_what_the_last_unit_puts_out_is_no_second_copy_of_the_features():
    early, late = torch.randn(2, 3, 4, 4), torch.randn(2, 7, 4, 4)
    row = Seen(features=[late.mean((2, 3))], units={0: early, 1: late}).row()
    torch.testing.assert_close(row, torch.cat([F.normalize(v.mean((2, 3))) for v in (early, late)], 1))


def test_every_strategy_has_a_truth():
    here = Path(__file__).parent
    modules = [importlib.import_module(f"tests.strategies.{path.stem}") for path in here.glob("test_truth_*.py")]
    told = " ".join(name for module in modules for name in vars(module) if name.startswith("test_truth_"))
    assert [name for name in STRATEGIES if name not in told] == []
    assert len(STRATEGIES) >= 35
