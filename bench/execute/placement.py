"""Which devices this run uses, decided without importing torch and checked before anything starts."""

import math
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import Any

from bench.errors import BenchError
from bench.execute.executor import Executor
from bench.execute.local import Pool
from bench.provenance import num_cores


@dataclass(frozen=True)
class Placement:
    """One worker per device; on a CPU one per core, each on one thread, so that numbers do not depend on cores."""

    devices: tuple[str, ...]
    threads: int = 1
    timeout: float | None = None  # seconds for one training; 0: no limit; None: a generous one
    executor: Executor[Any] = field(default_factory=Pool, compare=False)  # who holds the workers
    deadline: float = math.inf  # of time.monotonic: no training begins after it
    num_gpus: int = 0


def choose_placement(
    workers: int | None, gpus: int | None, threads: int | None, timeout: float | None
) -> Placement:
    """All GPUs where there are some, one worker each; else one worker per core, each on one thread."""
    present = count_gpus()
    if gpus is not None and gpus > present:
        hint = "" if present else "; leave it out to use the CPU"
        raise BenchError(f"--gpus {gpus}: this machine has {present}{hint}")
    used = present if gpus is None else gpus
    cores = num_cores()
    if used:
        devices = [f"cuda:{index}" for index in range(used) for _ in range(workers or 1)]
        return Placement(tuple(devices), threads or max(1, cores // len(devices)), timeout, num_gpus=used)
    count = workers or max(1, cores // (threads or 1))
    if count * (threads or 1) > cores:
        raise BenchError(f"{count} workers of {threads or 1} threads are more than the {cores} cores there are")
    return Placement(("cpu",) * count, threads or 1, timeout)


def count_gpus() -> int:
    """As the driver's tool counts them, less those hidden by CUDA_VISIBLE_DEVICES."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return 0
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    found = sum(line.startswith("GPU ") for line in listed.splitlines())
    return found if visible is None else _visible(visible, found)


def compute_capability() -> float | None:
    """Of the oldest card, hidden ones too, since CUDA may count them in another order; None: the tool does not say."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
        return min(float(line) for line in listed.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _visible(names: str, found: int) -> int:
    """CUDA's rule: numbers or ids, and the first that does not exist hides itself and all after it."""
    count = 0
    for name in names.split(","):
        number = name.strip()
        if number.lstrip("-").isdecimal() and not 0 <= int(number) < found:
            break
        count += 1
    return min(found, count)
