"""YAMNet's network, without its BatchNorms: they are part of its convolutions."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

# Channels and stride of each depthwise and pointwise pair behind the stem.
PAIRS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)  # fmt: skip
STEM = 32


class Same(nn.Module):
    """Zeros around, as TensorFlow's SAME puts them for a kernel of 3: the odd one behind the end."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        (above, below), (left, right) = (self._edges(length) for length in x.shape[-2:])
        return F.pad(x, (left, right, above, below))

    def _edges(self, length: int) -> tuple[int, int]:
        outputs = -(-length // self.stride)
        total = max(0, (outputs - 1) * self.stride + 3 - length)
        return total // 2, total - total // 2


def _three(channels: tuple[int, int], stride: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(Same(stride), nn.Conv2d(*channels, 3, stride, groups=groups), nn.ReLU())


class YamNet(nn.Module):
    """Takes log-mel energies [B, 1, frames, bands]."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layer1 = _three((1, STEM), 2)
        width = STEM
        for number, (channels, stride) in enumerate(PAIRS, 2):
            pointwise = nn.Sequential(nn.Conv2d(width, channels, 1), nn.ReLU())
            setattr(self, f"layer{number}", nn.Sequential(_three((width, width), stride, width), pointwise))
            width = channels
        self.head = nn.Linear(width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # nothing normalises: signals must neither fade nor grow
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward_features(self, x: Tensor) -> Tensor:
        """[B, 1024]"""
        for number in range(1, len(PAIRS) + 2):
            x = getattr(self, f"layer{number}")(x)
        return x.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.forward_features(x))
        return logits

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Its layers, however finely units are wanted."""
        return {"stem": r"^layer1\.", "blocks": [(r"^layer(\d+)\.", None)]}

    def get_classifier(self) -> nn.Module:
        return self.head
