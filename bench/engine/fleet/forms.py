"""How the logits of many replicas of one network come out of one pass: as one matrix product, where only a
linear head learns, or under `torch.func.vmap`. Whether that is faster depends on the network and the device: measure.

Every form computes what each replica would compute alone, up to rounding, and replicas never mix: what backward takes
from the sum of their losses is each one's own gradient, and one that is lost (NaN) stays alone with it. A function
here answers None where it cannot promise that: for anything random (active dropout) above all.
"""

import contextlib
import copy
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from bench.engine.reuse.replay import Live
from bench.engine.train.faults import is_out_of_memory, pass_on

Tensors = dict[str, Tensor]
Inputs = tuple[Tensor, ...]

FEW = 4  # images suffice to try a form
# What torch's autocast computes in bf16, and in full precision, of what networks are made of.
IN_BF16 = {
    F.linear, F.bilinear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose2d, F.scaled_dot_product_attention,
    torch.matmul, torch.mm, torch.bmm, torch.mv, torch.addmm, torch.baddbmm, torch.einsum,
    Tensor.matmul, Tensor.__matmul__, Tensor.mm, Tensor.bmm,
}  # fmt: skip
IN_FP32 = {
    F.batch_norm, F.layer_norm, F.group_norm, F.instance_norm, F.normalize, F.softmax, F.log_softmax, F.softplus,
    torch.softmax, torch.log_softmax, torch.exp, torch.log, torch.pow, torch.cumsum,
    Tensor.softmax, Tensor.log_softmax, Tensor.exp, Tensor.log, Tensor.pow, Tensor.cumsum,
}  # fmt: skip


class Form(Protocol):
    def logits(self, parameters: Tensors, buffers: Tensors, inputs: Inputs) -> Tensor:
        """[S, M, B, C], perhaps as a view.

        `parameters`, `buffers`: those that differ between replicas, by their names in the module, stacked [S, M, ...];
        the module's own serve where a name is missing. `inputs`: [S, B, ...] each, the same for a stream's members.
        BatchNorm in training mode updates its statistics in `buffers`, in place: they must be there.
        The module's training flags are read at each call, as far as modules look at them.
        """
        ...


def losses(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """F.cross_entropy of each replica, [S, M]; logits [S, M, B, C], labels [S, B]."""
    num_streams, num_members, num, _ = logits.shape
    # Classes before images, as most forms leave them: short rows make a slow softmax.
    columns = logits.transpose(2, 3).flatten(0, 1)
    repeated = labels.repeat_interleave(num_members, 0)
    each = F.cross_entropy(columns, repeated, label_smoothing=label_smoothing, reduction="none")
    return each.view(num_streams, num_members, num).mean(2)


def stand_in(module: nn.Module) -> nn.Module:
    """Has the same parameters; whatever else a strange call changes is its own: statistics, or what a network remembers
    (LeViT keeps its attention biases between evaluations)."""
    return copy.deepcopy(module, {id(parameter): parameter for parameter in module.parameters()})


def state_held(module: nn.Module) -> list[dict[str, object]]:
    """What its modules hold, by identity."""
    return [
        {key: {k: id(v) for k, v in value.items()} if isinstance(value, dict) else id(value) for key, value in held}
        for held in (vars(each).items() for each in module.modules())
    ]


def statistics(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The norms that keep running statistics, by name."""
    norms = [(name, m) for name, m in module.named_modules() if isinstance(m, nn.modules.batchnorm._NormBase)]
    return [(name, norm) for name, norm in norms if norm.running_mean is not None]


def check_statistics(norms: list[tuple[str, nn.Module]], buffers: Tensors) -> None:
    """Shared statistics must not be moved by anyone's batches."""
    for name, norm in norms:
        has_own = all(joined(name, key) in buffers for key, own in norm._buffers.items() if own is not None)
        assert has_own or not norm.training, f"{name} trains without statistics for each replica"


def joined(module: str, tensor: str) -> str:
    return f"{module}.{tensor}" if module else tensor


def shape_of(parameters: Tensors, buffers: Tensors) -> tuple[int, int]:
    """(S, M)"""
    stacked = next(iter((parameters or buffers).values()), None)
    assert stacked is not None, "nothing differs between the replicas"
    return stacked.shape[0], stacked.shape[1]


def trial(form: Form, module: nn.Module, examples: Inputs) -> Tensor:
    """Logits of 2 x 2 equal replicas that stand in no optimizer; whatever `form` cannot do, it raises here."""
    norms = {joined(name, key) for name, norm in statistics(module) for key, _ in norm.named_buffers(recurse=False)}
    own = dict(module.named_buffers())
    with torch.no_grad():
        return form.logits(
            {name: parameter.expand(2, 2, *parameter.shape) for name, parameter in module.named_parameters()},
            {name: own[name].expand(2, 2, *own[name].shape).clone() for name in norms},
            # Not torch.stack, which would not keep channels_last.
            tuple(torch.unflatten(torch.cat([x[:FEW], x[:FEW]]), 0, (2, -1)) for x in examples),
        )


def products(weight: Tensor, bias: Tensor | None, rows: Tensor) -> Tensor:
    """[G, O, D], [G, O], [G, D, B] -> [G, O, B]. With weights first their gradients come in the weights' own layout,
    and need not be copied."""
    return torch.bmm(weight, rows) if bias is None else torch.baddbmm(bias.unsqueeze(2), weight, rows)


def head_form(module: nn.Module, examples: Inputs = ()) -> Form | None:
    """One linear layer on one feature, in one matrix product per stream. `examples` are not needed."""
    name = module.only_head if isinstance(module, Live) else "" if type(module) is nn.Linear else None
    layer = module.get_submodule(name) if name is not None else None
    return _Head(layer, name) if name is not None and type(layer) is nn.Linear else None


class _Head:
    def __init__(self, layer: nn.Linear, name: str) -> None:
        self._layer = layer
        self._weight, self._bias = joined(name, "weight"), joined(name, "bias")

    def logits(self, parameters: Tensors, buffers: Tensors, inputs: Inputs) -> Tensor:
        (x,) = inputs
        assert x.ndim == 3, "a head's input is flat"
        shape, layer = shape_of(parameters, buffers), self._layer
        weight = parameters.get(self._weight, layer.weight.expand(*shape, -1, -1)).flatten(1, 2)
        bias: Tensor | None = layer.bias  # typed as if there always were one
        if bias is not None:
            bias = parameters.get(self._bias, bias.expand(*shape, -1)).flatten(1)
        outputs = products(weight, bias, x.transpose(1, 2))
        return torch.unflatten(outputs, 1, (shape[1], -1)).transpose(2, 3)


def vmap_form(module: nn.Module, examples: Inputs) -> Form | None:
    """Any network whose operations all have a batching rule. `examples`: a batch [B, ...] as the module takes it."""
    is_low = torch.is_autocast_enabled(examples[0].device.type)
    if is_low and any(isinstance(part, nn.MultiheadAttention) for part in module.modules()):
        return None  # all of it is one function of torch's, inside of which `_Below` sees nothing to cast
    # Fused attention has no batching rule on a CPU.
    attention = (SDPBackend.MATH,) if examples[0].device.type == "cpu" else ()
    try:
        # A missing batching rule only warns, and then runs replica by replica.
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="There is a performance drop", category=UserWarning)
            actor = stand_in(module)
            before = state_held(actor)
            trial(_Vmap(actor, attention), actor, examples)
    except (RuntimeError, ValueError, TypeError, UserWarning) as error:
        pass_on(error)
        if is_out_of_memory(error):
            raise
        return None
    # A module that keeps tensors from one call for the next would keep those of all replicas.
    return _Vmap(module, attention) if state_held(actor) == before else None


class _Below(TorchFunctionMode):
    """What a network asks of torch while it runs under vmap. Pooling to a single number, of channels_last maps, has no
    batching rule; a mean is the same. Autocast would leave convolutions out, so its casts are made here; norms are in
    full precision throughout, because those of bf16 values with fp32 weights have no batching rule either."""

    def __init__(self, is_low: bool) -> None:
        super().__init__()
        self._is_low = is_low

    def __torch_function__(
        self, function: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is F.adaptive_avg_pool2d and args[1:] in ((1,), ((1, 1),)):
            return args[0].mean((-2, -1), keepdim=True)
        if self._is_low and (function in IN_BF16 or function in IN_FP32):
            kind = torch.bfloat16 if function in IN_BF16 else torch.float32
            args, kwargs = _cast(args, kind), {name: _cast(value, kind) for name, value in kwargs.items()}
        return function(*args, **kwargs)


def _cast(value: Any, kind: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(kind) if value.dtype in (torch.float32, torch.bfloat16) else value
    return type(value)(_cast(one, kind) for one in value) if type(value) in (tuple, list) else value


class _Vmap:
    def __init__(self, module: nn.Module, attention: tuple[SDPBackend, ...]) -> None:
        """`attention`: the only ways in which attention may be computed; any, where it is empty."""
        self._module, self._attention = module, list(attention)
        self._parameters = {name for name, _ in module.named_parameters()}
        self._buffers = {name for name, _ in module.named_buffers()}
        self._norms = statistics(module)

    def logits(self, parameters: Tensors, buffers: Tensors, inputs: Inputs) -> Tensor:
        check_statistics(self._norms, buffers)
        device = inputs[0].device.type
        is_low = torch.is_autocast_enabled(device)
        parameters = {name: tensor for name, tensor in parameters.items() if name in self._parameters}
        buffers = {name: tensor for name, tensor in buffers.items() if name in self._buffers}
        num_streams, _ = shape_of(parameters, buffers)
        attention = sdpa_kernel(self._attention) if self._attention else contextlib.nullcontext()
        with _Below(is_low), torch.autocast(device, enabled=False), attention:
            return self._of_all(parameters, buffers, inputs, num_streams)

    def _of_all(self, parameters: Tensors, buffers: Tensors, inputs: Inputs, num_streams: int) -> Tensor:
        of_members = vmap(self._of_one, in_dims=(0, 0, None))
        if num_streams > 1:
            return vmap(of_members)(parameters, buffers, inputs)
        # One level less is faster. Views, so that statistics are still updated in place.
        first = {name: tensor.squeeze(0) for name, tensor in parameters.items()}
        held = {name: tensor.squeeze(0) for name, tensor in buffers.items()}
        return of_members(first, held, tuple(x[0] for x in inputs)).unsqueeze(0)

    def _of_one(self, parameters: Tensors, buffers: Tensors, inputs: Inputs) -> Tensor:
        logits: Tensor = functional_call(self._module, (parameters, buffers), inputs)
        return logits
