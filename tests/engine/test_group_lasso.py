"""The group lasso against scikit-learn's coordinate descent and against its own optimality conditions."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import MultiTaskLasso
from torch.nn import functional as F

from bench.solve import group_lasso as module
from bench.solve.group_lasso import group_lasso

CLASSES = 4


def rows(num=60, num_columns=300, rank=12):
    """Columns that resemble each other, as those of a network do: sums of few, and some noise."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(num) % CLASSES
    hidden = torch.randn(num, rank, generator=draw) + F.one_hot(labels, rank)
    mixed = hidden @ torch.randn(rank, num_columns, generator=draw)
    return (mixed + 0.5 * torch.randn(num, num_columns, generator=draw)).relu(), labels


def centred(features, labels):
    x, y = features.double(), F.one_hot(labels, CLASSES).double()
    return (x - x.mean(0)).numpy(), (y - y.mean(0)).numpy()


def theirs(features, labels, share):
    x, y = centred(features, labels)
    strength = share * np.linalg.norm(x.T @ y, axis=1).max() / len(x)
    fitted = MultiTaskLasso(alpha=strength, fit_intercept=False, max_iter=100_000, tol=1e-8).fit(x, y)
    return np.linalg.norm(fitted.coef_, axis=0)


@pytest.mark.parametrize("share", [0.01, 0.2])
def test_it_is_scikit_learns(share):
    features, labels = rows()
    expected, found = theirs(features, labels, share), group_lasso(features, labels, CLASSES, share)
    assert found.converged
    assert np.corrcoef(expected, found.lengths.numpy())[0, 1] > 0.99999
    for num in (10, 50, 100):
        num = min(num, int((expected > 1e-9).sum()))
        assert set(found.ranking[:num].tolist()) == set(np.argsort(-expected)[:num])


def test_columns_join_until_none_breaks_its_condition():
    """More columns than it begins with, and the best of them only matter once others are there."""
    features, labels = rows(num=20, num_columns=2000)
    found = group_lasso(features, labels, CLASSES, 0.01)
    used = found.lengths > 0
    assert 0 < used.sum() < 200
    assert float(found.nearness.max()) < 1 + 1e-3
    assert float(found.nearness[used].min()) > 1 - 1e-2, "a gradient of the penalty's length where there are weights"
    np.testing.assert_allclose(found.lengths.numpy(), theirs(features, labels, 0.01), atol=1e-2 * found.lengths.max())


def test_columns_without_weights_are_ranked_by_how_near_they_are():
    features, labels = rows()
    found = group_lasso(features, labels, CLASSES, 0.5)
    num = int((found.lengths > 0).sum())
    assert 0 < num < 100
    assert sorted(found.ranking.tolist()) == list(range(300))
    assert (found.lengths[found.ranking[:num]].diff() <= 0).all()
    assert (found.nearness[found.ranking[num:]].diff() <= 0).all()


def test_what_is_the_same_everywhere_has_no_weights():
    found = group_lasso(torch.ones(8, 5), torch.arange(8) % CLASSES, CLASSES, 0.01)
    assert found.converged
    assert not found.lengths.any()
    assert sorted(found.ranking.tolist()) == list(range(5))


def test_an_end_without_convergence_is_told(monkeypatch):
    monkeypatch.setattr(module, "MOST_STEPS", 3)
    features, labels = rows()
    assert not group_lasso(features, labels, CLASSES, 0.01).converged
