"""Ridge regression on a weighted sum of what several layers put out, the weights learned along with it.

The rows z_k of each layer are centred and divided by one number, the root mean square of their distances from the mean.
Layers may differ in width, so each is brought to the classes by a matrix of its own, and these are added:

    logits = sum of p_k W_k z_k + b, of which mean ||logits - y||^2 + penalty * sum of p_k ||W_k||^2 is least,

y being +1 for the row's class and -1 for the others, and the vector of weights p_k >= 0 no longer than that of equal
ones, 1 / K each. This is the learning of kernels, one a layer, under an L2 norm (Cortes, Mohri, Rostamizadeh 2009). It
is convex in p_k and p_k W_k, so one answer is the best, whatever way leads there: here the matrices by ridge regression
and the weights in proportion to ||p_k W_k||^(2/3), in turns until nothing moves. One layer alone is `ridge_path`. Were
the weights bound by their sum instead, most would become 0, and where labels are few often the wrong ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.solve.heads import LinearHead

ROUNDING = 1e-12  # a layer that varies by less than this share of its size is constant, and counts for nothing
TOLERANCE = 1e-6  # on each weight, from one turn to the next
MOST_TURNS = 100  # about 15 are needed


@dataclass(frozen=True)
class MixedHead(LinearHead):
    """For the layers' features side by side, as they came."""

    mix: tuple[float, ...] = ()  # weights of the layers, as shares of their sum


def mixture(layers: Sequence[Tensor], labels: Tensor, num_classes: int, penalty: float) -> MixedHead:
    """`layers`: [n, D_k] each."""
    scaled = [_scaled(layer) for layer in layers]
    targets = 2 * F.one_hot(labels, num_classes).double() - 1
    mean_target = targets.mean(0)
    rows = torch.cat([one.rows for one in scaled], 1)
    widths = torch.tensor([layer.shape[1] for layer in layers], device=rows.device)
    layer_of = torch.repeat_interleave(torch.arange(len(layers), device=rows.device), widths)
    ridge = _Ridge(rows, targets - mean_target, penalty)
    equal = rows.new_full((len(layers),), 1 / len(layers))
    shares, turns, moved = equal, 0, math.inf
    while moved > TOLERANCE and turns < MOST_TURNS:
        found = _weighed(ridge(shares[layer_of]), layer_of, equal)
        shares, moved, turns = found, float((found - shares).abs().max()), turns + 1
    scales = rows.new_tensor([one.scale for one in scaled])
    weight = ridge(shares[layer_of]).T / scales[layer_of]
    bias = mean_target - weight @ torch.cat([one.mean for one in scaled])
    mix = tuple((shares / shares.sum()).tolist())
    return MixedHead(weight, bias, turns, 0.0, moved <= TOLERANCE, mix)


@dataclass(frozen=True)
class _Scaled:
    rows: Tensor  # float64 [n, D]
    mean: Tensor  # [D]
    scale: float


def _scaled(layer: Tensor) -> _Scaled:
    rows = layer.double()
    mean = rows.mean(0)
    centred = rows - mean
    scale = float(centred.square().sum(1).mean().sqrt())
    if not math.isfinite(scale):
        raise ValueError("the features hold values that are not finite, or too large to square")
    if scale <= ROUNDING * float(mean.norm()):
        scale = math.inf
    return _Scaled(centred / scale, mean, scale)


class _Ridge:
    """p_k W_k of all layers, one under another [D, C], for weights that were spread over their columns. Of the matrices
    rows x rows and columns x columns the smaller one is inverted."""

    def __init__(self, rows: Tensor, targets: Tensor, penalty: float) -> None:
        self.rows, self.targets, self.is_tall = rows, targets, len(rows) > rows.shape[1]
        self.strength = penalty * len(rows)
        self.products = (rows.T @ rows, rows.T @ targets) if self.is_tall else None

    def __call__(self, weights: Tensor) -> Tensor:
        if self.products is None:
            inner = (self.rows * weights) @ self.rows.T
            return weights[:, None] * (self.rows.T @ self._solved(inner, self.targets))
        roots = weights.sqrt()[:, None]
        gram, moments = self.products
        return roots * self._solved(roots * gram * roots.T, roots * moments)

    def _solved(self, matrix: Tensor, right: Tensor) -> Tensor:
        matrix.diagonal().add_(self.strength)
        return torch.cholesky_solve(right, torch.linalg.cholesky(matrix))


def _weighed(matrices: Tensor, layer_of: Tensor, equal: Tensor) -> Tensor:
    """The best weights for these p_k W_k."""
    lengths = equal.new_zeros(len(equal)).index_add(0, layer_of, matrices.square().sum(1)).sqrt()
    wanted = lengths.pow(2 / 3)
    return wanted / wanted.norm() * equal.norm() if wanted.norm() > 0 else equal
