"""BatchNorm that normalises every channel by the batch or by the running statistics, as a coin decides."""

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn import functional as F


def mixed(norm: nn.BatchNorm2d, share: float, x: Tensor) -> Tensor:
    """In training; the running statistics move as ever, after they were used."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, var = norm.running_mean.clone(), norm.running_var.clone()
    of_batch = nn.BatchNorm2d.forward(norm, x)
    of_past = F.batch_norm(x, mean, var, norm.weight, norm.bias, False, 0.0, norm.eps)
    past = (torch.rand(norm.num_features, device=x.device) < share).view(1, -1, 1, 1)
    return torch.where(past, of_past, of_batch)


class StochasticNorm(nn.BatchNorm2d):
    share: float  # of channels that take the running statistics

    def forward(self, x: Tensor) -> Tensor:
        return mixed(self, self.share, x) if self.training else super().forward(x)


class StochasticNormAct(BatchNormAct2d):
    """With timm's activation behind it."""

    share: float

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)  # type: ignore[no-any-return, no-untyped-call]
        y: Tensor = self.act(self.drop(mixed(self, self.share, x)))
        return y


KINDS: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm2d: StochasticNorm, BatchNormAct2d: StochasticNormAct}
