"""One line of what `bench doctor` says."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    name: str
    verdict: Literal["ok", "warning", "fails"]
    text: str  # what was found and, unless it is ok, what to do
