"""Layers with something small around or beside them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import NotApplicable


def replace(module: nn.Module, name: str, by: nn.Module) -> None:
    path, _, last = name.rpartition(".")
    setattr(module.get_submodule(path), last, by)


class Around(nn.Module):
    """Who calls the layer gets more than the layer; who reads its weights instead would get less in silence."""

    @property
    def weight(self) -> Tensor:
        raise NotApplicable("this network reads the weights of a layer instead of calling it")

    bias = weight


class ScaledOutput(Around):
    """A factor on each output but the first `skip`, and a shift where asked for. Channels of images lie in dimension 1,
    of anything else in the last."""

    def __init__(self, inner: nn.Module, num: int, skip: int = 0) -> None:
        super().__init__()
        self.inner, self.skip = inner, skip
        self.factor = nn.Parameter(torch.ones(num - skip))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        factor = F.pad(self.factor, (self.skip, 0), value=1.0) if self.skip else self.factor
        return y * (factor.view(1, -1, 1, 1) if isinstance(self.inner, nn.Conv2d) else factor)


class ScaledInput(Around):
    """A factor on each input of a linear layer."""

    def __init__(self, inner: nn.Linear) -> None:
        super().__init__()
        self.inner = inner
        self.factor = nn.Parameter(torch.ones(inner.in_features))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x * self.factor)
        return y


class ScaledShifted(Around):
    """factor * y + shift, both of one number for each channel; they begin near 1 and 0."""

    def __init__(self, inner: nn.Module, num: int, on_images: bool) -> None:
        super().__init__()
        self.inner, self.on_images = inner, on_images
        self.factor = nn.Parameter(torch.empty(num).normal_(1.0, 0.02))
        self.shift = nn.Parameter(torch.empty(num).normal_(0.0, 0.02))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        if self.on_images:
            return y * self.factor.view(1, -1, 1, 1) + self.shift.view(1, -1, 1, 1)
        return y * self.factor + self.shift


class Scaled(nn.Module):
    """Factors that were a parameter of the block around it."""

    def __init__(self, gamma: nn.Parameter) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Bottleneck(nn.Module):
    """inner(x) + scale * up(relu(down(x))); `up` begins at 0."""

    def __init__(self, inner: nn.Module, dim: int, width: int, scale: float) -> None:
        super().__init__()
        self.inner, self.scale = inner, scale
        self.down, self.up = nn.Linear(dim, width), nn.Linear(width, dim)
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        z: Tensor = self.up(F.relu(self.down(x)))
        return y + self.scale * z


class Pointwise(nn.Module):
    """inner(x) + a 1x1 convolution of x that begins at 0."""

    def __init__(self, inner: nn.Conv2d) -> None:
        super().__init__()
        self.inner = inner
        self.beside = nn.Conv2d(inner.in_channels, inner.out_channels, 1, inner.stride, bias=False)  # type: ignore[arg-type]
        nn.init.zeros_(self.beside.weight)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        z: Tensor = self.beside(x)
        return y + z


class Prompted(nn.Module):
    """A transformer's block that sees some learned tokens behind the others. They come in before it and, if it is the
    last one to see them, go out behind it."""

    def __init__(self, inner: nn.Module, prompts: Tensor | None, num_seen: int, leave: bool) -> None:
        super().__init__()
        self.inner, self.num_seen, self.leave = inner, num_seen, leave
        self.prompts = nn.Parameter(prompts) if prompts is not None else None

    def forward(self, x: Tensor, **others: object) -> Tensor:
        if any(value is not None for value in others.values()):
            raise NotApplicable(f"this network's blocks take more than tokens: {', '.join(others)}")
        if self.prompts is not None:
            x = torch.cat([x, self.prompts.expand(x.shape[0], -1, -1)], 1)
        y: Tensor = self.inner(x)
        return y[:, : -self.num_seen] if self.leave else y
