"""Which devices this run uses, decided without importing torch and checked before anything starts."""

import math
from dataclasses import dataclass, field
from typing import Any

from bench.errors import BenchError
from bench.execute.executor import Executor
from bench.execute.gpus import usable_gpus
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

    @property
    def sharing(self) -> int:
        """Workers of one GPU."""
        return len(self.devices) // self.num_gpus if self.num_gpus else 1


def choose_placement(
    workers: int | None, gpus: int | None, threads: int | None, timeout: float | None
) -> Placement:
    """All GPUs where there are some, one worker each; else one worker per core, each on one thread."""
    found = usable_gpus()
    present = len(found.names)
    if gpus is not None and gpus > present:
        why = f" ({found.trouble})" if found.trouble else ""
        hint = "" if present else f"{why}; leave it out to use the CPU"
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
