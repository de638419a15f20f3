"""What `precision: auto` comes to for a network on a machine, found out without torch. It becomes part of every key, so
it follows a rule and no measurement: a clock that errs would train a whole suite anew.

The rule's figures are in `bench/README.md`: on CPUs with AMX, bf16 takes .6 to 1.03 times as long as fp32 on networks
without depthwise convolutions, and 1.1 to 2.1 times as long on those with them.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

Precision = Literal["fp32", "bf16"]
GPU_WITH_BF16 = 8.0  # compute capability
CPU_WITH_BF16 = {"avx512_bf16": "AVX512-BF16", "amx_bf16": "AMX"}


@dataclass(frozen=True)
class Machine:
    """What its arithmetic is good for."""

    kind: Literal["CPU", "GPU"]
    has_bf16: bool
    why: str

    @property
    def precision(self) -> Precision:
        return "bf16" if self.has_bf16 else "fp32"


@dataclass(frozen=True)
class Choice:
    used: Precision
    why: str


ASKED = "as the suite says"
FULL = Choice("fp32", "a checkpoint is scored in full precision")
PLAIN = Machine("CPU", False, "no bf16 is assumed")  # where nothing runs


def machine_of(on_gpu: bool, capability: float | None = None) -> Machine:
    """`capability`: that of the oldest GPU; None: nobody knows."""
    if on_gpu and capability is None:
        return Machine("GPU", False, "the GPU does not tell whether it computes in bf16")
    if on_gpu and capability is not None:
        has = capability >= GPU_WITH_BF16
        told = f"the GPU {'computes' if has else 'does not compute'} in bf16 (compute capability {capability:.1f})"
        return Machine("GPU", has, told)
    units = [name for flag, name in CPU_WITH_BF16.items() if flag in _cpu_flags()]
    has = bool(units)
    return Machine("CPU", has, f"the CPU computes in bf16 ({units[-1]})" if has else "the CPU does not compute in bf16")


def choose(asked: Literal["auto", "fp32", "bf16"], machine: Machine, is_depthwise: bool) -> Choice:
    """For training a network. `is_depthwise`: whether it has convolutions with one channel in each group."""
    if asked != "auto":
        return Choice(asked, ASKED)
    if machine.kind == "CPU" and machine.has_bf16 and is_depthwise:
        return Choice("fp32", "depthwise convolutions are slower in bf16 on a CPU")
    return Choice(machine.precision, machine.why)


@lru_cache
def _cpu_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").partition(":")[2].split())
