"""Forecasts, each against a formulation that is not ours, in float64; and what must not change them."""

import math

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from scipy.spatial.distance import pdist
from sklearn.covariance import LedoitWolf
from sklearn.preprocessing import StandardScaler

from bench.solve import forecasts

OF_FEATURES = (forecasts.log_me, forecasts.h_score, forecasts.shrunk_h_score, forecasts.transrate, forecasts.parc,
               forecasts.gbc, forecasts.cka_with_labels)  # fmt: skip
SHAPES = [(60, 7, 4), (30, 50, 5)]  # examples, features, classes: more examples than features, and fewer


def drawn(num=60, width=7, classes=4, seed=0, signal=1.5):
    """Correlated features of unequal scales around a mean that is not 0; uneven classes, numbered with a gap."""
    draw = np.random.default_rng(seed)
    labels = np.sort(np.r_[np.arange(classes).repeat(3), draw.integers(0, classes, num - 3 * classes)])
    middles = signal * draw.normal(size=(classes, width))
    rows = (middles[labels] + draw.normal(size=(num, width))) @ draw.normal(size=(width, width)) / 3 + 2
    return rows, 2 * labels


def ours(score, rows, labels):
    return score(torch.from_numpy(rows), torch.from_numpy(labels))


@pytest.mark.parametrize("shape", SHAPES)
def test_log_me_is_the_highest_evidence(shape):
    """The marginal likelihood of the labels as scipy's normal density gives it, maximised over both precisions."""
    rows, labels = drawn(*shape)
    found = []
    for label in np.unique(labels):
        target = (labels == label).astype(float)

        def loss(logs, target=target):
            alpha, beta = np.exp(logs)
            covariance = rows @ rows.T / alpha + np.eye(len(rows)) / beta
            return -stats.multivariate_normal(np.zeros(len(rows)), covariance).logpdf(target)

        close = {"xatol": 1e-8, "fatol": 1e-11, "maxiter": 2000}
        found.append(-min(
            optimize.minimize(loss, start, method="Nelder-Mead", bounds=[(-12, 12)] * 2, options=close).fun
            for start in [(-2, 0), (3, 1), (8, 4)]
        ))  # fmt: skip
    assert ours(forecasts.log_me, rows, labels) == pytest.approx(np.mean(found) / len(rows), abs=1e-9)


def test_log_me_is_where_the_papers_fixed_point_ends():
    rows, labels = drawn()
    left, values, _ = np.linalg.svd(rows, full_matrices=False)
    found, (num, width) = [], rows.shape
    for label in np.unique(labels):
        target = (labels == label).astype(float)
        seen, alpha, beta = left.T @ target, 1.0, 1.0
        for _ in range(500):
            gamma = (values**2 * beta / (alpha + values**2 * beta)).sum()
            mean = values * seen * beta / (alpha + beta * values**2)
            residue = target @ target - seen @ seen + ((seen - values * mean) ** 2).sum()
            alpha, beta = gamma / (mean @ mean), (num - gamma) / residue
        evidence = (width * math.log(alpha) + num * math.log(beta) - np.log(alpha + beta * values**2).sum()
                    - beta * residue - alpha * mean @ mean - num * math.log(2 * math.pi)) / 2  # fmt: skip
        found.append(evidence / num)
    assert ours(forecasts.log_me, rows, labels) == pytest.approx(np.mean(found), abs=1e-9)


def class_means(rows, labels):
    return np.array([rows[labels == label].mean(0) for label in labels])


def test_h_score_is_numpys():
    rows, labels = drawn()
    means = class_means(rows, labels)
    theirs = np.trace(np.linalg.pinv(np.cov(rows.T, bias=True)) @ np.cov(means.T, bias=True))
    assert ours(forecasts.h_score, rows, labels) == pytest.approx(theirs, rel=1e-9)


def test_h_score_says_nothing_where_features_outnumber_examples():
    rows, labels = drawn(30, 50, 5)
    means = class_means(rows, labels)
    theirs = np.trace(np.linalg.pinv(np.cov(rows.T), rcond=1e-10) @ np.cov(means.T))
    assert theirs == pytest.approx(5 - 1)  # whatever the features are
    assert ours(forecasts.h_score, rows, labels) is None


@pytest.mark.parametrize("shape", SHAPES)
def test_shrunk_h_score_is_scikit_learns(shape):
    rows, labels = drawn(*shape)
    fitted = LedoitWolf().fit(rows)
    between = np.cov(class_means(rows, labels).T, bias=True)
    theirs = (1 - fitted.shrinkage_) * np.trace(np.linalg.inv(fitted.covariance_) @ between)
    assert 0.01 < fitted.shrinkage_ < 1
    assert ours(forecasts.shrunk_h_score, rows, labels) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_transrate_is_its_definition(shape):
    rows, labels = drawn(*shape)
    centred = rows - rows.mean(0)

    def rate(part):
        inside = np.eye(part.shape[1]) + part.T @ part / (len(part) * 1e-4)
        return np.linalg.slogdet(inside)[1] / 2

    parts = [centred[labels == label] for label in np.unique(labels)]
    theirs = rate(centred) - sum(len(part) / len(rows) * rate(part) for part in parts)
    assert ours(forecasts.transrate, rows, labels) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_parc_is_scipys(shape):
    rows, labels = drawn(*shape)
    rows[:, 0] = 1.0  # one that says nothing
    apart = pdist(StandardScaler().fit_transform(rows), "correlation")
    hot = np.eye(labels.max() + 1)[labels][:, np.unique(labels)]
    theirs = stats.spearmanr(np.round(apart, 12), np.round(pdist(hot, "correlation"), 9)).statistic
    assert ours(forecasts.parc, rows, labels) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_gbc_is_bhattacharyyas(shape):
    """Distances of whole covariance matrices, by the textbook."""
    rows, labels = drawn(*shape, signal=0.5)
    rows[:, 0] = 1.0  # its variance has a floor
    width, total = rows.shape[1], 0.0
    stated = []
    for label in np.unique(labels):
        part = rows[labels == label]
        stated.append((part.mean(0), np.maximum(part.var(0), 1e-4).mean() * np.eye(width)))
    for i, (mean, spread) in enumerate(stated):
        for j, (other, its) in enumerate(stated):
            if i == j:
                continue
            middle = (spread + its) / 2
            apart = (mean - other) @ np.linalg.inv(middle) @ (mean - other) / 8
            logs = [np.linalg.slogdet(one)[1] for one in (middle, spread, its)]
            total += math.exp(-(apart + (logs[0] - (logs[1] + logs[2]) / 2) / 2))
    assert ours(forecasts.gbc, rows, labels) == pytest.approx(-math.log(total), rel=1e-9)


def test_gbc_still_ranks_classes_that_lie_far_apart():
    rows, labels = drawn()
    near, far = (ours(forecasts.gbc, rows + size * labels[:, None], labels) for size in (1e3, 2e3))
    assert math.inf > far > near > 1e3  # exp(-distance) is 0 in float64


@pytest.mark.parametrize("shape", SHAPES)
def test_cka_is_the_alignment_of_centred_kernels(shape):
    rows, labels = drawn(*shape)
    centre = np.eye(len(rows)) - 1 / len(rows)
    one, other = centre @ rows @ rows.T @ centre, centre @ (labels[:, None] == labels[None]).astype(float) @ centre
    theirs = np.sum(one * other) / math.sqrt(np.sum(one * one) * np.sum(other * other))
    assert ours(forecasts.cka_with_labels, rows, labels) == pytest.approx(theirs, rel=1e-9)


def test_leep_and_nce_are_their_sums():
    draw = np.random.default_rng(2)
    said, labels = draw.dirichlet(np.ones(6), 40), 3 * draw.integers(0, 4, 40)
    total = 0.0
    for i in range(40):
        inside = 0.0
        for z in range(6):
            together = sum(said[k, z] for k in range(40) if labels[k] == labels[i])
            inside += said[i, z] * together / sum(said[k, z] for k in range(40))
        total += math.log(inside)
    assert ours(forecasts.leep, said, labels) == pytest.approx(total / 40, rel=1e-12)
    sources, entropy = said.argmax(1), 0.0
    for z in set(sources):
        for y in set(labels):
            both = np.sum((sources == z) & (labels == y)) / 40
            entropy -= both * math.log(both / np.mean(sources == z)) if both else 0.0
    assert ours(forecasts.nce, sources, labels) == pytest.approx(-entropy, rel=1e-12)


def test_leep_of_a_certain_classifier_is_nce():
    draw = np.random.default_rng(3)
    sources, labels = draw.integers(0, 5, 80), draw.integers(0, 3, 80)
    said = np.eye(7)[sources]  # two of its classes are never said
    assert ours(forecasts.leep, said, labels) == pytest.approx(ours(forecasts.nce, sources, labels))


@pytest.mark.parametrize("score", OF_FEATURES)
def test_neither_the_order_of_examples_nor_the_numbers_of_classes_count(score):
    rows, labels = drawn()
    order = np.random.default_rng(1).permutation(len(rows))
    renamed = np.array([5, 0, 0, 0, 1, 0, 9])[labels]
    assert ours(score, rows[order], renamed[order]) == pytest.approx(ours(score, rows, labels), rel=1e-8)


@pytest.mark.parametrize("score", [forecasts.log_me, forecasts.h_score, forecasts.shrunk_h_score, forecasts.transrate,
                                   forecasts.cka_with_labels])  # fmt: skip
def test_a_rotation_of_the_features_changes_nothing(score):
    rows, labels = drawn()
    turned = rows @ stats.ortho_group.rvs(rows.shape[1], random_state=0)
    assert ours(score, turned, labels) == pytest.approx(ours(score, rows, labels), rel=1e-8)


@pytest.mark.parametrize("score", [forecasts.log_me, forecasts.h_score, forecasts.shrunk_h_score, forecasts.parc,
                                   forecasts.cka_with_labels])  # fmt: skip
def test_the_scale_of_the_features_changes_nothing(score):
    rows, labels = drawn()
    assert ours(score, 7 * rows, labels) == pytest.approx(ours(score, rows, labels), rel=1e-8)


@pytest.mark.parametrize("score", OF_FEATURES)
def test_classes_that_lie_apart_score_above_noise(score):
    rows, labels = drawn(signal=4)
    noise, _ = drawn(signal=0, seed=5)
    assert ours(score, rows, labels) > ours(score, noise, labels)


def test_what_cannot_be_scored_says_so():
    labels = np.array([0, 1, 0, 1])
    assert ours(forecasts.parc, np.ones((4, 3)), labels) is None
    with pytest.raises(ValueError, match="all zero"):
        ours(forecasts.log_me, np.zeros((4, 3)), labels)
    with pytest.raises(ValueError, match="same for all"):
        ours(forecasts.cka_with_labels, np.ones((4, 3)), labels)
