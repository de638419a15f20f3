"""What a training's failure must not be made of: the end of the device's work for this process, and of the store.

After a device-side assert, an illegal access or an ECC error every later call of the process fails too, whatever it is
about. So each handler in the engine that takes any exception asks `pass_on` first, and the worker ends.
"""

import re

import torch

from bench.errors import StoreError

# Failures that libraries report as a plain RuntimeError. What a library does not support says nothing of the device.
BROKEN = re.compile(
    r"CUDA (driver )?error: (?!CUBLAS_STATUS_(NOT_SUPPORTED|INVALID_VALUE))"
    r"|cuDNN error: CUDNN_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR|MAPPING_ERROR)"
    r"|cusolver error: CUSOLVER_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR)"
)


def is_device_fault(error: BaseException) -> bool:
    """Whether the process can do nothing more on its device."""
    return isinstance(error, torch.AcceleratorError) or (
        isinstance(error, RuntimeError) and BROKEN.match(str(error)) is not None
    )


def pass_on(error: Exception) -> None:
    """Raises what no handler may keep for itself."""
    if isinstance(error, StoreError) or is_device_fault(error):
        raise error
