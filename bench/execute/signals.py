"""What Ctrl-C and SIGTERM mean to a run."""

import signal
from types import FrameType
from typing import Any

from bench.fork_server import STOPPING


class Interrupted(Exception):
    """A signal came while there was nothing to finish."""


class StopSignals:
    """Ctrl-C once: finish what runs, write it, stop. Twice: stop now. SIGTERM counts like Ctrl-C.

    The handler only counts: it may come in the middle of a print, so it must not print. The runner looks at `count`.
    """

    def __init__(self) -> None:
        self.count = 0
        self.signal: int | None = None
        self.raises = False  # where the runner cannot look at `count`: a signal ends what it is doing
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        for number in STOPPING:
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        self.signal = number
        if self.raises:
            self.raises = False
            raise Interrupted
