"""Matrices and kernels made of a frozen one and something small that learns, as torch's own parametrizations: the
network around them does not change."""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class LowRank(nn.Module):
    """W -> W + alpha / rank * B A. A kernel [out, in, h, w] counts as a matrix [out, in * h * w]."""

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        self.scale = alpha / rank
        self.a = nn.Parameter(weight.new_empty(rank, columns))
        self.b = nn.Parameter(weight.new_zeros(rows, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scale * (self.b @ self.a).view_as(weight)


class Decomposed(LowRank):
    """The same, then every row brought to a length that learns by itself."""

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__(weight, rank, alpha)
        self.length = nn.Parameter(weight.detach().flatten(1).norm(dim=1))

    def forward(self, weight: Tensor) -> Tensor:
        direction = super().forward(weight)
        # Without the gradient of the norm: section 4.3 of the paper, to save memory.
        lengths = direction.detach().flatten(1).norm(dim=1).clamp_min(1e-12)
        turned: Tensor = direction * (self.length / lengths).view(-1, *[1] * (weight.ndim - 1))
        return turned


def add_low_rank(module: nn.Module, names: list[str], made: type[LowRank], how: tuple[int, float]) -> None:
    """To the weights of the modules of these names. `how`: rank and alpha."""
    for name in names:
        layer = module.get_submodule(name)
        assert isinstance(layer.weight, Tensor)
        parametrize.register_parametrization(layer, "weight", made(layer.weight, *how))


def merge(module: nn.Module) -> None:
    """What was learned goes into the weights, and nothing is added any more."""
    for layer in [m for m in module.modules() if parametrize.is_parametrized(m, "weight")]:
        if not isinstance(layer.parametrizations.weight[0], LowRank):  # type: ignore[union-attr, index]
            continue  # weight norm, say: the network's own
        with torch.no_grad():
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
