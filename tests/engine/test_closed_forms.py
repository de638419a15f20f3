"""Heads without a training loop: against the textbook's formula, scikit-learn, autograd and pencil and paper."""

import math

import pytest
import torch
from torch.nn import functional as F

from bench.solve import closed_forms
from bench.solve.closed_forms import logistic_path, prototypes, ridge_folds, ridge_path

torch.set_num_threads(1)

PENALTIES = (1e-4, 1e2, 1e-2, 1.0)
PATHS = pytest.mark.parametrize("path", [ridge_path, logistic_path])
TALL_AND_WIDE = pytest.mark.parametrize(("num", "dim"), [(60, 9), (12, 30)])


def blobs(num, dim, num_classes=3, seed=0, spread=1.0):
    """Classes that overlap, columns that hang together and differ in size, a mean far from zero."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(num) % num_classes
    centres = torch.randn(num_classes, dim, generator=draw, dtype=torch.float64)
    noise = torch.randn(num, dim, generator=draw, dtype=torch.float64)
    mix = torch.randn(dim, dim, generator=draw, dtype=torch.float64) / math.sqrt(dim)
    return (spread * centres[labels] + noise) @ mix * torch.linspace(0.1, 3, dim).double() + 5, labels


def scaled(features):
    """As the module's docstring says."""
    centred = features - features.mean(0)
    return centred / centred.square().sum(1).mean().sqrt()


def assert_close(one, two, tolerance=1e-8):
    assert one.shape == two.shape
    assert torch.allclose(one.double(), two.double(), rtol=tolerance, atol=tolerance), (one - two).abs().max()


def assert_agree(one, two, tolerance=1e-8):
    assert_close(one.weight, two.weight, tolerance)
    assert_close(one.bias, two.bias, tolerance)


@pytest.mark.parametrize(("num", "dim"), [(40, 7), (9, 30), (8, 8), (9, 8), (5000, 4)])
def test_ridge_solves_the_normal_equations_and_is_scikit_learns(num, dim):
    """With the column of ones written out, and no penalty on it."""
    from sklearn.linear_model import Ridge

    features, labels = blobs(num, dim)
    x, y = torch.cat([scaled(features), torch.ones(num, 1).double()], 1), 2 * F.one_hot(labels, 3).double() - 1
    for penalty, head in zip(PENALTIES, ridge_path(features, labels, 3, PENALTIES), strict=True):
        matrix = x.T @ x / num + penalty * torch.diag(torch.tensor([1.0] * dim + [0.0]).double())
        assert_close(head.logits(features), x @ torch.linalg.solve(matrix, x.T @ y / num))
        theirs = Ridge(alpha=penalty * num).fit(x[:, :-1].numpy(), y.numpy())
        assert_close(head.logits(features), torch.from_numpy(theirs.predict(x[:, :-1].numpy())))


def test_ridge_by_hand():
    """Two points at -1 and 1: w = 1 / (1 + penalty), nothing to add."""
    head, = ridge_path(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]), 2, [0.25])
    assert head.weight.flatten().tolist() == pytest.approx([-0.8, 0.8])
    assert head.bias.tolist() == pytest.approx([0.0, 0.0])


def test_columns_and_rows_give_the_same_where_there_are_as_many():
    features, labels = blobs(12, 12)
    rows = closed_forms._Rows(features, labels, 3)
    moments = closed_forms._moments(rows, rows.mean())
    by_columns = closed_forms._basis_of_columns(moments, closed_forms._scatter(rows, moments.origin))
    by_rows = closed_forms._basis_of_rows(moments, rows)
    assert len(by_columns.variances) == len(by_rows.variances) == 11  # centring takes one away
    for one, two in zip(*(closed_forms._ridge(moments, b, PENALTIES) for b in (by_columns, by_rows)), strict=True):
        assert_agree(one, two)


@pytest.mark.parametrize(("num", "dim"), [(60, 6), (20, 30), (12, 8)])
def test_folds_equal_paths_without_their_part(num, dim):
    features, labels = blobs(num, dim)
    order = torch.randperm(num, generator=torch.Generator().manual_seed(1))
    parts = [order[: num // 3], order[num // 3 : num // 2], order[num // 2 :]]
    folds = ridge_folds(features, labels, 3, PENALTIES, parts)
    assert [len(fold) for fold in folds] == [len(PENALTIES)] * 3
    for k, fold in enumerate(folds):
        rest = torch.cat([part for j, part in enumerate(parts) if j != k])
        for one, two in zip(fold, ridge_path(features, labels, 3, PENALTIES, rest), strict=True):
            assert_agree(one, two)


@pytest.mark.parametrize(("num", "dim", "spread"), [(90, 5, 1.0), (200, 40, 0.3), (15, 40, 1.0)])
def test_logistic_is_scikit_learns(num, dim, spread):
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    features, labels = blobs(num, dim, spread=spread)
    x = scaled(features).numpy()
    for penalty, head in zip(PENALTIES, logistic_path(features, labels, 3, PENALTIES), strict=True):
        with threadpool_limits(1):
            theirs = LogisticRegression(C=1 / (penalty * num), tol=1e-8, max_iter=10_000).fit(x, labels.numpy())
        assert_close(head.logits(features).softmax(1), torch.from_numpy(theirs.predict_proba(x)), 1e-4)


@pytest.mark.parametrize(("num", "dim"), [(90, 5), (200, 40), (15, 40), (40, 40)])
def test_nothing_is_left_of_logistics_gradient(num, dim):
    features, labels = blobs(num, dim)
    penalties, scale = (1e-6, *PENALTIES), (features - features.mean(0)).square().sum(1).mean().sqrt()
    for penalty, head in zip(penalties, logistic_path(features, labels, 3, penalties), strict=True):
        weight = (head.weight * scale).requires_grad_()  # for scaled features
        bias = (head.bias + head.weight @ features.mean(0)).requires_grad_()
        logits = scaled(features) @ weight.T + bias
        assert_close(logits, head.logits(features))
        loss = F.cross_entropy(logits, labels) + penalty / 2 * weight.square().sum()
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, [weight, bias])])
        assert head.converged
        assert float(gradient.norm()) < 2e-6
        assert head.gradient_norm == pytest.approx(float(gradient.norm()), rel=1e-2, abs=1e-9)


def test_logistic_by_hand():
    """Points at -1 and 1, weights -w and w: the derivative is zero where penalty * w = sigmoid(-2 w)."""
    head, = logistic_path(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]), 2, [2 / (1 + math.e)])
    assert head.weight.flatten().tolist() == pytest.approx([-0.5, 0.5], abs=1e-6)
    assert head.bias.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)


def test_small_penalties_converge_without_crawling():
    """Where classes can just be told apart. In larger units the line search gives up: no end in 3,000 iterations."""
    heads = logistic_path(*blobs(200, 40, spread=0.3), 3, [1e-1, 1e-3, 1e-5, 1e-6])
    assert all(head.converged for head in heads)
    assert sum(head.evaluations for head in heads) < 2000


def test_a_head_that_ran_out_of_iterations_says_so(monkeypatch):
    monkeypatch.setattr(closed_forms, "MAX_ITERATIONS", 8)
    strong, weak = logistic_path(*blobs(60, 20), 3, [1e3, 1e-6])
    assert strong.converged
    assert not weak.converged
    assert weak.gradient_norm > 1e-5


@PATHS
@TALL_AND_WIDE
def test_a_path_equals_its_penalties_one_by_one(path, num, dim):
    features, labels = blobs(num, dim)
    for penalty, head in zip(PENALTIES, path(features, labels, 3, PENALTIES), strict=True):
        alone, = path(features, labels, 3, [penalty])
        assert_agree(head, alone, 1e-10 if path is ridge_path else 1e-4)


@PATHS
def test_heads_come_in_the_order_asked_for(path):
    features, labels = blobs(60, 9)
    forward = path(features, labels, 3, PENALTIES)
    backward = path(features, labels, 3, PENALTIES[::-1])
    for one, two in zip(forward, backward[::-1], strict=True):
        assert_agree(one, two)
    sizes = {penalty: float(head.weight.norm()) for penalty, head in zip(PENALTIES, forward, strict=True)}
    assert sorted(sizes, reverse=True) == sorted(sizes, key=lambda penalty: sizes[penalty])


@PATHS
@pytest.mark.parametrize("penalties", [[], [1.0, 0.0], [-1.0], [math.nan], [math.inf]])
def test_penalties_are_above_zero(path, penalties):
    with pytest.raises(ValueError, match="penalties: expected numbers above 0"):
        path(*blobs(12, 3), 3, penalties)


def every_head(features, labels, num_classes=3, index=None):
    yield from ridge_path(features, labels, num_classes, PENALTIES, index)
    yield from logistic_path(features, labels, num_classes, PENALTIES, index)
    yield prototypes(features, labels, num_classes, index)


@TALL_AND_WIDE
@pytest.mark.parametrize("change", [lambda x: x * 1e12, lambda x: 1e-9 * x, lambda x: x + 1e4, lambda x: x.flip(1) - 9])
def test_neither_size_nor_place_nor_order_of_the_features_counts(num, dim, change):
    features, labels = blobs(num, dim)
    for plain, moved in zip(every_head(features, labels), every_head(change(features), labels), strict=True):
        assert_close(plain.logits(features), moved.logits(change(features)), 1e-5)


@TALL_AND_WIDE
def test_an_index_equals_a_copy(num, dim, monkeypatch):
    """Whatever the other rows hold, and in however many blocks."""
    features, labels = blobs(num, dim)
    index = torch.randperm(num, generator=torch.Generator().manual_seed(2))[: num * 2 // 3]
    spoilt = features.clone()
    spoilt[[i for i in range(num) if i not in index.tolist()]] = math.nan
    copied = [*every_head(features[index], labels[index]), prototypes(features[index], labels[index], 3, cosine=True)]
    monkeypatch.setattr(closed_forms, "BLOCK", 7)
    picked = [*every_head(spoilt, labels, 3, index), prototypes(spoilt, labels, 3, index, cosine=True)]
    for one, two in zip(copied, picked, strict=True):
        assert_close(one.logits(features), two.logits(features), 1e-5)


def test_half_precision_features_are_solved_in_double():
    features, labels = blobs(40, 6)
    half = features.to(torch.bfloat16)
    for one, two in zip(every_head(half, labels), every_head(half.double(), labels), strict=True):
        assert one.weight.dtype == one.logits(half).dtype == torch.float64
        assert_agree(one, two)


def test_prototypes_by_hand():
    features = torch.tensor([[0.0, 0.0], [2.0, 0.0], [9.0, 0.0], [9.0, 2.0]])
    head = prototypes(features, torch.tensor([0, 0, 1, 1]), 2)
    # Means (1, 0) and (9, 1). The first is as near to (5, 0.5) as the second.
    points = torch.tensor([[5.0, 0.5], [5.1, 0.5], [4.9, 0.5], [6.0, -8.0], [4.0, 9.0]])
    logits = head.logits(points)
    assert logits.argmax(1)[1:].tolist() == [1, 0, 0, 1]
    assert float(logits[0, 0] - logits[0, 1]) == pytest.approx(0)
    # Squared distances from the common mean (5, 0.5): 25.25, 9.25, 16.25, 18.25; their mean 17.25.
    distances = ((points[:, None] - torch.tensor([[1.0, 0.0], [9.0, 1.0]])) ** 2).sum(2)
    assert_close(logits[:, 0] - logits[:, 1], (distances[:, 1] - distances[:, 0]) / 2 / 17.25, 1e-6)


def test_prototypes_find_the_nearest_mean():
    features, labels = blobs(90, 6)
    means = torch.stack([features[labels == c].mean(0) for c in range(3)])
    nearest = torch.cdist(features, means).argmin(1)
    assert torch.equal(prototypes(features, labels, 3).logits(features).argmax(1), nearest)


def test_cosine_prototypes_by_hand():
    """A long row counts no more than a short one, and a long image wins nothing by it."""
    features = torch.tensor([[100.0, 0.0], [0.0, 1.0], [-3.0, 0.0], [0.0, 0.0]])
    head = prototypes(features, torch.tensor([0, 0, 1, 1]), 2, cosine=True)
    assert head.weight.flatten().tolist() == pytest.approx([math.sqrt(0.5), math.sqrt(0.5), -1.0, 0.0])
    assert head.bias.tolist() == [0.0, 0.0]
    # The border lies midway between 45 and 180 degrees.
    angles = torch.tensor([112.0, 113.0]).deg2rad()
    points = torch.stack([angles.cos(), angles.sin()], 1)
    assert head.logits(points).argmax(1).tolist() == head.logits(1e3 * points).argmax(1).tolist() == [0, 1]


def test_a_class_without_a_row_never_wins():
    features, labels = blobs(30, 5)
    labels = torch.where(labels == 1, 2, labels)
    far = torch.cat([features, 100 * features, -100 * features])
    for head in [*every_head(features, labels, 4), prototypes(features, labels, 4, cosine=True)]:
        logits = head.logits(far)
        assert not logits.isnan().any()
        assert set(logits.argmax(1).tolist()) <= {0, 2}
        assert logits.softmax(1).isfinite().all()
    with_empty, = logistic_path(features, labels, 4, [0.1])
    without, = logistic_path(features, labels // 2, 2, [0.1])
    assert_close(with_empty.weight[[0, 2]], without.weight)
    assert with_empty.bias[[1, 3]].tolist() == [-math.inf, -math.inf]


@pytest.mark.parametrize("num", [1, 4])
def test_one_class_alone_always_wins(num):
    features, _ = blobs(num, 5)
    for head in every_head(features, torch.full((num,), 2)):
        assert head.logits(features).argmax(1).tolist() == [2] * num
        assert head.converged


def test_one_row_per_class():
    features, labels = blobs(3, 8)
    for head in every_head(features, labels):
        assert head.logits(features).argmax(1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("value", [0.0, 0.1, -7e8])
@pytest.mark.parametrize(("num", "dim"), [(9, 4), (4, 9)])
def test_constant_features_leave_the_frequencies(value, num, dim):
    features, labels = torch.full((num, dim), value), torch.zeros(num, dtype=torch.long)
    labels[0] = 1
    for head in every_head(features, labels, 2):
        assert not head.weight.any()
        assert head.logits(features).argmax(1).tolist() == [0] * num
    for head in logistic_path(features, labels, 2, PENALTIES):
        assert head.logits(features).softmax(1)[0].tolist() == pytest.approx([1 - 1 / num, 1 / num])


@TALL_AND_WIDE
def test_a_column_that_never_varies_is_ignored(num, dim):
    features, labels = blobs(num, dim)
    wider = torch.cat([features[:, :2], torch.full((num, 1), 1e5), features[:, 2:]], 1)
    for plain, more in zip(every_head(features, labels), every_head(wider, labels), strict=True):
        assert_close(plain.logits(features), more.logits(wider), 1e-5)
        assert float(more.weight[:, 2].abs().max()) < 1e-9


def test_as_many_copies_of_every_row_change_nothing():
    """They only make the matrix singular."""
    features, labels = blobs(12, 30)
    for one, two in zip(every_head(features, labels), every_head(features.repeat(4, 1), labels.repeat(4)), strict=True):
        assert_close(one.logits(features), two.logits(features), 1e-5)


def test_nothing_and_nonsense_are_refused():
    features, labels = blobs(12, 3)
    for path in (lambda x, y: ridge_path(x, y, 3, [1.0]), lambda x, y: prototypes(x, y, 3)):
        with pytest.raises(ValueError, match="at least one row"):
            path(features[:0], labels[:0])
        with pytest.raises(ValueError, match="not finite"):
            path(torch.where(features == features.max(), math.nan, features), labels)
