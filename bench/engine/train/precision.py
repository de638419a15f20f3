"""What arithmetic a training uses: part of a job's key (`Training.precision`), and never decided by timing."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor

LOW = (torch.bfloat16, torch.float16)


def arithmetic(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """`bf16`: autocast around the network; weights, their updates and the loss stay in full precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def full(logits: Tensor) -> Tensor:
    """Losses are computed in full precision."""
    return logits.float() if logits.dtype in LOW else logits


def set_explicitly() -> None:
    """TF32 is on or off by default depending on torch's version; here `fp32` means fp32, and the same kernels are
    taken every time."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
