"""One figure of the check, as a step prints it and the check reads it."""

import json
import sys
from dataclasses import asdict, dataclass

MARK = "FIGURE "  # begins the line of a figure in a step's output


@dataclass(frozen=True)
class Figure:
    what: str
    value: float | str
    unit: str = ""
    bar: str = ""  # what it should be, where that was said before

    @staticmethod
    def from_line(line: str) -> "Figure":
        return Figure(**json.loads(line.removeprefix(MARK)))

    def line(self) -> str:
        return MARK + json.dumps(asdict(self))

    @property
    def value_text(self) -> str:
        value = self.value if isinstance(self.value, str) else f"{self.value:.3g}"
        return f"{value} {self.unit}".strip()

    def __str__(self) -> str:
        return f"{self.what}: {self.value_text}" + (f" (bar: {self.bar})" if self.bar else "")


def tell(what: str, value: float | str, unit: str = "", bar: str = "") -> None:
    say(Figure(what, value, unit, bar).line())


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
