"""What arithmetic a training uses: part of a job's key (`Training.precision`), and never decided by timing."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor

LOW = (torch.bfloat16, torch.float16)


def arithmetic(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """`bf16`: autocast around the network; weights, their updates and the loss stay in full precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def full(logits: Tensor) -> Tensor:
    """Losses are computed in full precision."""
    return logits.float() if logits.dtype in LOW else logits


@contextmanager
def deterministic(is_asked: bool | None) -> Iterator[None]:
    """Meanwhile an operation that adds in an order by chance takes another form, or raises where it has none. What is
    not asked for stays as it is."""
    before = torch.get_deterministic_debug_mode()
    if is_asked:
        torch.set_deterministic_debug_mode("error")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


def set_explicitly(is_deterministic: bool = False) -> None:
    """TF32 is on or off by default depending on torch's version; here `fp32` means fp32, and the same kernels are
    taken every time. `is_deterministic`: some jobs ask for it."""
    if is_deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once, when CUDA begins
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
