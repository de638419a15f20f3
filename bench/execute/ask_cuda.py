"""Run as a script by `gpus.py`: what the CUDA driver says of the GPUs that this process may use, as one JSON line.

It imports nothing but the standard library, so that it starts in no time; and it runs apart, so that a driver that
hangs or crashes takes no command along, and no process that forks holds it.
"""

import ctypes
import json
import sys
from typing import Any

LIBRARY = "libcuda.so.1"  # comes with the driver, and into containers that lack the driver's tools
CAPABILITY = (75, 76)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


class CudaError(Exception):
    """Carries the driver's number."""


def main() -> None:
    try:
        cuda = ctypes.CDLL(LIBRARY)
    except OSError:
        answer: dict[str, Any] = {"has_driver": False, "gpus": []}
    else:
        answer = {"has_driver": True, "gpus": []}
        try:
            answer["gpus"] = gpus(cuda)
        except CudaError as error:
            (number,) = error.args
            if number != NO_DEVICE:
                answer["error"] = _words(cuda, number)
    sys.stdout.write(json.dumps(answer) + "\n")


def gpus(cuda: Any) -> list[dict[str, Any]]:
    """In CUDA's own order. Those that CUDA_VISIBLE_DEVICES hides are not there."""
    _call(cuda.cuInit, 0)
    count = ctypes.c_int()
    _call(cuda.cuDeviceGetCount, ctypes.byref(count))
    return [_gpu(cuda, number) for number in range(count.value)]


def _gpu(cuda: Any, number: int) -> dict[str, Any]:
    device, value, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(256)
    _call(cuda.cuDeviceGet, ctypes.byref(device), number)
    _call(cuda.cuDeviceGetName, name, len(name), device)
    capability = []
    for attribute in CAPABILITY:
        _call(cuda.cuDeviceGetAttribute, ctypes.byref(value), attribute, device)
        capability.append(value.value)
    return {"name": name.value.decode(errors="replace"), "capability": capability}


def _call(function: Any, *arguments: Any) -> None:
    number = function(*arguments)
    if number != 0:
        raise CudaError(number)


def _words(cuda: Any, number: int) -> str:
    text = ctypes.c_char_p()
    if cuda.cuGetErrorString(number, ctypes.byref(text)) == 0 and text.value is not None:
        return text.value.decode(errors="replace")
    return f"error {number}"


if __name__ == "__main__":
    main()
