"""Linear classifiers straight from a feature matrix: ridge, logistic regression, nearest class mean. No training loop.

A row of `features` is one image's. `index` picks rows; only they are read, a block at a time. All arithmetic is in
float64, on the device of the features.

What a penalty means depends neither on where the features lie, nor on how large they are, nor on how many: they are
centred and divided by ONE number, the root mean square of the rows' distances from their mean (Kumar et al. 2022 scale
globally too). Not column by column, as big_vision's fewshot_lsr does: few labels tell a column's spread badly, and one
that hardly varies in them becomes noise. On real features that cost 3 to 16 points at one image per class.

Both penalised losses are means over the rows: on features scaled as above, penalty * rows is scikit-learn's alpha and
1 / (penalty * rows) its C.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.solve.heads import BLOCK, LinearHead

ROUNDING = 1e-12  # features that vary by less than this share of their size are constant
TOLERANCE = 1e-7  # on each entry of the gradient, in units in which the curvature along its axis starts as 1
MAX_ITERATIONS = 3000
# torch's line search gives up where a step is shorter than 1e-9, whatever tolerance L-BFGS is given, which then crawls:
# five times the passes at the tolerance above. In units this much smaller no step is that short.
ZOOM = 1e3


def ridge_path(
    features: Tensor, labels: Tensor, num_classes: int, penalties: Sequence[float], index: Tensor | None = None
) -> list[LinearHead]:
    """Least squares to +1 for the row's class and -1 for the others, as in big_vision (0 for the others would predict
    the same): minimises mean ||W x + b - y||^2 + penalty * ||W||^2, the intercept unpenalised.

    One eigendecomposition serves all penalties, of D x D or of rows x rows, whichever is smaller. A class without a row
    gets -1 everywhere, which never wins either.
    """
    _check(penalties)
    rows = _Rows(features, labels, num_classes, index)
    moments = _moments(rows, rows.mean())
    return _ridge(moments, _basis(rows, moments), penalties)


def ridge_folds(
    features: Tensor, labels: Tensor, num_classes: int, penalties: Sequence[float], parts: Sequence[Tensor]
) -> list[list[LinearHead]]:
    """For each part of the rows, `ridge_path` of all the others. Where these outnumber the columns each row is used
    once: the moments of all parts but one are the total's less that one's."""
    _check(penalties)
    every = torch.cat(list(parts))
    if len(every) - max(len(part) for part in parts) <= features.shape[1]:
        rest = [torch.cat([part for j, part in enumerate(parts) if j != k]) for k in range(len(parts))]
        return [ridge_path(features, labels, num_classes, penalties, index) for index in rest]
    origin = _Rows(features, labels, num_classes, every).mean()
    held = [_moments(_Rows(features, labels, num_classes, part), origin) for part in parts]
    scatters = [_scatter(_Rows(features, labels, num_classes, part), origin) for part in parts]
    total, scatter = reduce(_Moments.plus, held), torch.stack(scatters).sum(0)
    kept = [(total.plus(part, -1), scatter - its) for part, its in zip(held, scatters, strict=True)]
    return [_ridge(moments, _basis_of_columns(moments, its), penalties) for moments, its in kept]


def logistic_path(
    features: Tensor, labels: Tensor, num_classes: int, penalties: Sequence[float], index: Tensor | None = None
) -> list[LinearHead]:
    """Multinomial: minimises mean cross entropy + penalty / 2 * ||W||^2, the intercept unpenalised.

    L-BFGS on all rows at once, from the largest penalty to the smallest, each from where the one before ended. Makes
    one float64 copy of the rows, turned onto their principal axes: there the Hessian is nearly diagonal, and rows fewer
    than columns make a smaller matrix. A class without a row is left out; minus infinity is its best intercept.
    """
    _check(penalties)
    rows = _Rows(features, labels, num_classes, index)
    moments = _moments(rows, rows.mean())
    basis = _basis(rows, moments)
    seen = moments.counts > 0
    inputs, targets = _on_axes(rows, basis), rows.one_hot()[:, seen]
    start = inputs.new_zeros(targets.shape[1], inputs.shape[1])
    start[:, -1] = targets.mean(0).log()  # the solution under an infinite penalty
    heads = {}
    for penalty in sorted(set(penalties), reverse=True):
        found = _minimise(inputs, targets, penalty, start)
        start = found.weight
        weight = inputs.new_zeros(num_classes, features.shape[1])
        weight[seen] = found.weight[:, :-1] @ basis.axes.T / basis.scale
        bias = inputs.new_full((num_classes,), -math.inf)
        bias[seen] = found.weight[:, -1] - found.weight[:, -1].mean()
        bias -= weight @ basis.mean
        heads[penalty] = LinearHead(weight, bias, found.evaluations, found.gradient_norm, found.converged)
    return [heads[penalty] for penalty in penalties]


def prototypes(
    features: Tensor, labels: Tensor, num_classes: int, index: Tensor | None = None, cosine: bool = False
) -> LinearHead:
    """The nearest class mean wins. Euclidean: logits are -distance^2 / 2 in scaled features, less what classes share.

    `cosine`: a class's mean is that of its rows brought to length 1, and the smallest angle to it wins; logits are
    cosines times the length of the image's own features.
    """
    rows = _Rows(features, labels, num_classes, index, unit_length=cosine)
    mean = rows.mean()
    moments = _moments(rows, mean)
    offsets = moments.sums / moments.counts.clamp_min(1).unsqueeze(1)  # of the class means from the common mean
    if cosine:
        weight = F.normalize(offsets + mean, dim=1)
        bias = weight.new_zeros(num_classes)
    else:
        weight = offsets / moments.scale**2
        bias = -(weight * (offsets / 2 + mean)).sum(1)
    empty = moments.counts == 0
    return LinearHead(weight.masked_fill(empty.unsqueeze(1), 0.0), bias.masked_fill(empty, -math.inf))


@dataclass(frozen=True)
class _Rows:
    features: Tensor  # [N, D]
    labels: Tensor  # int64 [N]
    num_classes: int
    index: Tensor | None = None  # int64, into both; None: all
    unit_length: bool = False

    def __post_init__(self) -> None:
        if len(self) == 0:
            raise ValueError("a classifier needs at least one row of features")

    def __len__(self) -> int:
        return len(self.labels if self.index is None else self.index)

    def blocks(self) -> Iterator[Tensor]:
        for start in range(0, len(self), BLOCK):
            part = slice(start, start + BLOCK) if self.index is None else self.index[start : start + BLOCK]
            block = self.features[part].double()
            yield F.normalize(block, dim=1) if self.unit_length else block

    def one_hot(self) -> Tensor:
        labels = self.labels if self.index is None else self.labels[self.index]
        return F.one_hot(labels, self.num_classes).double()

    def mean(self) -> Tensor:
        return torch.stack([block.sum(0) for block in self.blocks()]).sum(0) / len(self)


@dataclass(frozen=True)
class _Moments:
    """Sums over rows, measured from `origin`: measured from zero, squares may leave no digits for the spread."""

    origin: Tensor  # [D]
    counts: Tensor  # [C], of rows per class
    sums: Tensor  # [C, D]
    squares: Tensor  # [], of lengths

    @property
    def shift(self) -> Tensor:  # from the origin to the mean
        return self.sums.sum(0) / self.counts.sum()

    @property
    def scale(self) -> float:
        distance = float((self.squares / self.counts.sum() - self.shift.square().sum()).clamp_min(0).sqrt())
        if not math.isfinite(distance):
            raise ValueError("the features hold values that are not finite, or too large to square")
        # What divides rounding errors by infinity leaves zeros: constant features, weights of zero.
        return distance if distance > ROUNDING * float((self.origin + self.shift).norm()) else math.inf

    def plus(self, other: "_Moments", sign: int = 1) -> "_Moments":
        """Of the same origin. A sign of -1 takes rows away."""
        counts, sums = self.counts + sign * other.counts, self.sums + sign * other.sums
        return _Moments(self.origin, counts, sums, self.squares + sign * other.squares)


def _moments(rows: _Rows, origin: Tensor) -> _Moments:
    targets = torch.split(rows.one_hot(), BLOCK)
    sums = origin.new_zeros(rows.num_classes, len(origin))
    squares = origin.new_zeros(())
    for block, target in zip(rows.blocks(), targets, strict=True):
        sums += target.T @ (block - origin)
        squares += (block - origin).square().sum()
    return _Moments(origin, torch.cat(targets).sum(0), sums, squares)


def _scatter(rows: _Rows, origin: Tensor) -> Tensor:
    """[D, D], about the origin."""
    scatter = origin.new_zeros(len(origin), len(origin))
    for block in rows.blocks():
        centred = block - origin
        scatter.addmm_(centred.T, centred)
    return scatter


@dataclass(frozen=True)
class _Basis:
    """The principal axes along which the scaled rows vary at all: fewer than D, and fewer than there are rows."""

    mean: Tensor  # [D], of the features as they came
    scale: float
    variances: Tensor  # [r], adding up to 1
    axes: Tensor  # [D, r]


def _basis(rows: _Rows, moments: _Moments) -> _Basis:
    if len(rows) > rows.features.shape[1]:
        return _basis_of_columns(moments, _scatter(rows, moments.origin))
    return _basis_of_rows(moments, rows)


def _basis_of_columns(moments: _Moments, scatter: Tensor) -> _Basis:
    covariance = scatter / moments.counts.sum() - moments.shift.outer(moments.shift)
    variances, axes = _eigen(covariance / moments.scale**2)
    return _Basis(moments.origin + moments.shift, moments.scale, variances, axes)


def _basis_of_rows(moments: _Moments, rows: _Rows) -> _Basis:
    mean = moments.origin + moments.shift
    scaled = torch.cat([block - mean for block in rows.blocks()]) / (moments.scale * math.sqrt(len(rows)))
    variances, vectors = _eigen(scaled @ scaled.T)
    return _Basis(mean, moments.scale, variances, scaled.T @ vectors / variances.sqrt())


def _eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues that are more than rounding errors, and their vectors."""
    values, vectors = torch.linalg.eigh(matrix)
    kept = values > len(values) * torch.finfo(values.dtype).eps * values.max()
    return values[kept], vectors[:, kept]


def _on_axes(rows: _Rows, basis: _Basis) -> Tensor:
    """[rows, r + 1]: the scaled rows, and a column of ones for the intercept."""
    turned = torch.cat([(block - basis.mean) @ basis.axes for block in rows.blocks()]) / basis.scale
    return torch.cat([turned, turned.new_ones(len(turned), 1)], 1)


def _ridge(moments: _Moments, basis: _Basis, penalties: Sequence[float]) -> list[LinearHead]:
    num = moments.counts.sum()
    shares = moments.counts / num
    # Mean over the rows of target times scaled row: centring the rows centres the targets too.
    products = 2 * (moments.sums / num - shares.outer(moments.shift)) / basis.scale
    strengths = basis.variances + torch.tensor(penalties, dtype=torch.float64, device=shares.device).unsqueeze(1)
    weights = (products @ basis.axes) / strengths.unsqueeze(1) @ basis.axes.T / basis.scale  # [penalties, C, D]
    return [LinearHead(weight, 2 * shares - 1 - weight @ basis.mean) for weight in weights]


@dataclass(frozen=True)
class _Minimum:
    weight: Tensor  # [C, r + 1], the intercept last
    evaluations: int
    gradient_norm: float
    converged: bool


def _minimise(inputs: Tensor, targets: Tensor, penalty: float, start: Tensor) -> _Minimum:
    decay = torch.full_like(start[0], penalty)
    decay[-1] = 0.0
    chances = (inputs @ start.T).softmax(1)
    curvature = (chances * (1 - chances)).T @ inputs.square() / len(inputs) + decay
    unit = curvature.clamp_min(torch.finfo(curvature.dtype).eps).sqrt() * ZOOM
    point = torch.nn.Parameter(start * unit)
    evaluations = 0

    @torch.no_grad()
    def loss() -> float:
        nonlocal evaluations
        evaluations += 1
        weight = point / unit
        log_chances = (inputs @ weight.T).log_softmax(1)
        wrong = log_chances.exp() - targets
        point.grad = (wrong.T @ inputs / len(inputs) + decay * weight) / unit * ZOOM**2
        entropy = -(log_chances * targets).sum() / len(inputs)
        return float(entropy + (decay * weight.square()).sum() / 2) * ZOOM**2

    solver = torch.optim.LBFGS(
        [point], max_iter=MAX_ITERATIONS, tolerance_grad=TOLERANCE * ZOOM, tolerance_change=0.0, history_size=10,
        line_search_fn="strong_wolfe",
    )
    solver.step(loss)  # type: ignore[no-untyped-call]
    loss()  # the last point tried need not be the one kept
    assert point.grad is not None
    norm = float((point.grad * unit).norm()) / ZOOM**2
    return _Minimum((point / unit).detach(), evaluations, norm, bool(point.grad.abs().max() <= TOLERANCE * ZOOM))


def _check(penalties: Sequence[float]) -> None:
    if len(penalties) == 0 or not all(0 < penalty < math.inf for penalty in penalties):
        raise ValueError(f"penalties: expected numbers above 0, got {list(penalties)}")
