"""What a training's failure must not be made of: the end of the device's work for this process, and of the store.

After a device-side assert, an illegal access or an ECC error every later call of the process fails too, whatever it is
about. So each handler in the engine that takes any exception asks `pass_on` first, and the worker ends. Whoever can do
with less memory asks `is_out_of_memory`.
"""

import re

import torch

from bench.errors import StoreError

# As CUDA words the errors after which its context is lost, and what its libraries make of them. All others, an invalid
# launch or something unsupported, leave the device as it was.
BROKEN = re.compile(
    r"CUDA (driver )?error: ("
    r"device-side assert triggered"
    r"|an illegal (memory access|instruction) was encountered"
    r"|misaligned address"
    r"|invalid program counter"
    r"|operation not supported on global/shared address space"
    r"|hardware stack error"
    r"|unspecified launch failure"
    r"|the launch timed out"
    r"|uncorrectable (ECC|NVLink) error"
    r"|Invalid access of peer GPU memory over nvlink"
    r"|An async error has occurred in external entity"
    r"|unknown error"
    r"|context is destroyed"
    r"|invalid device context"
    r"|no CUDA-capable device is detected"
    r"|CUDA-capable device\(s\) is/are busy or unavailable"
    r"|CUBLAS_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR|MAPPING_ERROR|NOT_INITIALIZED))"
    r"|cuDNN error: CUDNN_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR|MAPPING_ERROR)"
    r"|cusolver error: CUSOLVER_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR)"
)
ADDS_BY_CHANCE = re.compile(r"(\S+) does not have a deterministic implementation")
NO_MEMORY = re.compile(
    r"CUDA (driver )?error: (out of memory|CUBLAS_STATUS_ALLOC_FAILED)"
    r"|cuDNN error: CUDNN_STATUS_(INTERNAL_ERROR_(DEVICE|HOST)_ALLOCATION_FAILED|ALLOC_FAILED)"
    r"|cusolver error: CUSOLVER_STATUS_ALLOC_FAILED"
    r"|.*DefaultCPUAllocator: can't allocate memory"
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less of everything may work."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and NO_MEMORY.match(str(error)) is not None


def is_device_fault(error: BaseException) -> bool:
    """Whether the process can do nothing more on its device."""
    is_broken = isinstance(error, RuntimeError) and BROKEN.match(str(error)) is not None
    return is_broken and not is_out_of_memory(error)


def why_not_deterministic(error: BaseException) -> str:
    """In our words, where torch refuses an operation because a suite asks for equal bits; else nothing."""
    found = ADDS_BY_CHANCE.match(str(error)) if isinstance(error, RuntimeError) else None
    if found is None:
        return ""
    return f"{found[1]} adds in an order by chance on this device, and `engine.deterministic` forbids it"


def pass_on(error: Exception) -> None:
    """Raises what no handler may keep for itself."""
    if isinstance(error, StoreError) or is_device_fault(error):
        raise error
