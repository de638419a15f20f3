"""Classifiers that are computed, not trained."""

from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 4096  # rows turned into float64 at a time


@dataclass(frozen=True)
class LinearHead:
    """For features as they came: centring and scaling are folded into it."""

    weight: Tensor  # float64 [C, D]
    bias: Tensor  # float64 [C]; minus infinity: the class had no row, and never wins
    evaluations: int = 0  # of loss and gradient, each a pass over the rows; 0: solved directly
    gradient_norm: float = 0.0  # Euclidean, of the objective that `logistic_path` states, in scaled features
    converged: bool = True

    def logits(self, features: Tensor) -> Tensor:
        return torch.cat([block.double() @ self.weight.T + self.bias for block in torch.split(features, BLOCK)])
