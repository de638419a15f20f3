"""What a training cost here: seconds and the highest memory use."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.store.results import Measured

KIB = 1024


@dataclass
class Meter:
    device: torch.device
    feature_clock: Callable[[], float] = float  # seconds spent on features so far
    _started: float = 0.0
    _features: float = 0.0

    def start(self) -> "Meter":
        finish(self.device)  # work of others that the device has not done yet; and CUDA begins here at the latest
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            _reset_peak()
        self._started, self._features = time.perf_counter(), self.feature_clock()
        return self

    def read(self) -> Measured:
        finish(self.device)
        memory = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else _peak()
        features = self.feature_clock() - self._features
        seconds = max(0.0, time.perf_counter() - self._started - features)
        return Measured(seconds=seconds, feature_seconds=features, peak_memory_bytes=memory)


def finish(device: torch.device) -> None:
    """Wait for all that a GPU was asked to do: no clock is read before."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_peak() -> None:
    """Linux lets a process reset its own high-water mark; elsewhere the mark is the process's so far."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak() -> int:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * KIB
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
