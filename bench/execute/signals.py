"""What Ctrl-C and SIGTERM mean to a run."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class StopSignals:
    """Ctrl-C once: finish what runs, write it, stop. Twice: stop now. SIGTERM counts like Ctrl-C."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.count = 0
        self.signal: int | None = None
        self._say = say
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        self.signal = number
        if self.count == 1:
            self._say("stopping: trainings at hand are finished and written; once more stops at once")
