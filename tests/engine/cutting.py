"""Networks with a trap in the middle, and what a cut says of one that it refuses."""

import torch
from torch import nn

from bench.engine.partition import Whole, cut
from tests.engine.test_partition import images_of

SIZE = 8


class Net(nn.Module):
    """Frozen `stem` (4 channels) and `middle`, a `head` that trains; `forward` is the trap."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False, dtype=torch.float64).requires_grad_(False)
        self.middle = nn.Conv2d(4, 4, 3, padding=1, dtype=torch.float64).requires_grad_(False)
        self.side = nn.Conv2d(4, 4, 1, dtype=torch.float64)
        self.head = nn.Linear(4, 5, dtype=torch.float64)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2)
        self.prepare()

    def prepare(self):
        pass

    def classify(self, x):
        return self.head(x.mean((2, 3)))


def refused(network, size=SIZE):
    whole = cut(network, images_of(2, size))
    assert isinstance(whole, Whole)
    assert "\n" not in whole.reason
    return whole.reason
