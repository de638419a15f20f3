"""A pretend GPU for tests on any machine: tensors that say `cuda:0` and hold their values in the CPU's memory.

    with pretend_device() as tally:
        ...  # trainings with device=DEVICE
    assert tally.waits.total() < 10

Whatever operation is asked to work on tensors of two devices raises, as on a GPU, and so does leaving the block: the
engine may have caught it. Copies between host and device, and everything that makes the host wait for the device, are
counted by the line of `bench/` that asked for them. Numbers are the CPU's.

To torch's C++ code the tensors are of the device `meta`, so what it makes "like this one" stays here, and so do
autograd and vmap. It works in builds of torch with and without CUDA, and with no driver.

Not reached: CUDA's kernels, cuDNN and their rounding; memory and its end; streams, events, graphs, torch.compile;
pinned memory but for who asks for it; code that needs the device's name without a number (`cuda`); the draws of the
device's own generator, which are the CPU's here. Autocast is a list of operations below, not CUDA's own. A forked or
started process knows nothing of it: workers are not reached. Counts are of calls: how long a wait takes is not known.
"""

import contextlib
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

from bench.modalities.sending import sent

CPU, DEVICE = torch.device("cpu"), torch.device("cuda", 0)
BENCH = str(Path(__file__).parents[2] / "bench")
MEMORY = 80 << 30  # bytes that the card says it has

# What has to know a value on the host, or how many there are: each drains the device's queue.
WAITING = {
    "_local_scalar_dense", "nonzero", "masked_select", "equal", "bincount", "_unique2", "unique_dim",
    "unique_consecutive", "_linalg_check_errors", "_linalg_eigh", "_linalg_svd", "linalg_lstsq", "histogram",
}  # fmt: skip
BY_INDEX = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}  # copy indices of the CPU
COPIES = {"copy_", "_to_copy"}
UNWRITTEN = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
NO_SCALARS = {"cat", "stack", "index_select", "gather", "bmm", "mm", "addmm"}  # elsewhere a number of the CPU will do

LOW = {
    F.linear, F.conv1d, F.conv2d, F.scaled_dot_product_attention, F.bilinear, torch.matmul, torch.mm, torch.bmm,
    torch.addmm, torch.baddbmm, torch.einsum, torch.mv, Tensor.matmul, Tensor.__matmul__, Tensor.mm, Tensor.bmm,
}  # fmt: skip
FULL = {
    F.softmax, F.log_softmax, F.layer_norm, F.group_norm, F.cross_entropy, F.nll_loss, torch.softmax, torch.exp,
    torch.log, torch.pow, torch.cumsum, Tensor.softmax, Tensor.log_softmax, Tensor.exp, Tensor.log, Tensor.pow,
}  # fmt: skip


@dataclass
class Tally:
    """What was done between host and device, by (what, where)."""

    copies: Counter[tuple[str, str]] = field(default_factory=Counter)  # that wait for nothing
    waits: Counter[tuple[str, str]] = field(default_factory=Counter)  # copies that wait among them
    mismatches: list[str] = field(default_factory=list)

    def table(self) -> str:
        rows = [(num, "waits", *key) for key, num in self.waits.items()]
        rows += [(num, "copies", *key) for key, num in self.copies.items()]
        return "\n".join(f"{num:6} {kind:7} {what:28} {place}" for num, kind, what, place in sorted(rows, reverse=True))

    def waited(self, place: str) -> int:
        """Waits of all lines of a file or folder in `bench/`."""
        return sum(num for (_, where), num in self.waits.items() if place in where)


_tally = Tally()


class Pretend(Tensor):
    """A tensor of the pretend device."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Pretend":
        return Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            layout=inner.layout, device="meta",
        )  # fmt: skip

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: DEVICE)
    is_cuda, is_cpu, is_meta = True, False, False

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(_with_tensors(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_with_tensors(index), value)

    def new_tensor(self, data: Any, **kwargs: Any) -> Tensor:
        return torch.tensor(data, device=DEVICE, **{"dtype": self.dtype, **kwargs})

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def pin_memory(self, *args: Any) -> Any:
        raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")

    def __repr__(self, *args: Any, **kwargs: Any) -> str:
        return f"Pretend({self.inner})"


class _Everywhere(TorchDispatchMode):
    """Catches what makes a tensor on the device of something that is not there."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if Pretend in types or _is_asked_for(kwargs.get("device")):
            return _run(operation, args, kwargs)
        return operation(*args, **kwargs)


class _Autocast(TorchFunctionMode):
    """`torch.autocast("cuda", torch.bfloat16)`, for the operations that networks are made of."""

    depth = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in LOW or function in FULL:
            of, to = (torch.float32, torch.bfloat16) if function in LOW else (torch.bfloat16, torch.float32)

            def cast(one: Tensor) -> Tensor:
                return one.to(to) if one.dtype == of and one.is_cuda else one

            args, kwargs = _mapped(cast, args), {key: _mapped(cast, value) for key, value in kwargs.items()}
        return function(*args, **kwargs)

    def __enter__(self) -> Any:
        _Autocast.depth += 1
        return super().__enter__()

    def __exit__(self, *why: Any) -> None:
        _Autocast.depth -= 1
        super().__exit__(*why)


def _with_tensors(index: Any) -> Any:
    """An index with lists: C++ would make tensors of them on `meta`, where values are lost."""
    if isinstance(index, tuple):
        return tuple(torch.tensor(one) if isinstance(one, list) else one for one in index)
    return torch.tensor(index) if isinstance(index, list) else index


def _is_asked_for(device: Any) -> bool:
    return device is not None and torch.device(device).type in ("cuda", "meta")


def _mapped(change: Callable[[Tensor], Any], value: Any) -> Any:
    """Tensors among the arguments of an operation, or in what it returns. torch's pytree takes ten times as long."""
    if isinstance(value, Tensor):
        return change(value)
    if type(value) in (list, tuple):
        return type(value)(_mapped(change, one) for one in value)
    return value


def _run(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = operation.overloadpacket.__name__
    given: list[Tensor] = []

    def on_cpu(one: Tensor) -> Tensor:
        given.append(one)
        return one.inner if isinstance(one, Pretend) else one

    cpu_args = _mapped(on_cpu, args)
    cpu_kwargs = {key: _mapped(on_cpu, value) for key, value in kwargs.items() if key != "pin_memory"}
    _check(name, given, args)
    _count(name, args, kwargs)
    device = kwargs.get("device")
    if device is not None:
        cpu_kwargs["device"] = CPU
    found = operation(*cpu_args, **cpu_kwargs)
    if name in UNWRITTEN and found.dtype != torch.bool:  # whoever reads it before anything is written shall notice
        found.fill_(math.nan if found.dtype.is_floating_point else torch.iinfo(found.dtype).max)
    if name == "copy_":
        return args[0]
    if device is not None and not _is_asked_for(device):
        return found
    found = _mapped(lambda one: one if isinstance(one, Pretend) else Pretend(one), found)
    if not any(isinstance(one, Pretend) for one in given):
        return found
    return return_and_correct_aliasing(operation, args, kwargs, found)


def _check(name: str, given: list[Tensor], args: Any) -> None:
    """As a GPU refuses it."""
    here = [one for one in given if isinstance(one, Pretend)]
    of_cpu = [one for one in given if not isinstance(one, Pretend) and (one.ndim or name in NO_SCALARS)]
    if not here or not of_cpu or name in COPIES or (name in BY_INDEX and isinstance(args[0], Pretend)):
        return
    told = f"{name} at {_place()}: Expected all tensors to be on the same device, but found cuda:0 and cpu"
    _tally.mismatches.append(told)
    raise RuntimeError(told)


def _count(name: str, args: Any, kwargs: dict[str, Any]) -> None:
    if name in COPIES:
        goes = isinstance(args[0], Pretend) if name == "copy_" else _is_asked_for(kwargs.get("device"))
        source = args[1] if name == "copy_" else args[0]
        is_here = isinstance(source, Pretend)
        if name == "_to_copy" and kwargs.get("device") is None:
            return
        if goes != is_here:
            flag = args[2] if name == "copy_" and len(args) > 2 else kwargs.get("non_blocking", False)
            is_free = goes and flag and getattr(source, "is_pretend_pinned", False)
            kind = _tally.copies if is_free else _tally.waits
            kind["to the device" if goes else "to the host", _place()] += 1
    elif name in WAITING:
        _tally.waits[name, _place()] += 1
    elif name in BY_INDEX:
        indices = [one for one in args[1] if one is not None]
        if any(one.dtype in (torch.bool, torch.uint8) for one in indices):
            _tally.waits["index by a mask", _place()] += 1
        elif not all(isinstance(one, Pretend) for one in indices):
            _tally.waits["index from the host", _place()] += 1


def _place() -> str:
    """The innermost line of `bench/` that is running."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(BENCH) and frame.f_code is not sent.__code__:
            return f"{frame.f_code.co_filename[len(BENCH) - 5:]}:{frame.f_lineno}"
        frame = frame.f_back
    return "outside bench"


def _pinned(tensor: Tensor, *args: Any) -> Tensor:
    found = tensor.clone()
    found.is_pretend_pinned = True
    return found


def _tensor_maker(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`torch.tensor` puts its values on a device past every mode."""

    def tensor(data: Any, *args: Any, device: Any = None, **kwargs: Any) -> Tensor:
        found = make(data, *args, **kwargs)
        return found if device is None else found.to(device)

    return tensor


def _autocast(real: Any) -> Callable[..., Any]:
    def autocast(device_type: str, *args: Any, enabled: bool = True, **kwargs: Any) -> Any:
        if device_type != "cuda":
            return real(device_type, *args, enabled=enabled, **kwargs)
        return _Autocast() if enabled else contextlib.nullcontext()

    return autocast


def _submit(real: Any) -> Callable[..., Any]:
    """Modes are a thread's own."""

    def submit(pool: ThreadPoolExecutor, run: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        def with_device() -> Any:
            with _Everywhere():
                return run(*args, **kwargs)

        return real(pool, with_device)

    return submit


def _synchronize(device: Any = None) -> None:
    _tally.waits["synchronize", _place()] += 1


def _state(device: Any = None) -> Tensor:
    return torch.zeros(16, dtype=torch.uint8)


def _nothing(*args: Any, **kwargs: Any) -> None:
    pass


CARD = SimpleNamespace(total_memory=MEMORY, multi_processor_count=132, major=9, minor=0, name="pretend")
OF_CUDA: dict[str, Any] = {
    "_lazy_init": _nothing, "is_available": lambda: True, "is_initialized": lambda: True, "device_count": lambda: 1,
    "current_device": lambda: 0, "set_device": _nothing, "synchronize": _synchronize, "empty_cache": _nothing,
    "get_device_name": lambda device=None: "pretend", "get_device_properties": lambda device=None: CARD,
    "get_device_capability": lambda device=None: (9, 0), "mem_get_info": lambda device=None: (MEMORY, MEMORY),
    "max_memory_allocated": lambda device=None: 0, "memory_allocated": lambda device=None: 0,
    "reset_peak_memory_stats": _nothing, "manual_seed_all": _nothing, "get_rng_state": _state,
    "get_rng_state_all": lambda: [_state()], "set_rng_state": _nothing, "set_rng_state_all": _nothing,
    "is_bf16_supported": lambda *args, **kwargs: True, "is_current_stream_capturing": lambda: False,
}  # fmt: skip


@contextlib.contextmanager
def pretend_device() -> Iterator[Tally]:
    """Meanwhile `DEVICE` exists in this process. Raises at the end where devices disagreed, whoever caught that."""
    from torch.optim import optimizer

    global _tally
    _tally = Tally()
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    enabled = torch.is_autocast_enabled
    with contextlib.ExitStack() as stack:
        for name, value in OF_CUDA.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        for owner, name, value in (
            (torch, "tensor", _tensor_maker(torch.tensor)), (torch, "autocast", _autocast(torch.autocast)),
            (torch, "is_autocast_enabled", lambda kind=None: _Autocast.depth > 0 if kind == "cuda" else enabled(kind)),
            (torch.accelerator, "current_accelerator", _nothing), (Tensor, "pin_memory", _pinned),
            (ThreadPoolExecutor, "submit", _submit(ThreadPoolExecutor.submit)),
            (optimizer, "_foreach_supported_types", [*optimizer._foreach_supported_types, Pretend]),
        ):  # fmt: skip
            stack.enter_context(mock.patch.object(owner, name, value))
        # A module's parameters stay the same objects when it moves, as they do on a GPU.
        torch.__future__.set_swap_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swaps)
        with _Everywhere():
            yield _tally
    if _tally.mismatches:
        raise AssertionError("\n".join(_tally.mismatches))
