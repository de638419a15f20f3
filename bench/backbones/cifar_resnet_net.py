"""The network of `cifar_resnet.py`; in a file of its own, so that the catalogue needs no torch."""

from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from bench.backbones.cifar_layouts import NAMES, WIDTHS


class Shortcut(nn.Module):
    """Option A: every second pixel, and channels of zeros on both sides."""

    def __init__(self, more: int) -> None:
        super().__init__()
        self.more = more  # channels

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2))


class Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int, shortcut: Literal["A", "B"]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        beside: nn.Module = nn.Identity()
        if stride > 1 and shortcut == "A":
            beside = Shortcut(after - before)
        elif stride > 1:
            beside = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        self.beside = NAMES[shortcut].shortcut
        setattr(self, self.beside, beside)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.get_submodule(self.beside)(x))


class CifarResnet(nn.Module):
    """Each kind of shortcut under the names that most of its checkpoints have."""

    def __init__(self, num_blocks: int, num_classes: int, shortcut: Literal["A", "B"] = "A") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        before = WIDTHS[0]
        for stage, width in enumerate(WIDTHS, 1):
            first = Block(before, width, 1 if stage == 1 else 2, shortcut)
            rest = [Block(width, width, 1, shortcut) for _ in range(num_blocks - 1)]
            setattr(self, f"layer{stage}", nn.Sequential(first, *rest))
            before = width
        self.head = NAMES[shortcut].head
        setattr(self, self.head, nn.Linear(WIDTHS[-1], num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for number in range(1, len(WIDTHS) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return self.get_classifier()(x.mean((2, 3)))  # type: ignore[no-any-return]

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        return {"stem": r"^conv1|bn1", "blocks": r"^layer(\d+)" if coarse else r"^layer(\d+)\.(\d+)"}

    def get_classifier(self) -> nn.Module:
        return self.get_submodule(self.head)
