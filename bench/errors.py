"""What goes wrong, by who can mend it. The command line turns each into one message and one exit code."""

import difflib
import os
import tempfile
import traceback
from collections.abc import Iterable
from typing import Literal

# Exit codes. Python's own for an uncaught exception is 1 as well, so `cli.main` lets none through.
REGRESSED = 1  # the gate is red; nothing else ends with it
REFUSED = 2  # the command or the suite is wrong; nothing was run
INCOMPLETE = 3  # trainings failed or are missing, a file could not be written or read, a check of `doctor` fails
BLIND = 4  # the gate: too little could have been seen
NOTHING = 5  # selected
FAULT = 70  # of this program
SIGNALLED = 128  # plus the signal's number
INTERRUPTED = SIGNALLED + 2


class BenchError(Exception):
    """Anything the person at the terminal can act on; printed without a traceback."""

    exit_code = REFUSED


class SuiteError(BenchError):
    """The suite cannot be run as written. Carries every problem found, not the first one."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Missing(BenchError):
    """A dataset or weights that a suite names and this machine lacks."""

    def __init__(
        self, kind: Literal["dataset", "weights"], name: str, way: str, megabytes: int | None = None,
        can_fetch: bool = False,
    ) -> None:  # fmt: skip
        self.kind, self.name, self.way, self.megabytes, self.can_fetch = kind, name, way, megabytes, can_fetch
        self.where = ""  # in the suite
        super().__init__(f"{self.what} is not on this machine; {way}")

    @property
    def what(self) -> str:
        return f"{self.kind} {self.name}"


class MissingInputs(SuiteError):
    """Nothing is wrong with the suite, but this machine lacks what it names."""

    def __init__(self, problems: Iterable[str], missing: list[Missing]) -> None:
        self.missing = missing
        super().__init__(problems)


class NotApplicable(Exception):
    """The strategy does not fit this network or these data; no fault of anybody's."""


class NothingSelected(BenchError):
    """The filter leaves no cell."""

    exit_code = NOTHING


class StoreError(BenchError):
    """The results folder cannot be written or read."""

    exit_code = INCOMPLETE


def fault(error: BaseException) -> str:
    """What to say of an error that nobody expected. The traceback goes to a file, or along where none can be had."""
    file = file_of_traceback(error)
    where = (
        f"its traceback is in {file}" if file is not None
        else f"no file can be written for its traceback:\n{_traceback(error)}"
    )  # fmt: skip
    said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return f"a fault of this program, neither of the suite nor of the results: {said}; {where}"


def file_of_traceback(error: BaseException) -> str | None:
    """None where no file can be written."""
    try:
        handle, name = tempfile.mkstemp(prefix="transfer-bench-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(_traceback(error))
    except OSError:
        return None
    return name


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def nearest(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Known names closest to a misspelt one, best first."""
    return difflib.get_close_matches(name, list(known), n=limit, cutoff=0.5)


def unknown(kind: str, name: str, known: Iterable[str], listing: str | None = None) -> str:
    """The message for an unknown name: what came, the nearest three, where the full list is."""
    names = sorted(known)
    close = nearest(name, names)
    hint = f"; did you mean {' or '.join(repr(n) for n in close)}?" if close else ""
    if listing is not None and len(names) > 12:
        return f"unknown {kind} {name!r}{hint} ({listing} shows all {len(names)})"
    return f"unknown {kind} {name!r}{hint} Known: {', '.join(names)}" if hint else (
        f"unknown {kind} {name!r}; known: {', '.join(names)}"
    )
