"""How each operation is done for all replicas at once. A value is either shared (nothing in it differs between a
stream's members: [S * B, C, ...], streams one after another in the batch) or it lies side by side: [B, S * M * C, ...],
replica after replica in the channels. What acts on single numbers or on single channels then needs no change at all.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.engine.forms import Tensors, is_idle_dropout, joined, products

Rule = Callable[..., "Value"]  # (call, name and module or function, the node's own arguments)


class Unsupported(Exception):
    """No way is known to do this for all replicas at once."""


@dataclass(frozen=True)
class Value:
    tensor: Tensor
    beside: bool  # side by side; otherwise shared


@dataclass(frozen=True)
class Call:
    """One pass: what the operations need to know."""

    shape: tuple[int, int]  # S, M
    parameters: Tensors
    buffers: Tensors
    channels_last: bool

    @property
    def num(self) -> int:
        return self.shape[0] * self.shape[1]

    def differs(self, name: str, module: nn.Module) -> bool:
        """Whether replicas have parameters or buffers of their own here."""
        names = [joined(name, key) for key in (*module._parameters, *module._buffers)]
        return any(each in self.parameters or each in self.buffers for each in names)

    def stacked(self, name: str, module: nn.Module, key: str) -> Tensor | None:
        """[S, M, ...]; None where the module has none. Buffers come as they are, so that they can be updated."""
        full, own = joined(name, key), getattr(module, key)
        if own is None:
            return None
        held = self.buffers if key in module._buffers else self.parameters
        return held[full] if full in held else own.expand(*self.shape, *own.shape)

    def beside(self, value: Value) -> Tensor:
        return value.tensor if value.beside else self.widened(value.tensor, self.shape[1])

    def widened(self, shared: Tensor, times: int) -> Tensor:
        """[S * B, C, ...] -> [B, S * times * C, ...]"""
        num_streams = self.shape[0]
        if shared.ndim not in (2, 4):
            raise Unsupported("only flat values and maps have their channels where they are looked for")
        if num_streams * times == 1:
            return self.laid_out(shared)
        # The channels come last on the way, as channels_last wants them in memory.
        wide = torch.unflatten(shared, 0, (num_streams, -1)).movedim(2, -1).movedim(0, -2).unsqueeze(-2)
        wide = wide.expand(*wide.shape[:-2], times, wide.shape[-1]).flatten(-3)
        return self.laid_out(wide.movedim(-1, 1))

    def laid_out(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            return x
        return x.contiguous(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)

    def thinned(self, maps: Tensor, stride: tuple[int, ...]) -> Tensor:
        """Every so many rows and columns. The gradient of a slice is laid out in the order of the dimensions that are
        cut, and what is behind would copy any other than its own."""
        if stride == (1, 1):
            return maps
        if self.channels_last:
            return maps.movedim(1, -1)[:, :: stride[0], :: stride[1]].movedim(-1, 1)
        return maps[:, :, :: stride[0], :: stride[1]]

    def by_replica(self, value: Value) -> Tensor:
        """[S, M, B, C]"""
        num_streams, num_members = self.shape
        if value.tensor.ndim != 2:
            raise Unsupported("logits are one number per class")
        if value.beside:
            return torch.unflatten(value.tensor, 1, (num_streams, num_members, -1)).permute(1, 2, 0, 3)
        return torch.unflatten(value.tensor, 0, (num_streams, 1, -1)).expand(-1, num_members, -1, -1)


def _convolution(call: Call, name: str, module: nn.Conv2d, x: Value) -> Value:
    if not x.beside and not call.differs(name, module):
        return Value(module(x.tensor), False)
    if x.tensor.ndim != 4 or module.padding_mode != "zeros":
        raise Unsupported("convolutions over maps, padded with zeros")
    if x.beside or module.groups > 1:
        maps, groups = call.beside(x), call.num * module.groups
    else:  # a stream's members read the same maps: one convolution with M times the outputs
        maps, groups = call.widened(x.tensor, 1), call.shape[0]
    stride = module.stride
    if module.kernel_size == (1, 1) and module.padding == (0, 0):
        # The same numbers; on a CPU the backward pass of a 1 x 1 convolution with strides takes twice as long.
        maps, stride = call.thinned(maps, stride), (1, 1)
    weight, bias = call.stacked(name, module, "weight"), call.stacked(name, module, "bias")
    assert weight is not None
    kernels, biases = call.laid_out(weight.flatten(0, 2)), None if bias is None else bias.flatten()
    return Value(F.conv2d(maps, kernels, biases, stride, module.padding, module.dilation, groups), True)


def _linear(call: Call, name: str, module: nn.Linear, x: Value) -> Value:
    if not x.beside and not call.differs(name, module):
        return Value(module(x.tensor), False)
    if x.tensor.ndim != 2:
        raise Unsupported("linear layers over flat values")
    weight, bias = call.stacked(name, module, "weight"), call.stacked(name, module, "bias")
    assert weight is not None
    if x.beside:
        rows, first = torch.unflatten(x.tensor, 1, (call.num, -1)).permute(1, 2, 0), 0
    else:  # as for convolutions
        rows, first = torch.unflatten(x.tensor, 0, (call.shape[0], -1)).transpose(1, 2), 1
    outputs = products(
        weight.flatten(first, first + 1), None if bias is None else bias.flatten(first, first + 1), rows
    )
    return Value(outputs.flatten(0, 1).t(), True)


def _batch_norm(call: Call, name: str, module: nn.BatchNorm1d | nn.BatchNorm2d, x: Value) -> Value:
    if module.running_mean is None or module.momentum is None:
        raise Unsupported("batch norms with running statistics that move by a fixed share")
    if not x.beside and not call.differs(name, module):
        return Value(module(x.tensor), False)
    mean, var = call.stacked(name, module, "running_mean"), call.stacked(name, module, "running_var")
    weight, bias = call.stacked(name, module, "weight"), call.stacked(name, module, "bias")
    assert mean is not None
    assert var is not None
    if module.training:
        counts = call.stacked(name, module, "num_batches_tracked")
        assert counts is not None
        counts.add_(1)
        mean, var = mean.view(-1), var.view(-1)  # updated in place: a copy would not do
    weight, bias = (None if tensor is None else tensor.flatten() for tensor in (weight, bias))
    normed = F.batch_norm(
        call.beside(x), mean.flatten(), var.flatten(), weight, bias, module.training, module.momentum, module.eps
    )
    return Value(normed, True)


def _batch_norm_act(call: Call, name: str, module: Any, x: Value) -> Value:
    """timm's BatchNormAct2d."""
    normed = _batch_norm(call, name, module, x)
    if not normed.beside:
        return normed  # the whole module was called
    rules = module_rules()
    for part in (module.drop, module.act):
        rule = rules.get(type(part))
        if rule is not _alone_module and not is_idle_dropout(part):
            raise Unsupported("activations of single numbers")
        normed = _alone_module(call, name, part, normed)
    return normed


def _alone_module(call: Call, name: str, module: nn.Module, x: Value) -> Value:
    """Acts on each number by itself."""
    return Value(module(x.tensor), x.beside)


def _pool_module(call: Call, name: str, module: nn.Module, x: Value) -> Value:
    """Acts on each channel by itself."""
    if x.tensor.ndim != 4:
        raise Unsupported("pooling of maps")
    if type(module) is nn.AdaptiveAvgPool2d and module.output_size in (1, (1, 1)):
        return _mean(call, torch.mean, x, (2, 3), keepdim=True)
    return Value(module(x.tensor), x.beside)


def _flatten_module(call: Call, name: str, module: nn.Flatten, x: Value) -> Value:
    return _flatten(call, torch.flatten, x, module.start_dim, module.end_dim)


def _dropout_module(call: Call, name: str, module: nn.Module, x: Value) -> Value:
    if not is_idle_dropout(module):
        raise Unsupported("random operations")
    return x


def _alone(call: Call, function: Callable[..., Tensor], x: Value, *args: Any, **kwargs: Any) -> Value:
    return Value(function(x.tensor, *args, **kwargs), x.beside)


def _pool(call: Call, function: Callable[..., Tensor], x: Value, *args: Any, **kwargs: Any) -> Value:
    if x.tensor.ndim != 4:
        raise Unsupported("pooling of maps")
    return Value(function(x.tensor, *args, **kwargs), x.beside)


def _flatten(call: Call, function: Callable[..., Tensor], x: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    if start_dim != 1 or end_dim != -1:
        raise Unsupported("flattening of all but the batch")
    return Value(x.tensor.flatten(1), x.beside)


def _mean(call: Call, function: Callable[..., Tensor], x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    maps = x.tensor
    if maps.ndim != 4 or not isinstance(dim, tuple | list) or sorted(d % 4 for d in dim) != [2, 3]:
        raise Unsupported("means over whole maps")
    # So that gradients come in the layout of the maps: what is behind would copy any other.
    mean = maps.permute(0, 2, 3, 1).flatten(1, 2).mean(1) if call.channels_last else maps.flatten(2).mean(2)
    return Value(mean[:, :, None, None] if keepdim else mean, x.beside)


def _dropout(call: Call, function: Callable[..., Tensor], x: Value, *args: Any, **kwargs: Any) -> Value:
    given = dict(zip(("p", "training"), args, strict=False)) | kwargs
    if given.get("training", True) and given.get("p", 0.5) > 0:
        raise Unsupported("random operations")
    return x


def _combine(call: Call, function: Callable[..., Tensor], *operands: Any) -> Value:
    """Sums, products and the like of values and plain numbers."""
    if len(operands) != 2 or not all(isinstance(operand, Value | int | float) for operand in operands):
        raise Unsupported("two operands, each a value or a number")
    values = [operand for operand in operands if isinstance(operand, Value)]
    beside = any(value.beside for value in values)
    if beside:
        tensors = {id(value): call.beside(value) for value in values}
        if len({(tensor.ndim, tensor.shape[1]) for tensor in tensors.values()}) > 1:
            raise Unsupported("operands that have equally many channels")
    else:
        tensors = {id(value): value.tensor for value in values}
    return Value(function(*(tensors.get(id(operand), operand) for operand in operands)), beside)


ELEMENTWISE = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid,
    nn.Tanh, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Softplus,
)  # fmt: skip
POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout)

FUNCTIONS: dict[Any, Rule] = {
    **dict.fromkeys((operator.add, operator.sub, operator.mul, operator.truediv), _combine),
    **dict.fromkeys((torch.add, torch.sub, torch.mul, torch.div), _combine),
    **dict.fromkeys((torch.relu, torch.sigmoid, torch.tanh, F.relu, F.relu6, F.leaky_relu, F.elu, F.gelu), _alone),
    **dict.fromkeys((F.silu, F.mish, F.hardtanh, F.hardswish, F.hardsigmoid, F.softplus, operator.neg), _alone),
    **dict.fromkeys((F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d), _pool),
    torch.flatten: _flatten,
    torch.mean: _mean,
    F.dropout: _dropout,
}
METHODS: dict[str, Any] = {  # the function that does the same
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "relu": torch.relu,
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "flatten": torch.flatten, "mean": torch.mean,
}  # fmt: skip


@cache
def module_rules() -> dict[type[nn.Module], Rule]:
    """By the exact type: a subclass may do something else."""
    from timm.layers import activations
    from timm.layers.drop import DropPath
    from timm.layers.norm_act import BatchNormAct2d

    own = (activations.GELU, activations.GELUTanh, activations.QuickGELU, activations.Sigmoid, activations.Tanh)
    rules: dict[type[nn.Module], Rule] = {
        nn.Conv2d: _convolution,
        nn.Linear: _linear,
        nn.BatchNorm1d: _batch_norm,
        nn.BatchNorm2d: _batch_norm,
        nn.Flatten: _flatten_module,
        BatchNormAct2d: _batch_norm_act,
    }
    rules |= dict.fromkeys((*ELEMENTWISE, *own), _alone_module)
    rules |= dict.fromkeys(POOLING, _pool_module)
    rules |= dict.fromkeys((*DROPOUTS, DropPath), _dropout_module)
    return rules
