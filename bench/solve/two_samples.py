"""How far two samples lie apart: by a classifier that tells them from each other, and by their kernel means.

The first is the proxy A-distance of Ben-David et al. 2007, 2(1 - 2 err): 0 where held-out rows are told no better than
by a coin, 2 where they are told without an error. Below 0 by chance alone. The second is the squared maximum mean
discrepancy of Gretton et al. 2012, without its bias.
"""

import math

import torch
from torch import Tensor

from bench.solve.closed_forms import logistic_path


def held_out_errors(features: Tensor, labels: Tensor, num_classes: int, fold: Tensor, penalty: float) -> Tensor:
    """Which rows logistic regression gets wrong that was fitted on the other folds. `fold`: of each row. bool [N]"""
    wrong = torch.empty(len(labels), dtype=torch.bool, device=labels.device)
    for number in range(int(fold.max()) + 1):
        held = (fold == number).nonzero().flatten()
        (head,) = logistic_path(features, labels, num_classes, [penalty], (fold != number).nonzero().flatten())
        wrong[held] = head.logits(features[held]).argmax(1) != labels[held]
    return wrong


def squared_mmd(first: Tensor, second: Tensor) -> tuple[float, float]:
    """And its standard error, by leaving out one pair at a time. Both [n, D], n above 3. The kernel is Gaussian, as
    wide as the median distance of two different rows."""
    n = len(first)
    rows = torch.cat([first, second]).double()
    squares = torch.cdist(rows, rows).square()
    width = squares[torch.ones_like(squares).triu(1) > 0].median()
    if not width > 0:
        return 0.0, 0.0
    kernel = torch.exp(-squares / (2 * width))
    crossed = kernel[:n, n:]
    pairs = kernel[:n, :n] + kernel[n:, n:] - crossed - crossed.T
    pairs.fill_diagonal_(0.0)
    total, own = pairs.sum(), pairs.sum(1)
    without = (total - 2 * own) / ((n - 1) * (n - 2))
    spread = (n - 1) / n * (without - without.mean()).square().sum()
    return float(total / (n * (n - 1))), math.sqrt(float(spread))
