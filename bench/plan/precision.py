"""What `precision: auto` comes to on a machine, found out without torch. It becomes part of every key, so it follows a
rule and no measurement: a clock that errs would train a whole suite anew."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

Precision = Literal["fp32", "bf16"]


def precision_of(on_gpu: bool) -> Precision:
    return "bf16" if on_gpu or _cpu_flags() & {"avx512_bf16", "amx_bf16"} else "fp32"


@lru_cache
def _cpu_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").partition(":")[2].split())
